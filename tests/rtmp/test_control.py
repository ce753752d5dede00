"""Control bodies and user control events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.rtmp import control
from rtmpd.rtmp.constants import BandwidthLimit, MessageType, UserControlType
from rtmpd.rtmp.control import (
    BufferEmpty,
    BufferReady,
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
    user_control,
)
from rtmpd.rtmp.messages import Message

u32 = st.integers(0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("message", "message_type", "payload"),
    [
        (control.set_chunk_size(4096), MessageType.SET_CHUNK_SIZE, "00001000"),
        (control.set_chunk_size(0x7FFFFFFF), MessageType.SET_CHUNK_SIZE, "7fffffff"),
        (control.abort(6), MessageType.ABORT, "00000006"),
        (control.acknowledgement(2_500_000), MessageType.ACKNOWLEDGEMENT, "002625a0"),
        (control.acknowledgement(2**32 + 5), MessageType.ACKNOWLEDGEMENT, "00000005"),
        (control.window_ack_size(2_500_000), MessageType.WINDOW_ACK_SIZE, "002625a0"),
        (
            control.set_peer_bandwidth(2_500_000, BandwidthLimit.DYNAMIC),
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
        control.set_chunk_size(chunk_size)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_values_that_do_not_fit(value: int) -> None:
    with pytest.raises(UsageError):
        control.window_ack_size(value)


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
