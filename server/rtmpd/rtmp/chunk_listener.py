"""The chunk stream, listened in on: of each message where it was, how long, and how it began.

``ChunkReader`` does the work of a connection and knows no more than that takes. This one is for people who
look on: it tells chunk streams, holds next to nothing, and is in no hurry.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.exceptions import ChunkError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp.chunks import MAX_FULL_HEADER_DELTA_MS
from rtmpd.rtmp.constants import (
    DEFAULT_CHUNK_SIZE,
    EXTENDED_TIMESTAMP,
    MAX_CHUNK_SIZE,
    ChunkFormat,
    MessageType,
)
from rtmpd.rtmp.messages import Message

HEAD_BYTES: Final = 4096
"""Of each payload that are kept."""
_MAX_STREAMS: Final = 64
_HEADER_BYTES: Final = (11, 7, 3, 0)
"""By ``ChunkFormat``."""


class Heard(NamedTuple):
    """One message."""

    csid: int
    length: int
    """Bytes of the whole payload."""
    message: Message
    """With no more than the first ``HEAD_BYTES`` of its payload."""


class _ChunkStream:
    __slots__ = ("delta", "extended", "head", "length", "stream_id", "timestamp", "todo", "type")

    def __init__(self) -> None:
        self.type = self.timestamp = self.delta = self.stream_id = self.length = 0
        self.extended = -1
        """The extended timestamp of the last header that had any, -1 if it had none."""
        self.todo = 0
        """Payload bytes that are still to come; 0 between messages."""
        self.head = bytearray()


class ChunkListener:
    """Hears the messages of one direction of a connection."""

    def __init__(self) -> None:
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._streams: dict[int, _ChunkStream] = {}
        self._csid = 0
        self._left: int | None = None
        """Payload bytes of the chunk under way that are still to come; None between chunks."""
        self._rest = b""
        """The beginning of a chunk header."""

    def hear(self, data: bytes) -> list[Heard]:
        """The messages that ``data`` completes. Raises ChunkError when it can make no sense of it."""
        data, self._rest = self._rest + data, b""
        heard: list[Heard] = []
        pos = 0
        while self._left is not None or pos < len(data):
            if self._left is None:
                begin = self._begin_chunk(data, pos)
                if begin is None:
                    self._rest = data[pos:]
                    break
                pos = begin
            elif self._left and pos == len(data):
                break
            pos = self._take(data, pos, heard)
        return heard

    def _begin_chunk(self, data: bytes, pos: int) -> int | None:
        """Read a chunk header; the position after it, or None when it is not whole."""
        fmt, csid = divmod(data[pos], 64)
        pos += 1
        if csid < 2:
            width = csid + 1
            if len(data) < pos + width:
                return None
            csid = 64 + int.from_bytes(data[pos : pos + width], "little")
            pos += width
        stream = self._streams.get(csid)
        if stream is None:
            if fmt > ChunkFormat.SAME_STREAM or len(self._streams) >= _MAX_STREAMS:
                raise ChunkError(
                    SessionFailure.NO_HEADER, f"fmt {fmt} on chunk stream {csid}, which has had no header"
                )
            stream = _ChunkStream()
        elif stream.todo and fmt != ChunkFormat.CONTINUATION:
            raise ChunkError(SessionFailure.HEADER_MID_MESSAGE, f"fmt {fmt} in the midst of a message")
        end = _read_header(stream, fmt, data, pos)
        if end is None:
            return None
        self._streams[csid] = stream
        self._csid = csid
        if not stream.todo:
            stream.todo = stream.length
            stream.head.clear()
        self._left = min(self._chunk_size, stream.todo)
        return end

    def _take(self, data: bytes, pos: int, heard: list[Heard]) -> int:
        """Take what there is of the chunk under way; the position after it."""
        stream = self._streams[self._csid]
        left = self._left or 0
        size = min(left, len(data) - pos)
        stream.head += data[pos : pos + min(size, HEAD_BYTES - len(stream.head))]
        stream.todo -= size
        self._left = left - size or None
        if not stream.todo:
            payload = bytes(stream.head)
            message = Message(stream.type, stream.timestamp, stream.stream_id, payload)
            heard.append(Heard(self._csid, stream.length, message))
            self._obey(message)
        return pos + size

    def _obey(self, message: Message) -> None:
        if len(message.payload) < 4:
            return
        number = int.from_bytes(message.payload[:4], "big")
        if message.type == MessageType.SET_CHUNK_SIZE:
            self._chunk_size = max(1, min(number, MAX_CHUNK_SIZE))
        elif message.type == MessageType.ABORT and number in self._streams:
            self._streams[number].todo = 0


def _read_header(stream: _ChunkStream, fmt: int, data: bytes, pos: int) -> int | None:
    """Read what follows the basic header into ``stream``; the position after it, None if it is not whole."""
    size = _HEADER_BYTES[fmt]
    header = data[pos : pos + size]
    pos += size
    if len(header) < size:
        return None
    if fmt == ChunkFormat.CONTINUATION:
        end = _skip_extended(stream, data, pos)
        if end is not None and not stream.todo:
            stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
        return end
    field = int.from_bytes(header[:3], "big")
    extended = -1
    if field == EXTENDED_TIMESTAMP:
        if len(data) < pos + 4:
            return None
        field = extended = int.from_bytes(data[pos : pos + 4], "big")
        pos += 4
    stream.extended = extended
    if fmt == ChunkFormat.FULL:
        stream.timestamp = field
        stream.delta = field if field <= MAX_FULL_HEADER_DELTA_MS else 0
        stream.stream_id = int.from_bytes(header[7:], "little")
    else:
        stream.timestamp = (stream.timestamp + field) & 0xFFFFFFFF
        stream.delta = field
    if fmt != ChunkFormat.SAME_LENGTH_AND_STREAM:
        stream.length = int.from_bytes(header[3:6], "big")
        stream.type = header[6]
    return pos


def _skip_extended(stream: _ChunkStream, data: bytes, pos: int) -> int | None:
    """The position after the extended timestamp that a fmt 3 header may repeat; None if more is needed.

    Some repeat the field, some the message's time, some neither: seen is what counts, each time.
    """
    if stream.extended < 0:
        return pos
    seen = data[pos : pos + 4]
    times = (stream.extended.to_bytes(4, "big"), stream.timestamp.to_bytes(4, "big"))
    if not any(time.startswith(seen) for time in times):
        return pos
    return pos + 4 if len(seen) == 4 else None
