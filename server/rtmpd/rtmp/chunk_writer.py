"""The chunk stream, written: messages to bytes (RTMP 1.0, section 5.3)."""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import Final

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.constants import (
    DEFAULT_CHUNK_SIZE,
    EXTENDED_TIMESTAMP,
    MAX_CSID,
    MAX_MESSAGE_LENGTH,
    MIN_CSID,
    MessageType,
)
from rtmpd.rtmp.control import parse_u32
from rtmpd.rtmp.messages import Message

_TIMESTAMP_MASK: Final = 0xFFFFFFFF

_LARGE_CHUNK: Final = 1024
"""Bytes."""

_write_full = Struct(">HBHBB4s").pack


def encode_message(
    message_type: int, timestamp: int, stream_id: int, payload: bytes, csid: int, chunk_size: int
) -> bytes:
    """A whole message: a fmt 0 header, then fmt 3 continuations that repeat an extended timestamp.

    ``timestamp`` (ms) is taken modulo 2**32. Raises ``UsageError`` for a ``csid`` outside 2..65599, a payload
    over 2**24-1 bytes, a chunk size under 1, a type over 255 or a message stream id over 2**32-1.
    """
    length = len(payload)
    if length > MAX_MESSAGE_LENGTH:
        raise UsageError(f"message of {length} bytes, the protocol ends at {MAX_MESSAGE_LENGTH}")
    timestamp &= _TIMESTAMP_MASK
    field = timestamp
    extension = b""
    if timestamp >= EXTENDED_TIMESTAMP:
        field = EXTENDED_TIMESTAMP
        extension = timestamp.to_bytes(4, "big")
    try:
        fields = _write_full(
            field >> 8,
            field & 0xFF,
            length >> 8,
            length & 0xFF,
            message_type,
            stream_id.to_bytes(4, "little"),
        )
    except (OverflowError, struct_error):
        text = f"type {message_type} or message stream id {stream_id} does not fit its field"
        raise UsageError(text) from None
    header = _basic_header(0x00, csid) + fields + extension
    if length <= chunk_size:
        return header + payload
    if chunk_size < 1:
        raise UsageError(f"chunk size {chunk_size} is under 1")
    return _join_chunks(header, _basic_header(0xC0, csid) + extension, payload, chunk_size)


def _join_chunks(header: bytes, continuation: bytes, payload: bytes, chunk_size: int) -> bytes:
    """A message of several chunks."""
    length = len(payload)
    if chunk_size < _LARGE_CHUNK:
        # A small piece is cheaper copied twice than referred to.
        pieces = [payload[pos : pos + chunk_size] for pos in range(0, length, chunk_size)]
        pieces[0] = header + pieces[0]
        return continuation.join(pieces)
    view = memoryview(payload)
    parts: list[bytes | memoryview] = [header, view[:chunk_size]]
    for pos in range(chunk_size, length, chunk_size):
        parts.append(continuation)
        parts.append(view[pos : pos + chunk_size])
    return b"".join(parts)


def _basic_header(fmt_bits: int, csid: int) -> bytes:
    """The shortest form for ``csid`` (section 5.3.1.1); ``fmt_bits`` are the top two bits in place."""
    if not MIN_CSID <= csid <= MAX_CSID:
        raise UsageError(f"chunk stream id {csid} is not in {MIN_CSID}..{MAX_CSID}")
    if csid < 64:
        return bytes((fmt_bits | csid,))
    if csid < 320:
        return bytes((fmt_bits, csid - 64))
    return bytes((fmt_bits | 1,)) + (csid - 64).to_bytes(2, "little")


class ChunkWriter:
    """Turns messages into bytes. One per connection; keeps our own chunk size."""

    __slots__ = ("chunk_size",)

    def __init__(self) -> None:
        self.chunk_size: int = DEFAULT_CHUNK_SIZE
        """Bytes; as the Set Chunk Size messages written so far say."""

    def write(self, message: Message, csid: int) -> bytes:
        """The bytes of ``message``; a Set Chunk Size takes effect right after. Raises ``UsageError``."""
        data = encode_message(
            message.type, message.timestamp, message.stream_id, message.payload, csid, self.chunk_size
        )
        if message.type == MessageType.SET_CHUNK_SIZE:
            self.chunk_size = parse_u32(message.payload)
        return data
