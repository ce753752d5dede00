"""When pending packets are written: at the end of the loop turn when idle, in larger batches under load."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Final, Protocol

from rtmpd.engine.limits import EngineLimits

MAX_SHARE: Final = 0.05
"""Share of the time that flushing may take before packets wait for each other."""
_SAVED: Final = 0.02
"""Seconds whose share may be saved up: what few players cost now and then makes nobody wait."""
_UNNOTICED: Final = _SAVED / 4
"""Of that: what little a flush may cost is not looked at, as looking takes the loop a turn of its own."""
_PERIOD: Final = 0.25
"""Seconds over which the streams are counted that divide the share among them."""
_RISE_FACTOR: Final = 1.1
_RISE: Final = 0.000_001
"""What a write costs is taken to rise by a tenth and so many seconds at most from one flush to the next."""
_TIMER_RESOLUTION: Final = 0.001
"""Seconds; event loops round shorter delays up, so a shorter wait is not worth a timer."""

_logger = logging.getLogger(__name__)


class Flushable(Protocol):
    """What can be marked: a stream. The numbers are for the flusher alone, and 0 at first."""

    limits: EngineLimits
    """Of which ``merge_window`` bounds how long it waits."""
    flush_due: float
    """Clock reading from which it may be flushed whatever the others cost."""
    flush_period: int
    """The last period in which it was."""

    def flush(self, now: float) -> int:
        """Write what is pending; returns to how many subscribers, at the most."""


class Handle(Protocol):
    """A callback that is yet to run."""

    def cancel(self) -> None:
        """Do not run it."""


class Flusher:
    """Collects streams with pending packets and flushes them together.

    ``call_soon(callback)`` runs a callback in the next turn of the event loop, ``call_later(delay,
    callback)`` after ``delay`` seconds, ``clock()`` reads seconds and ``cpu_clock()`` those that this thread
    has worked. A flush that takes more than ``MAX_SHARE`` of the time since the one before puts the next one
    off until it is the share again, for each stream by its own ``merge_window`` at most. A stream that keeps
    to its part of the share, as many parts as there are streams, does not wait for what the others cost.

    The loop writes to the sockets after a flush has returned, and does other things before that can be
    measured. A flush is charged with what writes take when little else is done, so that whoever keeps the
    loop busy otherwise makes no player wait. While they cost too little to matter they are not measured, only
    taken to become dearer, until it would matter.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], Handle],
        call_later: Callable[[float, Callable[[], None]], Handle],
        clock: Callable[[], float],
        cpu_clock: Callable[[], float],
    ) -> None:
        self.call_soon = call_soon
        self._call_later = call_later
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._dirty: list[Flushable] = []
        self._planned: Handle | None = None
        """The next flush."""
        self._planned_for = math.inf
        self._due = clock()
        """Clock reading from which everybody may be flushed."""
        self._write_cost = 0.0
        """Seconds that a flush takes for each subscriber, what the loop does later included."""
        self._writes = 0
        """Subscribers of the last flush."""
        self._started = 0.0
        """Reading of the CPU clock before it."""
        self._period = 1
        self._period_ends = 0.0
        self._streams = 0
        """Streams flushed in this period so far."""
        self._parts = 1
        """Of the share: the streams of this period or the last, whichever are more."""

    def mark(self, stream: Flushable) -> None:
        """Have ``stream.flush`` called soon. A stream marks itself once until it is flushed."""
        self._dirty.append(stream)
        self._plan(min(stream.flush_due, self._due))

    def flush(self) -> None:
        """Flush everything that is marked, now."""
        dirty, self._dirty = self._dirty, []
        self._flush(dirty, self._clock())

    def _plan(self, due: float) -> None:
        if due >= self._planned_for:
            return
        if self._planned is not None:
            self._planned.cancel()
        self._planned_for = due
        wait = due - self._clock()
        if wait < _TIMER_RESOLUTION:
            self._planned = self.call_soon(self._flush_due)
        else:
            self._planned = self._call_later(wait, self._flush_due)

    def _flush_due(self) -> None:
        self._planned = None
        self._planned_for = math.inf
        now = self._clock()
        latest = now + _TIMER_RESOLUTION
        dirty = self._dirty
        if self._due < latest:
            self._dirty = []
        else:
            self._dirty = [stream for stream in dirty if stream.flush_due >= latest]
            dirty = [stream for stream in dirty if stream.flush_due < latest]
        self._flush(dirty, now)
        if self._dirty:
            self._plan(min(self._due, *[stream.flush_due for stream in self._dirty]))

    def _flush(self, dirty: list[Flushable], now: float) -> None:
        if now >= self._period_ends:
            self._begin_period(now)
        earliest, last = now - _SAVED, self._due
        self._started = self._cpu_clock()
        total = 0
        for stream in dirty:
            try:
                writes = stream.flush(now)
            except Exception:
                _logger.exception("flush of %r failed", stream)
                continue
            if stream.flush_period != self._period:
                stream.flush_period = self._period
                self._streams += 1
                self._parts = max(self._parts, self._streams)
            total += writes
            cost = writes * self._write_cost
            latest = now + stream.limits.merge_window
            if latest > last:  # As max() would cost more than the rest of it.
                last = latest
            stream.flush_due = min(max(stream.flush_due, earliest) + cost * self._parts / MAX_SHARE, latest)
        if total:
            self._due = min(max(self._due, earliest) + total * self._write_cost / MAX_SHARE, last)
            self._write_cost = self._write_cost * _RISE_FACTOR + _RISE
            self._writes = total
            if self._due > earliest + _UNNOTICED:
                self.call_soon(self._measure)

    def _begin_period(self, now: float) -> None:
        self._period_ends = now + _PERIOD
        self._period += 1
        self._parts, self._streams = max(self._streams, 1), 0

    def _measure(self) -> None:
        """A turn of the loop after a flush: what was flushed is written."""
        taken = (self._cpu_clock() - self._started) / self._writes
        self._write_cost = min(taken, self._write_cost)
