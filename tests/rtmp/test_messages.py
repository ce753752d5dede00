"""Aggregates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import ProtocolError
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message, split_aggregate


def tag(message_type: int, timestamp: int, data: bytes, stream_id: int = 0) -> bytes:
    header = bytes((message_type,)) + len(data).to_bytes(3, "big") + (timestamp & 0xFFFFFF).to_bytes(3, "big")
    header += bytes((timestamp >> 24,)) + stream_id.to_bytes(3, "little")
    return header + data + (len(data) + 11).to_bytes(4, "big")


def aggregate(body: bytes, timestamp: int = 1000) -> Message:
    return Message(MessageType.AGGREGATE, timestamp, 1, body)


def test_aggregate_times_start_at_its_own_and_its_stream_id_wins() -> None:
    body = tag(8, 40, b"one", 7) + tag(9, 63, b"two") + tag(18, 40, b"") + tag(8, 30, b"back")
    parts = [
        Message(8, 1000, 1, b"one"),
        Message(9, 1023, 1, b"two"),
        Message(18, 1000, 1, b""),
        Message(8, 990, 1, b"back"),
    ]
    assert split_aggregate(aggregate(body)) == (parts, True)


def test_aggregate_times_have_32_bits_and_wrap() -> None:
    body = tag(8, 0xFFFFFFF0, b"a") + tag(8, 0x00000010, b"b")
    assert [part.timestamp for part in split_aggregate(aggregate(body, 0xFFFFFFE8))[0]] == [0xFFFFFFE8, 8]
    body = tag(8, 0x01000000, b"a") + tag(8, 0x02000005, b"b")
    assert [part.timestamp for part in split_aggregate(aggregate(body, 0))[0]] == [0, 0x01000005]


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_the_last_back_pointer_may_be_missing(missing: int) -> None:
    body = tag(8, 0, b"a") + tag(8, 5, b"b")
    parts, whole = split_aggregate(aggregate(body[:-missing]))
    assert len(parts) == 2
    assert whole


def test_empty_aggregate() -> None:
    assert split_aggregate(aggregate(b"")) == ([], True)


@pytest.mark.parametrize(
    "rest",
    [
        tag(8, 0, b"a")[:10],
        b"\x08",
        bytes(3),
        bytes(40),
        tag(8, 0, b"abc")[:13],
        tag(0, 0, b"a"),
        tag(22, 0, tag(8, 0, b"a")),
        tag(20, 0, b"connect"),
        tag(1, 0, b"\x00\x00\x10\x00"),
    ],
    ids=[
        "header cut",
        "byte",
        "padding",
        "more padding",
        "data cut",
        "type 0",
        "nested",
        "command",
        "control",
    ],
)
def test_what_comes_before_the_odd_rest_of_an_aggregate_counts(rest: bytes) -> None:
    assert split_aggregate(aggregate(rest)) == ([], False)
    parts = [Message(8, 1000, 1, b"a"), Message(15, 1007, 1, b"b")]
    body = tag(8, 40, b"a") + tag(15, 47, b"b")
    assert split_aggregate(aggregate(body + rest)) == (parts, False)


def test_aggregate_of_too_many_parts() -> None:
    body = tag(8, 0, b"") * 1000
    assert len(split_aggregate(aggregate(body))[0]) == 1000
    assert split_aggregate(aggregate(body + b"\0"))[1] is False
    with pytest.raises(ProtocolError) as caught:
        split_aggregate(aggregate(body + tag(8, 0, b"")))
    assert caught.value.reason == "bad_aggregate"
    with pytest.raises(ProtocolError):
        split_aggregate(aggregate(tag(8, 0, b"") * 3), max_parts=2)


@given(st.binary(max_size=200))
def test_hostile_aggregates_fail_in_one_way_only(body: bytes) -> None:
    try:
        parts, _ = split_aggregate(aggregate(body))
    except ProtocolError:
        return
    assert sum(len(part.payload) for part in parts) <= len(body)
