"""One chunk stream, read: its last header, and what has come of its message (RTMP 1.0, section 5.3)."""

from __future__ import annotations

from math import inf
from typing import Final

from rtmpd.exceptions import ChunkError
from rtmpd.reasons import SessionFailure

MIN_RUN: Final = 4
"""Chunks in hand from which cutting the headers out of a run beats collecting slices."""
NO_PARTS: Final[list[bytes]] = []
"""Of all chunk streams between messages; never changed."""


class ChunkStream:
    """The last header of a chunk stream, and the message being assembled on it."""

    __slots__ = (
        "began",
        "delta",
        "extended",
        "length",
        "parts",
        "stream_id",
        "timestamp",
        "todo",
        "type",
    )

    def __init__(self) -> None:
        self.type: int = 0
        self.timestamp: int = 0
        self.delta: int = 0
        """What a fmt 3 header adds to start a message."""
        self.extended: int = -1
        """The extended timestamp field of the last header that had any, -1 if it was not extended."""
        self.stream_id: int = 0
        self.length: int = 0
        self.todo: int = 0
        """Payload bytes of the message that no chunk has brought yet; 0 between messages."""
        self.parts: list[bytes] = NO_PARTS
        """What has come of the message being assembled."""
        self.began: float = inf
        """When the message being assembled began, if a read has left it incomplete; else ``inf``."""

    def interrupted(self, basic: int) -> ChunkError:
        """What is wrong with a new header, whose first byte is ``basic``, before the message is whole."""
        text = f"fmt {basic >> 6} in the midst of a message, {self.todo} bytes due"
        return ChunkError(SessionFailure.HEADER_MID_MESSAGE, text)


class OpenChunk:
    """A chunk whose payload was cut by the end of the data.

    It is gathered, so that a large chunk that trickles in is neither joined again and again nor kept as a
    heap of small objects.
    """

    __slots__ = ("left", "payload", "stream")

    def __init__(self, stream: ChunkStream, payload: bytes, left: int) -> None:
        self.stream = stream
        self.payload = bytearray(payload)
        self.left: int = left
        """Bytes that are still to come."""


def cut_run(
    data: bytes, pos: int, todo: int, chunk_size: int, header_size: int, continuation: int, parts: list[bytes]
) -> tuple[int, int]:
    """Take all chunks in hand at once if nothing is interleaved; the new position and bytes to do.

    Their headers are evenly spaced, so a few strided operations replace a slice per chunk.
    """
    step = chunk_size + header_size
    available = len(data) - pos
    headers = (todo - 1) // chunk_size
    size = todo + headers * header_size
    if size > available:
        headers = (available - chunk_size) // step
        size = chunk_size + headers * step
    first = pos + chunk_size
    if data[first] != continuation or data[first : pos + size : step].count(continuation) != headers:
        return pos, todo
    run = bytearray(data[pos : pos + size])
    for width in range(step, chunk_size, -1):
        del run[chunk_size::width]
    parts.append(bytes(run))
    return pos + size, todo - len(run)
