"""The chunk stream, read: messages from bytes (RTMP 1.0, section 5.3)."""

from __future__ import annotations

from math import inf
from typing import Final

from rtmpd.exceptions import ChunkError
from rtmpd.reasons import SessionFailure
from rtmpd.rtmp.chunk_stream import MIN_RUN, NO_PARTS, ChunkStream, OpenChunk, cut_run
from rtmpd.rtmp.constants import (
    DEFAULT_CHUNK_SIZE,
    EXTENDED_TIMESTAMP,
    MAX_CHUNK_SIZE,
    MessageType,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

MAX_FULL_HEADER_DELTA_MS: Final = 10_000
"""Longest fmt 0 timestamp that a following fmt 3 message adds again.

The specification makes the timestamp of a fmt 0 header the delta of a message that then starts with fmt 3
(section 5.3.1.2.4), and FMLE and FFmpeg mean that; nginx-rtmp and others mean no delta. A jump of more
than this is taken to be meant by nobody.
"""
_TIMESTAMP_MASK: Final = 0xFFFFFFFF

# Whether fmt 3 chunks of the peer repeat the extended timestamp (section 5.3.1.3 says yes, its 2009
# draft said no, and encoders follow either). Found out once, on the first such chunk.
_UNDECIDED: Final = 0
_REPEATED: Final = 1
_NOT_REPEATED: Final = 2

_ALL: Final = 1 << 30
_SHORT_BYTES: Final = 16
"""Messages shorter than this cost more than their bytes."""


class ChunkReader:
    """Turns received bytes into messages. One per connection."""

    __slots__ = (
        "_declared",
        "_error",
        "_limits",
        "_max_declared",
        "_max_length",
        "_open",
        "_repeats_extended",
        "_rest",
        "_rest_began",
        "_rest_start",
        "_streams",
        "buffered",
        "chunk_size",
        "more",
        "partial_bytes",
    )

    def __init__(self, limits: Limits) -> None:
        self.chunk_size: int = DEFAULT_CHUNK_SIZE
        """Bytes; the peer's, as its Set Chunk Size messages say."""
        self.partial_bytes: int = 0
        """Payload bytes held of incomplete messages."""
        self.buffered: int = 0
        """Bytes held of a chunk header whose chunk has not begun to arrive, and of what ``more`` is about.

        A message is under way if and only if this or ``partial_bytes`` is not 0.
        """
        self.more: bool = False
        """``receive_data`` has stopped before the end of its data: call it again, without any if need be."""
        self._limits = limits
        self._max_length: list[int] = limits.message_lengths
        self._max_declared: int = limits.max_partial_bytes
        self._declared: int = 0
        """Length of all messages that reads have left incomplete."""
        self._streams: dict[int, ChunkStream] = {}
        self._rest: bytes = b""
        self._rest_start: int = 0
        self._rest_began: float = inf
        self._error: ChunkError | None = None
        self._repeats_extended: int = _UNDECIDED
        self._open: OpenChunk | None = None

    def expect_media(self, expected: bool) -> None:
        """Whether the peer has reason to send media that is not tiny; it does unless this is called."""
        limits = self._limits
        self._max_length = limits.message_lengths if expected else limits.early_message_lengths
        self._max_declared = limits.max_partial_bytes if expected else 2 * limits.max_command_bytes

    def receive_data(self, data: bytes, now: float = 0.0, max_messages: int = _ALL) -> list[Message]:
        """The next messages that ``data`` completes, in order.

        Set Chunk Size and Abort have taken effect when they are returned. With ``max_messages`` in hand it
        stops behind a short one: long ones are bounded by ``data``. In front of what breaks the chunk stream,
        or is longer than it may be at present, the messages before it are returned and ``more`` is set: the
        next call looks at it again, and raises ``ChunkError`` if it has not become acceptable. After any
        other error nothing can be parsed.
        """
        if self.more and self._error is not None:
            raise self._error.again()
        messages: list[Message] = []
        pos = 0
        rest_began = now
        more = False
        try:
            if self._open is not None:
                pos = self._fill_open_chunk(self._open, data, messages)
            elif self.buffered:
                pos = self._rest_start
                rest_began = self._rest_began
                if data:
                    data = self._rest[pos:] + data
                    pos = 0
                else:
                    data = self._rest
            end = len(data)
            streams = self._streams
            max_length = self._max_length
            chunk_size = self.chunk_size
            first = start = pos
            # One long loop, as a call per chunk would cost as much as the work. Whatever ``break`` leaves
            # from ``start`` on is not whole or cannot be taken yet, and nothing of it has been recorded.
            while pos < end:
                start = pos
                basic = data[pos]
                csid = basic & 0x3F
                pos += 1
                if csid < 2:
                    pos += csid + 1
                    if pos > end:
                        break
                    csid = 64 + data[start + 1] + (data[start + 2] << 8 if csid else 0)
                stream = streams.get(csid)
                if basic >= 0xC0:
                    if stream is None:
                        raise _no_header(3, csid)
                    if stream.extended >= 0:
                        pos = self._skip_extended(stream, data, pos)
                        if pos < 0:
                            break
                    if stream.todo:
                        pos = self._take_chunks(stream, csid, data, pos, messages)
                        chunk_size = self.chunk_size
                        start = pos
                        continue
                    length = stream.length
                    if pos == end and length:
                        break
                    message_type = stream.type
                    timestamp = (stream.timestamp + stream.delta) & _TIMESTAMP_MASK
                else:
                    # Byte by byte: compiled, that is a third faster than struct with its tuples. Products and
                    # sums, not shifts and ors, which are slower in pure Python.
                    header = pos
                    pos += 3 if basic >= 0x80 else 7 if basic >= 0x40 else 11
                    if pos > end:
                        break
                    field = data[header] * 65536 + data[header + 1] * 256 + data[header + 2]
                    extended = -1
                    if field == EXTENDED_TIMESTAMP:
                        if end - pos < 4:
                            break
                        field = extended = int.from_bytes(data[pos : pos + 4], "big")
                        pos += 4
                    if stream is None:
                        stream = self._open_stream(csid, basic)
                    elif stream.todo:
                        raise stream.interrupted(basic)
                    if basic < 0x80:
                        length = data[header + 3] * 65536 + data[header + 4] * 256 + data[header + 5]
                        message_type = data[header + 6]
                        if length > max_length[message_type]:
                            if not messages:
                                raise self._too_long(message_type, length)
                            more = True
                            break
                    else:
                        length = stream.length
                        message_type = stream.type
                    if pos == end and length:
                        break
                    if basic < 0x40:
                        timestamp = field
                        stream.delta = field if field <= MAX_FULL_HEADER_DELTA_MS else 0
                        stream_id = data[header + 7]
                        if data[header + 8] or data[header + 9] or data[header + 10]:
                            stream_id = int.from_bytes(data[header + 7 : header + 11], "little")
                        stream.stream_id = stream_id
                    else:
                        timestamp = (stream.timestamp + field) & _TIMESTAMP_MASK
                        stream.delta = field
                    stream.extended = extended
                    stream.type = message_type
                    stream.length = length
                stream.timestamp = timestamp
                stop = pos + length
                if length <= chunk_size and stop <= end:
                    payload = data[pos:stop]
                    start = pos = stop
                    if message_type <= 2:
                        self._apply_control(message_type, payload)
                        chunk_size = self.chunk_size
                    messages.append(Message(message_type, timestamp, stream.stream_id, payload))
                    if length < _SHORT_BYTES and len(messages) >= max_messages and pos < end:
                        more = True
                        break
                else:
                    stream.todo = length
                    stream.parts = []
                    if length > chunk_size and self._declared + length > self._max_declared:
                        # Looked at when it begins, so that no cut of the bytes matters. What fits into one
                        # chunk is whole before anything else begins.
                        raise _too_much(self._declared + length)
                    begins = start
                    start = pos = self._take_chunks(stream, csid, data, pos, messages)
                    if stream.todo or self._open is not None:
                        stream.began = now if begins > first else rest_began
                        self._declared += length
                    chunk_size = self.chunk_size
        except ChunkError as error:
            # The frames that it passes hold whoever reads here.
            self._error = error.again()
            self.more = True
            if not messages:
                raise
            return messages
        if start < end:
            self._rest = data if more else data[start:]
            self._rest_start = start if more else 0
            self._rest_began = now if start > first else rest_began
            self.buffered = end - start
            self.more = more
        elif self.buffered:
            self._rest = b""
            self.buffered = 0
            self.more = False
        return messages

    def oldest(self) -> float:
        """When the oldest message begun and not yet complete began (the clock of ``now``), or ``inf``."""
        oldest = self._rest_began if self.buffered else inf
        for stream in self._streams.values():
            if stream.began < oldest:
                oldest = stream.began
        return oldest

    def postpone(self, seconds: float) -> None:
        """Nothing was read for so long: incomplete messages are so much younger."""
        self._rest_began += seconds
        for stream in self._streams.values():
            stream.began += seconds

    def clear(self) -> None:
        """Let go of all that is held; nothing can be parsed any more."""
        self._streams.clear()
        self._open = None
        self._rest = b""
        self._error = None
        self.partial_bytes = self.buffered = 0
        self.more = False

    def _too_long(self, message_type: int, length: int) -> ChunkError:
        if length <= self._limits.message_lengths[message_type]:
            text = f"message of type {message_type} declares {length} bytes before any publish"
            return ChunkError(SessionFailure.EARLY_MEDIA, text)
        return ChunkError(
            SessionFailure.MESSAGE_TOO_LONG, f"message of type {message_type} declares {length} bytes"
        )

    def _open_stream(self, csid: int, basic: int) -> ChunkStream:
        if basic >= 0x80:
            raise _no_header(2, csid)
        # quirk(librtmp): opens chunk stream 2 with fmt 1; the missing stream id and base time are 0
        if len(self._streams) >= self._limits.max_chunk_streams:
            raise ChunkError(SessionFailure.CHUNK_STREAMS, f"more than {len(self._streams)} chunk streams")
        stream = self._streams[csid] = ChunkStream()
        return stream

    def _skip_extended(self, stream: ChunkStream, data: bytes, pos: int) -> int:
        """The position after the extended timestamp of a fmt 3 chunk, if it has one; -1: more is needed.

        Undecided, it waits only while the bytes may still turn out to be the timestamp, so that the last
        chunk of a message with a payload of less than four bytes does not hang.
        """
        if self._repeats_extended == _NOT_REPEATED:
            return pos
        seen = data[pos : pos + 4]
        if self._repeats_extended == _UNDECIDED:
            # Some repeat the field, some the message's time, which differ after a delta.
            field = stream.extended.to_bytes(4, "big")
            time = stream.timestamp.to_bytes(4, "big")
            if not field.startswith(seen) and not time.startswith(seen):
                self._repeats_extended = _NOT_REPEATED
                return pos
        if len(seen) < 4:
            return -1
        self._repeats_extended = _REPEATED
        return pos + 4

    def _take_chunks(
        self, stream: ChunkStream, csid: int, data: bytes, pos: int, messages: list[Message]
    ) -> int:
        """Take the chunk payload at ``pos`` and the continuations that follow it; the position after them."""
        end = len(data)
        chunk_size = self.chunk_size
        # The one-byte fmt 3 basic header, or -1 where it takes more bytes: that is left to whoever calls.
        continuation = 0xC0 | csid if csid < 64 else -1
        header_size = 1
        if stream.extended >= 0:
            if self._repeats_extended == _REPEATED:
                header_size = 5
            elif self._repeats_extended == _UNDECIDED:
                continuation = -1
        before = todo = stream.todo
        parts = stream.parts
        if end - pos > MIN_RUN * chunk_size < todo and continuation >= 0:
            pos, todo = cut_run(data, pos, todo, chunk_size, header_size, continuation, parts)
        while todo:
            if todo < before:
                if end - pos < header_size or data[pos] != continuation:
                    stream.todo = todo
                    self.partial_bytes += before - todo
                    return pos
                pos += header_size
            size = chunk_size
            if todo < size:
                size = todo
            stop = pos + size
            if stop > end:
                self._open = OpenChunk(stream, data[pos:], stop - end)
                stream.todo = todo - size
                self.partial_bytes += before - todo + end - pos
                return end
            parts.append(data[pos:stop])
            pos = stop
            todo -= size
        self.partial_bytes -= stream.length - before
        self._complete(stream, messages)
        return pos

    def _fill_open_chunk(self, chunk: OpenChunk, data: bytes, messages: list[Message]) -> int:
        """Go on with the chunk that the last data ended in; the position after it."""
        left = chunk.left
        if len(data) < left:
            chunk.payload += data
            chunk.left = left - len(data)
            self.partial_bytes += len(data)
            return len(data)
        chunk.payload += data[:left]
        self._open = None
        stream = chunk.stream
        stream.parts.append(bytes(chunk.payload))
        if stream.todo:
            self.partial_bytes += left
        else:
            self.partial_bytes -= stream.length - left
            self._complete(stream, messages)
        return left

    def _complete(self, stream: ChunkStream, messages: list[Message]) -> None:
        payload = b"".join(stream.parts)
        stream.parts = NO_PARTS
        stream.todo = 0
        if stream.began != inf:
            stream.began = inf
            self._declared -= stream.length
        if stream.type <= 2:
            self._apply_control(stream.type, payload)
        messages.append(Message(stream.type, stream.timestamp, stream.stream_id, payload))

    def _apply_control(self, message_type: int, payload: bytes) -> None:
        if message_type == MessageType.SET_CHUNK_SIZE:
            self.chunk_size = _chunk_size(payload, self._limits.min_chunk_size)
        elif message_type == MessageType.ABORT and len(payload) >= 4:
            stream = self._streams.get(int.from_bytes(payload[:4], "big"))
            if stream is not None and stream.todo:
                self.partial_bytes -= stream.length - stream.todo
                self._declared -= stream.length
                stream.todo = 0
                stream.began = inf
                stream.parts = NO_PARTS


def _no_header(fmt: int, csid: int) -> ChunkError:
    text = f"fmt {fmt} on chunk stream {csid}, which has had no header"
    return ChunkError(SessionFailure.NO_HEADER, text)


def _too_much(declared: int) -> ChunkError:
    return ChunkError(SessionFailure.PARTIAL_BYTES, f"incomplete messages declare {declared} bytes")


def _chunk_size(payload: bytes, smallest: int) -> int:
    """What a peer's Set Chunk Size sets; ``smallest`` is what it may."""
    if len(payload) < 4:
        raise ChunkError(SessionFailure.BAD_CONTROL, f"Set Chunk Size of {len(payload)} bytes, 4 needed")
    chunk_size = int.from_bytes(payload[:4], "big")
    if not 1 <= chunk_size <= 0x7FFFFFFF:
        raise ChunkError(SessionFailure.CHUNK_SIZE, f"chunk size {chunk_size:#x} is not in 1..2**31-1")
    if chunk_size < smallest:
        text = f"chunk size {chunk_size} is under the minimum, {smallest}"
        raise ChunkError(SessionFailure.CHUNK_SIZE, text)
    return min(chunk_size, MAX_CHUNK_SIZE)
