"""Protocol control and user control: what their messages say, both ways (RTMP 1.0, sections 5.4, 6.2, 7.1.7).

Reason of the ``ProtocolError`` raised here: ``bad_control``, a body that is too short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp.constants import BandwidthLimit, MessageType, UserControlType
from rtmpd.rtmp.messages import Message

_U32_MAX: Final = 0xFFFFFFFF


# User control events (section 7.1.7)


@dataclass(frozen=True, slots=True)
class StreamBegin:
    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamEof:
    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamDry:
    stream_id: int


@dataclass(frozen=True, slots=True)
class SetBufferLength:
    stream_id: int
    length_ms: int


@dataclass(frozen=True, slots=True)
class StreamIsRecorded:
    stream_id: int


@dataclass(frozen=True, slots=True)
class PingRequest:
    timestamp: int


@dataclass(frozen=True, slots=True)
class PingResponse:
    timestamp: int
    """Echo of the request's."""


@dataclass(frozen=True, slots=True)
class SwfVerifyRequest:
    pass


@dataclass(frozen=True, slots=True)
class SwfVerifyResponse:
    payload: bytes
    """The 42 bytes after the event type: 1, 1, SWF size twice, HMAC-SHA256."""


@dataclass(frozen=True, slots=True)
class BufferEmpty:
    stream_id: int


@dataclass(frozen=True, slots=True)
class BufferReady:
    stream_id: int


@dataclass(frozen=True, slots=True)
class UnknownUserControl:
    """An event type we do not know, or a known one whose body is too short to hold its fields."""

    type: int
    payload: bytes
    """What follows the event type."""


UserControl = (
    StreamBegin
    | StreamEof
    | StreamDry
    | SetBufferLength
    | StreamIsRecorded
    | PingRequest
    | PingResponse
    | SwfVerifyRequest
    | SwfVerifyResponse
    | BufferEmpty
    | BufferReady
    | UnknownUserControl
)

_EVENTS_OF_ONE_U32: Final[Mapping[int, Callable[[int], UserControl]]] = {
    UserControlType.STREAM_BEGIN: StreamBegin,
    UserControlType.STREAM_EOF: StreamEof,
    UserControlType.STREAM_DRY: StreamDry,
    UserControlType.STREAM_IS_RECORDED: StreamIsRecorded,
    UserControlType.PING_REQUEST: PingRequest,
    UserControlType.PING_RESPONSE: PingResponse,
    UserControlType.BUFFER_EMPTY: BufferEmpty,
    UserControlType.BUFFER_READY: BufferReady,
}
_TYPES_OF_ONE_U32: Final[Mapping[Callable[[int], UserControl], int]] = {
    event: event_type for event_type, event in _EVENTS_OF_ONE_U32.items()
}


# Builders. Control messages travel on message stream 0 and their timestamp is ignored (section 5.4).


def set_chunk_size(chunk_size: int) -> Message:
    """Set Chunk Size (section 5.4.1), 1..2**31-1 bytes; raises ``UsageError`` outside."""
    if not 1 <= chunk_size <= 0x7FFFFFFF:
        raise UsageError(f"chunk size {chunk_size} is not in 1..2**31-1")
    return _control(MessageType.SET_CHUNK_SIZE, _u32(chunk_size))


def abort(csid: int) -> Message:
    """Abort Message (section 5.4.2): drop the incomplete message of chunk stream ``csid``."""
    return _control(MessageType.ABORT, _u32(csid))


def acknowledgement(total: int) -> Message:
    """Acknowledgement (section 5.4.3) of ``total`` bytes received, sent modulo 2**32."""
    return _control(MessageType.ACKNOWLEDGEMENT, _u32(total & _U32_MAX))


def window_ack_size(window: int) -> Message:
    """Window Acknowledgement Size (section 5.4.4) in bytes."""
    return _control(MessageType.WINDOW_ACK_SIZE, _u32(window))


def set_peer_bandwidth(window: int, limit: BandwidthLimit) -> Message:
    """Set Peer Bandwidth (section 5.4.5); ``window`` in bytes."""
    return _control(MessageType.SET_PEER_BANDWIDTH, _u32(window) + bytes((limit,)))


def user_control(event: UserControl) -> Message:
    """User Control message (section 6.2) of ``event``."""
    match event:
        case (
            StreamBegin(value)
            | StreamEof(value)
            | StreamDry(value)
            | StreamIsRecorded(value)
            | PingRequest(value)
            | PingResponse(value)
            | BufferEmpty(value)
            | BufferReady(value)
        ):
            event_type, body = _TYPES_OF_ONE_U32[type(event)], _u32(value)
        case SetBufferLength(stream_id, length_ms):
            event_type, body = UserControlType.SET_BUFFER_LENGTH, _u32(stream_id) + _u32(length_ms)
        case SwfVerifyRequest():
            event_type, body = UserControlType.SWF_VERIFY_REQUEST, b"\x01"
        case SwfVerifyResponse(payload):
            event_type, body = UserControlType.SWF_VERIFY_RESPONSE, payload
        case UnknownUserControl(event_type, payload):
            body = payload
        case _:
            assert_never(event)
    return _control(MessageType.USER_CONTROL, event_type.to_bytes(2, "big") + body)


def _control(message_type: MessageType, payload: bytes) -> Message:
    return Message(int(message_type), 0, 0, payload)


def _u32(value: int) -> bytes:
    if not 0 <= value <= _U32_MAX:
        raise UsageError(f"{value} does not fit in 32 bits")
    return value.to_bytes(4, "big")


# Parsers


def parse_u32(payload: bytes) -> int:
    """The number at the head of a Set Chunk Size, Abort, Acknowledgement or window message.

    Raises ``ProtocolError`` (``bad_control``) when there are less than four bytes; more are ignored.
    """
    if len(payload) < 4:
        raise ProtocolError(SessionFailure.BAD_CONTROL, f"control message of {len(payload)} bytes, 4 needed")
    return int.from_bytes(payload[:4], "big")


def parse_user_control(payload: bytes) -> UserControl:
    """The event of a User Control message; bytes after its fields are ignored.

    Raises ``ProtocolError`` (``bad_control``) when not even an event type is there.
    """
    if len(payload) < 2:
        raise ProtocolError(
            SessionFailure.BAD_CONTROL, f"user control message of {len(payload)} bytes, 2 needed"
        )
    event_type = int.from_bytes(payload[:2], "big")
    body = payload[2:]
    of_one_u32 = _EVENTS_OF_ONE_U32.get(event_type)
    # quirk(gortmp): sends events without their body, so a short one is ignorable rather than fatal
    if of_one_u32 is not None and len(body) >= 4:
        return of_one_u32(int.from_bytes(body[:4], "big"))
    if event_type == UserControlType.SET_BUFFER_LENGTH and len(body) >= 8:
        return SetBufferLength(int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big"))
    if event_type == UserControlType.SWF_VERIFY_REQUEST:
        return SwfVerifyRequest()
    if event_type == UserControlType.SWF_VERIFY_RESPONSE:
        return SwfVerifyResponse(body)
    return UnknownUserControl(event_type, body)
