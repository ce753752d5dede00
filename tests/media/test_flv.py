"""FLV files: encoded and read back, in pieces of every size, and broken ones."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import FlvError, ProtocolError, UsageError
from rtmpd.media.flv import FlvReader, FlvTag, encode_header, encode_tag

GOLDEN = bytes.fromhex(
    "464c5601 05 00000009 00000000"
    "12 000003 000000 00 000000 020000 0000000e"
    "09 000005 000000 00 000000 1700000000 00000010"
    "08 000004 000017 00 000000 af012110 0000000f"
    "09 000002 000001 7f 000000 2701 0000000d"
)
GOLDEN_TAGS = [
    FlvTag(18, 0, b"\x02\0\0"),
    FlvTag(9, 0, b"\x17\0\0\0\0"),
    FlvTag(8, 23, b"\xaf\x01\x21\x10"),
    FlvTag(9, 0x7F000001, b"\x27\x01"),
]
TAGS = st.lists(
    st.builds(FlvTag, st.sampled_from((8, 9, 18)), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40)),
    max_size=6,
)


def encode_file(tags: list[FlvTag]) -> bytes:
    return encode_header(True, True) + b"".join(
        encode_tag(tag.type, tag.timestamp, tag.payload) for tag in tags
    )


def test_golden_file_is_read() -> None:
    reader = FlvReader()
    assert reader.receive_data(GOLDEN) == GOLDEN_TAGS
    assert reader.has_audio
    assert reader.has_video
    assert not reader.incomplete


def test_golden_file_is_written() -> None:
    assert encode_file(GOLDEN_TAGS) == GOLDEN


@pytest.mark.parametrize(
    ("audio", "video", "flags"), [(True, True, 5), (True, False, 4), (False, True, 1), (False, False, 0)]
)
def test_header_flags(audio: bool, video: bool, flags: int) -> None:
    header = encode_header(audio, video)
    assert header[4] == flags
    reader = FlvReader()
    assert reader.receive_data(header) == []
    assert (reader.has_audio, reader.has_video) == (audio, video)


@pytest.mark.parametrize("split", range(len(GOLDEN) + 1))
def test_every_split_point(split: int) -> None:
    reader = FlvReader()
    tags = reader.receive_data(GOLDEN[:split])
    tags += reader.receive_data(GOLDEN[split:])
    assert tags == GOLDEN_TAGS
    assert not reader.incomplete


def test_byte_by_byte() -> None:
    reader = FlvReader()
    tags = [tag for byte in GOLDEN for tag in reader.receive_data(bytes((byte,)))]
    assert tags == GOLDEN_TAGS


@pytest.mark.parametrize("cut", [0, 3, 8, 18, 24, 33, len(GOLDEN) - 5])
def test_a_file_cut_short_is_incomplete(cut: int) -> None:
    reader = FlvReader()
    reader.receive_data(GOLDEN[:cut])
    assert reader.incomplete


def test_a_missing_last_back_pointer_does_not_matter() -> None:
    reader = FlvReader()
    assert reader.receive_data(GOLDEN[:-4]) == GOLDEN_TAGS
    assert not reader.incomplete


def test_a_longer_file_header_and_wrong_back_pointers() -> None:
    data = bytes.fromhex("464c5601 04 0000000b ffff 00000063") + encode_tag(8, 1, b"\xaf")[:-4]
    assert FlvReader().receive_data(data) == [FlvTag(8, 1, b"\xaf")]


@given(TAGS, st.lists(st.integers(0, 400), max_size=8))
def test_round_trip_at_any_split_points(tags: list[FlvTag], cuts: list[int]) -> None:
    data = encode_file(tags)
    points = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = FlvReader()
    read = [tag for start, end in pairwise(points) for tag in reader.receive_data(data[start:end])]
    assert read == tags
    assert not reader.incomplete


@given(st.sampled_from((b"", encode_header(True, True))), st.binary(max_size=80))
def test_arbitrary_bytes_give_tags_or_flv_error(start: bytes, data: bytes) -> None:
    with suppress(FlvError):
        for tag in FlvReader().receive_data(start + data):
            assert tag.payload in data


def test_timestamps_wrap_at_32_bits() -> None:
    assert encode_tag(8, 0x1_0000_0005, b"") == encode_tag(8, 5, b"")
    assert encode_tag(9, 0x12345678, b"")[4:8] == bytes.fromhex("34567812")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 200 OK", "not_flv"),
        (b"G", "not_flv"),
        (b"FLV\x02", "not_flv"),
        (b"FLV\x01\x05\x00\x00\x00\x08", "not_flv"),
        (b"FLV\x01\x05\xff\xff\xff\xff", "not_flv"),
        (encode_header(True, True) + b"\x28" + bytes(10), "encrypted_tag"),
        (encode_header(True, True) + b"\x08\x00\x04\x01" + bytes(7), "tag_too_large"),
    ],
)
def test_broken_files(data: bytes, reason: str) -> None:
    reader = FlvReader(max_tag_bytes=1024)
    with pytest.raises(FlvError) as caught:
        reader.receive_data(data)
    assert caught.value.reason == reason
    assert isinstance(caught.value, ProtocolError)


def test_the_tag_limit_is_inclusive() -> None:
    tag = FlvTag(9, 0, bytes(1024))
    assert FlvReader(max_tag_bytes=1024).receive_data(encode_file([tag])) == [tag]


def test_a_payload_beyond_24_bits_cannot_be_encoded() -> None:
    with pytest.raises(UsageError, match="16777215"):
        encode_tag(9, 0, bytes(0x1000000))
