from __future__ import annotations

import gc

from rtmpd.engine.packet import AUDIO, DATA, STREAM_METADATA, Packet, PublishWire, RtmpWire
from rtmpd.engine.segment import Encoding, Segment


def packets_of(*payloads: bytes) -> list[Packet]:
    return [Packet(AUDIO, 40, payload, 0) for payload in payloads]


def test_the_same_choice_of_packets_is_the_same_bytes_for_everybody() -> None:
    encoding, other = Encoding(RtmpWire(4096, 1)), Encoding(RtmpWire(4096, 2))
    packets = packets_of(b"one", b"two", b"three")
    segment = Segment(packets, 0, cached=True)
    image, alone = segment.part(encoding, packets[1:])
    assert alone
    assert image == b"".join(encoding.wire_format.encode(packet) for packet in packets[1:])
    again, alone = segment.part(encoding, packets[1:])
    assert again is image
    assert not alone
    assert segment.part(encoding, packets[:2])[0] != image
    assert segment.part(other, packets[1:])[0] != image
    assert segment.part(encoding, list(packets)) == (segment.image(encoding), False)


def test_a_packet_made_for_one_player_is_not_mistaken_for_a_later_one() -> None:
    encoding = Encoding(RtmpWire(4096, 1))
    segment = Segment(packets_of(b"one"), 0, cached=True)
    # Made and let go in turn: without a hold on them they would follow each other in the same place.
    images = [segment.part(encoding, packets_of(bytes([number])))[0] for number in range(50)]
    assert len(set(images)) == 50


def test_a_push_shares_the_players_images_of_frames_and_only_those() -> None:
    wire = PublishWire(4096, 1)
    players = Encoding(wire.for_frames)
    push = Encoding(wire, players)
    frames = Segment(packets_of(b"one", b"two"), 0, cached=True)
    assert frames.image(push) is frames.image(players)
    metadata = Segment([Packet(DATA, 0, b"\x02\x00\x0aonMetaData\x05", STREAM_METADATA)], 0, cached=False)
    assert b"@setDataFrame" in metadata.image(push)
    assert b"@setDataFrame" not in metadata.image(players)


def test_an_encoding_that_is_let_go_leaves_nothing_to_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        Encoding(RtmpWire(4096, 1))
        assert gc.collect() == 0
    finally:
        gc.enable()
