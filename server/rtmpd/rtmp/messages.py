"""RTMP messages: the record every layer passes on, and aggregates of several (RTMP 1.0, sections 6.1, 7.1.6).

Reason of the ``ProtocolError`` raised here: ``bad_aggregate``, an aggregate of too many messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtmpd.exceptions import ProtocolError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp.constants import MessageType

MAX_AGGREGATE_PARTS: Final = 1000
_U32_MAX: Final = 0xFFFFFFFF
_FLV_TAG_HEADER_BYTES: Final = 11
_FLV_BACK_POINTER_BYTES: Final = 4
_FLV_TAG_TYPES: Final = frozenset(
    {MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA_AMF0, MessageType.DATA_AMF3}
)
_AMF3_TYPES: Final = frozenset({int(MessageType.COMMAND_AMF3), int(MessageType.DATA_AMF3)})


@dataclass(slots=True, init=False)
class Message:
    """One RTMP message (section 6.1)."""

    type: int
    """Message type id; see ``MessageType``."""
    timestamp: int
    """Milliseconds as on the wire, 0..2**32-1; wraps."""
    stream_id: int
    """Message stream id, 0..2**32-1; 0 is the connection itself."""
    payload: bytes

    # One that ``dataclass`` writes stays interpreted where everything else is compiled.
    def __init__(self, message_type: int, timestamp: int, stream_id: int, payload: bytes) -> None:
        self.type = message_type
        self.timestamp = timestamp
        self.stream_id = stream_id
        self.payload = payload


def amf0_payload(message: Message) -> bytes:
    """The AMF0 values of a command or data message, be it one of those that say they are AMF3."""
    # quirk(flash): types 15 and 17 start with a format selector, 0 in practice; some senders leave it out.
    if message.type in _AMF3_TYPES and message.payload[:1] == b"\0":
        return message.payload[1:]
    return message.payload


def split_aggregate(message: Message, max_parts: int = MAX_AGGREGATE_PARTS) -> tuple[list[Message], bool]:
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
            raise ProtocolError(SessionFailure.BAD_AGGREGATE, f"aggregate of more than {max_parts} messages")
        time = int.from_bytes(payload[pos + 4 : pos + 7], "big") | payload[pos + 7] << 24
        if not parts:
            offset = message.timestamp - time
        data = payload[body : body + size]
        parts.append(Message(tag_type, (time + offset) & _U32_MAX, message.stream_id, data))
        pos = body + size + _FLV_BACK_POINTER_BYTES
    return parts, True
