"""The images of cached packets: whose they are, and how many bytes."""

from __future__ import annotations

from rtmpd.engine.burst import Burst, Images
from rtmpd.engine.packet import VIDEO, Packet, RtmpWire
from rtmpd.engine.segment import Encoding

FORMATS = (Encoding(RtmpWire(128, 0)), Encoding(RtmpWire(4096, 0)))


def packets(count: int) -> list[Packet]:
    return [Packet(VIDEO, 40 * number, b"frame", 0) for number in range(count)]


def everything(images: Images, encoding: Encoding, start: int) -> Burst:
    return images.burst(encoding, start, audio=True, video=True)


def test_a_burst_takes_over_what_live_players_were_written() -> None:
    images, wire = Images(), FORMATS[0]
    burst = everything(images, wire, 10)
    images.encode(burst, packets(1), 1)
    encoded = burst.size
    for number, image in ((9, b"before"), (11, b"two"), (13, b"three")):
        images.keep(number, packets(2), {wire: image})
    taken = images.take_written(burst)
    assert [(number, image) for number, _, image in taken] == [(11, b"two"), (13, b"three")]
    assert images.take_written(burst) == []
    assert images.size == encoded + len(b"before" + b"two" + b"three")


def test_a_burst_that_began_elsewhere_goes_with_its_bytes() -> None:
    images, wire = Images(), FORMATS[0]
    burst = everything(images, wire, 0)
    images.encode(burst, packets(3), 3)
    assert images.size == burst.size > 0
    assert everything(images, wire, 0) is burst
    assert everything(images, wire, 3).size == images.size == 0


def test_what_was_cut_off_goes_with_its_bytes() -> None:
    images, wire = Images(), FORMATS[0]
    images.encode(everything(images, wire, 0), packets(3), 3)
    images.keep(0, packets(2), {wire: b"old"})
    images.keep(2, packets(2), {wire: b"new"})
    images.cut(2)
    assert images.size == len(b"new")


def test_an_encoding_that_nobody_uses_goes_with_its_bytes() -> None:
    images = Images()
    for encoding in FORMATS:
        images.encode(everything(images, encoding, 0), packets(1), 1)
    images.keep(1, packets(1), {FORMATS[0]: b"one", FORMATS[1]: b"another"})
    images.forget(FORMATS[1])
    assert images.size == everything(images, FORMATS[0], 0).size + len(b"one")
