from __future__ import annotations

import pytest

from rtmpd.engine.packet import AUDIO, DATA, STREAM_METADATA, VIDEO, Packet, PublishWire, RtmpWire
from rtmpd.media.tags import KEYFRAME


@pytest.mark.parametrize(("kind", "csid"), [(AUDIO, 4), (DATA, 5), (VIDEO, 6)])
def test_an_rtmp_image_has_its_own_chunk_stream_for_each_kind(kind: int, csid: int) -> None:
    image = RtmpWire(65536, 1).encode(Packet(kind, 0x010203, b"body", 0))
    assert image == bytes.fromhex(f"{csid:02x}010203000004{kind:02x}01000000") + b"body"


def test_a_payload_longer_than_the_chunk_size_is_continued() -> None:
    image = RtmpWire(4, 1).encode(Packet(VIDEO, 0, b"abcdefgh", 0))
    assert image[12:] == b"abcd\xc6efgh"


@pytest.mark.parametrize("timestamp", [2**32 + 5, 5 - 2**32])
def test_a_64_bit_timestamp_is_reduced_on_the_wire(timestamp: int) -> None:
    wire = RtmpWire(65536, 1)
    assert wire.encode(Packet(AUDIO, timestamp, b"x", 0)) == wire.encode(Packet(AUDIO, 5, b"x", 0))


def test_equal_formats_are_one() -> None:
    assert RtmpWire(4096, 1) == RtmpWire(4096, 1)
    assert len({RtmpWire(4096, 1), RtmpWire(4096, 1), RtmpWire(4096, 2), PublishWire(4096, 1)}) == 3


def test_a_restamped_packet_leaves_the_original_alone() -> None:
    packet = Packet(VIDEO, 7, b"x", 1)
    again = packet.restamped(9)
    assert (packet.timestamp, again.timestamp, again.payload, again.flags) == (7, 9, b"x", 1)


def test_an_encoder_has_its_metadata_kept_by_the_server_and_sends_all_else_as_it_is() -> None:
    wire, plain = PublishWire(65536, 1), RtmpWire(65536, 1)
    video, data = Packet(VIDEO, 7, b"x", KEYFRAME), Packet(DATA, 7, b"\x02\x00\x05onCue", 0)
    assert wire.encode(video) == plain.encode(video)
    assert wire.encode(data) == plain.encode(data)
    assert wire.for_frames == plain
    metadata = Packet(DATA, 0, b"\x02\x00\x0aonMetaData\x05", STREAM_METADATA)
    assert wire.encode(metadata)[12:] == b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x05"
