"""Control bodies, user control events and aggregates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.rtmp import messages
from rtmpd.rtmp.constants import BandwidthLimit, MessageType, UserControlType
from rtmpd.rtmp.messages import (
    BufferEmpty,
    BufferReady,
    Message,
    PingRequest,
    PingResponse,
    SetBufferLength,
    StreamBegin,
    StreamDry,
    StreamEof,
    StreamIsRecorded,
    SwfVerifyRequest,
    SwfVerifyResponse,
    UnknownUserControl,
    UserControl,
    parse_u32,
    parse_user_control,
    split_aggregate,
    user_control,
)

u32 = st.integers(0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("message", "message_type", "payload"),
    [
        (messages.set_chunk_size(4096), MessageType.SET_CHUNK_SIZE, "00001000"),
        (messages.set_chunk_size(0x7FFFFFFF), MessageType.SET_CHUNK_SIZE, "7fffffff"),
        (messages.abort(6), MessageType.ABORT, "00000006"),
        (messages.acknowledgement(2_500_000), MessageType.ACKNOWLEDGEMENT, "002625a0"),
        (messages.acknowledgement(2**32 + 5), MessageType.ACKNOWLEDGEMENT, "00000005"),
        (messages.window_ack_size(2_500_000), MessageType.WINDOW_ACK_SIZE, "002625a0"),
        (
            messages.set_peer_bandwidth(2_500_000, BandwidthLimit.DYNAMIC),
            MessageType.SET_PEER_BANDWIDTH,
            "002625a002",
        ),
    ],
)
def test_control_messages(message: Message, message_type: MessageType, payload: str) -> None:
    assert message == Message(message_type, 0, 0, bytes.fromhex(payload))
    assert parse_u32(message.payload) == int(payload[:8], 16)


@pytest.mark.parametrize("chunk_size", [0, -1, 0x80000000])
def test_set_chunk_size_refuses_what_no_reader_takes(chunk_size: int) -> None:
    with pytest.raises(UsageError):
        messages.set_chunk_size(chunk_size)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_values_that_do_not_fit(value: int) -> None:
    with pytest.raises(UsageError):
        messages.window_ack_size(value)


def test_parse_u32_ignores_what_follows_and_needs_four_bytes() -> None:
    assert parse_u32(b"\x00\x00\x01\x00\xff") == 256
    with pytest.raises(ProtocolError) as caught:
        parse_u32(b"\x00\x00\x01")
    assert caught.value.reason == "bad_control"


EVENTS: list[tuple[UserControl, str]] = [
    (StreamBegin(1), "0000 00000001"),
    (StreamEof(1), "0001 00000001"),
    (StreamDry(1), "0002 00000001"),
    (SetBufferLength(1, 3000), "0003 00000001 00000bb8"),
    (StreamIsRecorded(1), "0004 00000001"),
    (PingRequest(0xDEADBEEF), "0006 deadbeef"),
    (PingResponse(0xDEADBEEF), "0007 deadbeef"),
    (SwfVerifyRequest(), "001a 01"),
    (SwfVerifyResponse(bytes(range(42))), "001b" + bytes(range(42)).hex()),
    (BufferEmpty(1), "001f 00000001"),
    (BufferReady(1), "0020 00000001"),
    (UnknownUserControl(5, b"what"), "0005" + b"what".hex()),
]


@pytest.mark.parametrize(("event", "payload"), EVENTS)
def test_user_control(event: UserControl, payload: str) -> None:
    assert user_control(event) == Message(MessageType.USER_CONTROL, 0, 0, bytes.fromhex(payload))
    assert parse_user_control(bytes.fromhex(payload)) == event


def test_every_user_control_type_is_covered() -> None:
    covered = {parse_user_control(bytes.fromhex(payload)).__class__ for _, payload in EVENTS}
    assert len(covered) == len(UserControlType) + 1


@given(u32, u32)
def test_set_buffer_length_round_trip(stream_id: int, length_ms: int) -> None:
    event = SetBufferLength(stream_id, length_ms)
    assert parse_user_control(user_control(event).payload) == event


@given(st.binary(min_size=2, max_size=64))
def test_user_control_never_fails_on_two_bytes_or_more(payload: bytes) -> None:
    parse_user_control(payload)


def test_user_control_without_a_body_is_ignorable() -> None:
    # quirk(gortmp): sends the event type alone
    assert parse_user_control(b"\x00\x03") == UnknownUserControl(3, b"")
    assert parse_user_control(b"\x00\x03\x00\x00\x00\x01") == UnknownUserControl(3, b"\x00\x00\x00\x01")
    assert parse_user_control(b"\x00\x06\x00\x00\x00") == UnknownUserControl(6, b"\x00\x00\x00")


def test_user_control_ignores_what_follows() -> None:
    assert parse_user_control(bytes.fromhex("0000 00000001 ff")) == StreamBegin(1)


@pytest.mark.parametrize("payload", [b"", b"\x00"])
def test_user_control_needs_an_event_type(payload: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_user_control(payload)
    assert caught.value.reason == "bad_control"


# Aggregates


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
