"""What a process writes: lines for our log, as many as may be, and never more bytes than are looked at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final, cast

from rtmpd.rtmp.rates import TokenBucket
from rtmpd.rtmp.scrubbing import Scrubber

_BYTES_PER_SECOND: Final = 128 * 1024
"""Beyond it a process waits with what it writes: reading it is to cost next to nothing."""
_LINE_COST: Final = 64
"""Bytes that a line counts for beside its own: most of the work is for lines."""
_MAX_LINE: Final = 2048
"""Bytes of a line that are kept while its end has not come."""
_MAX_TEXT: Final = 200
"""Characters of a line that are logged."""
_MINUTE: Final = 60.0
_ENDS: Final = re.compile(rb"\r?\n|\r")


class Output(asyncio.Protocol):
    """Reads the pipe that is a process's standard output and standard error.

    ``tell(text)`` is given a line of which nothing is secret, ``tell_left_out(lines)`` how many were not
    told: of ``lines_per_minute`` as many may come at once. A line that only a carriage return ends shows
    progress, and the next one overwrites it: none of them is told.
    """

    def __init__(
        self,
        scrubber: Scrubber,
        clock: Callable[[], float],
        lines_per_minute: int,
        tell: Callable[[str], None],
        tell_left_out: Callable[[int], None],
    ) -> None:
        self._scrubber = scrubber
        self._clock = clock
        now = clock()
        self._bytes = TokenBucket(_BYTES_PER_SECOND, _BYTES_PER_SECOND, now)
        self._lines = (
            TokenBucket(lines_per_minute / _MINUTE, lines_per_minute, now) if lines_per_minute else None
        )
        self._tell = tell
        self._tell_left_out = tell_left_out
        self._left_out = 0
        self._told_at = now
        self._begun = b""
        self._transport: asyncio.ReadTransport | None = None
        self._resumes: asyncio.TimerHandle | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing more can come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of uvloop no class says what it is.
        self._transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        now = self._clock()
        *lines, rest = _split(self._begun + data)
        for text, progress in lines:
            if not progress:
                self._take(text, now)
        # Of a line without an end the beginning is kept.
        self._begun = rest[0][:_MAX_LINE]
        debt = self._bytes.take(len(data) + _LINE_COST * len(lines), now)
        if debt and self._transport is not None and self._resumes is None:
            self._transport.pause_reading()
            self._resumes = asyncio.get_running_loop().call_later(debt, self._resume)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._resumes is not None:
            self._resumes.cancel()
        now = self._clock()
        self._take(self._begun, now)
        self._begun = b""
        self._summarise(now)
        self._transport = None
        if not self.over.done():
            self.over.set_result(None)

    def close(self) -> None:
        """Read no more: the process has ended, whoever else may hold its pipe."""
        if self._transport is not None:
            self._transport.close()

    def _resume(self) -> None:
        self._resumes = None
        if self._transport is not None:
            self._transport.resume_reading()

    def _take(self, line: bytes, now: float) -> None:
        text = " ".join(line[:_MAX_LINE].decode(errors="replace").split())
        if not text:
            return
        if self._lines is None or not self._lines.allow(now):
            self._left_out += 1
            if now - self._told_at >= _MINUTE:
                self._summarise(now)
            return
        self._tell(self._scrubber.redact(text)[:_MAX_TEXT])

    def _summarise(self, now: float) -> None:
        self._told_at = now
        if self._left_out:
            self._tell_left_out(self._left_out)
            self._left_out = 0


def _split(data: bytes) -> list[tuple[bytes, bool]]:
    """Lines, and whether the next one overwrites each; the last has no end yet.

    A carriage return at the very end is left with what has no end: a newline may follow.
    """
    lines = []
    begin = 0
    for end in _ENDS.finditer(data):
        if end[0] == b"\r" and end.end() == len(data):
            break
        lines.append((data[begin : end.start()], end[0] == b"\r"))
        begin = end.end()
    return [*lines, (data[begin:], False)]
