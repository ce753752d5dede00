"""RTMP messages: the record every layer passes on, control message bodies, aggregates (RTMP 1.0, 5.4, 7.1).

Reasons of the ``ProtocolError`` raised here: ``bad_control`` (a control body is too short) and
``bad_aggregate`` (an aggregate of too many messages).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.rtmp.constants import BandwidthLimit, MessageType, UserControlType

_U32_MAX: Final = 0xFFFFFFFF
_FLV_TAG_HEADER_BYTES: Final = 11
_FLV_BACK_POINTER_BYTES: Final = 4
_FLV_TAG_TYPES: Final = frozenset(
    {MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA_AMF0, MessageType.DATA_AMF3}
)


@dataclass(slots=True)
class Message:
    """One RTMP message (section 6.1)."""

    type: int
    """Message type id; see ``MessageType``."""
    timestamp: int
    """Milliseconds as on the wire, 0..2**32-1; wraps."""
    stream_id: int
    """Message stream id, 0..2**32-1; 0 is the connection itself."""
    payload: bytes


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
        case StreamBegin(stream_id):
            event_type, body = int(UserControlType.STREAM_BEGIN), _u32(stream_id)
        case StreamEof(stream_id):
            event_type, body = UserControlType.STREAM_EOF, _u32(stream_id)
        case StreamDry(stream_id):
            event_type, body = UserControlType.STREAM_DRY, _u32(stream_id)
        case SetBufferLength(stream_id, length_ms):
            event_type, body = UserControlType.SET_BUFFER_LENGTH, _u32(stream_id) + _u32(length_ms)
        case StreamIsRecorded(stream_id):
            event_type, body = UserControlType.STREAM_IS_RECORDED, _u32(stream_id)
        case PingRequest(timestamp):
            event_type, body = UserControlType.PING_REQUEST, _u32(timestamp)
        case PingResponse(timestamp):
            event_type, body = UserControlType.PING_RESPONSE, _u32(timestamp)
        case SwfVerifyRequest():
            event_type, body = UserControlType.SWF_VERIFY_REQUEST, b"\x01"
        case SwfVerifyResponse(payload):
            event_type, body = UserControlType.SWF_VERIFY_RESPONSE, payload
        case BufferEmpty(stream_id):
            event_type, body = UserControlType.BUFFER_EMPTY, _u32(stream_id)
        case BufferReady(stream_id):
            event_type, body = UserControlType.BUFFER_READY, _u32(stream_id)
        case UnknownUserControl(event_type, payload):
            body = payload
    return _control(MessageType.USER_CONTROL, struct.pack(">H", event_type) + body)


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
        raise ProtocolError("bad_control", f"control message of {len(payload)} bytes, 4 needed")
    return int.from_bytes(payload[:4], "big")


def parse_user_control(payload: bytes) -> UserControl:
    """The event of a User Control message; bytes after its fields are ignored.

    Raises ``ProtocolError`` (``bad_control``) when not even an event type is there.
    """
    if len(payload) < 2:
        raise ProtocolError("bad_control", f"user control message of {len(payload)} bytes, 2 needed")
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


def split_aggregate(message: Message, max_parts: int = 1000) -> tuple[list[Message], bool]:
    """The audio, video and data messages inside an Aggregate message (section 7.1.6); whether that is all.

    Their times keep their distances and start at the aggregate's own timestamp; its stream id replaces
    theirs. From the first thing on that is no whole FLV tag of such a message the rest is left out: padding,
    a tag cut short, another type (so nothing nests). The last back pointer may be missing. Raises
    ``ProtocolError`` (``bad_aggregate``) when there are over ``max_parts``.
    """
    payload = message.payload
    end = len(payload)
    pos = 0
    offset = 0
    parts: list[Message] = []
    while pos < end:
        body = pos + _FLV_TAG_HEADER_BYTES
        if body > end:
            return parts, False
        tag_type = payload[pos]
        size = int.from_bytes(payload[pos + 1 : pos + 4], "big")
        if tag_type not in _FLV_TAG_TYPES or size > end - body:
            return parts, False
        if len(parts) == max_parts:
            raise ProtocolError("bad_aggregate", f"aggregate of more than {max_parts} messages")
        time = int.from_bytes(payload[pos + 4 : pos + 7], "big") | payload[pos + 7] << 24
        if not parts:
            offset = message.timestamp - time
        data = payload[body : body + size]
        parts.append(Message(tag_type, (time + offset) & _U32_MAX, message.stream_id, data))
        pos = body + size + _FLV_BACK_POINTER_BYTES
    return parts, True
