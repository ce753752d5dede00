"""When pending packets are written: at the end of the loop turn when idle, in larger batches under load."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

MERGE_WINDOW: Final = 0.055
"""Seconds that a busy server gathers media for, unless it is told otherwise."""
MAX_SHARE: Final = 0.05
"""Share of the time that flushing may take before packets wait for each other."""
_SAVED: Final = 0.02
"""Seconds whose share may be saved up: what few players cost now and then makes nobody wait."""
_TIMER_RESOLUTION: Final = 0.001
"""Seconds; event loops round shorter delays up, so a shorter wait is not worth a timer."""

_logger = logging.getLogger(__name__)


class Flushable(Protocol):
    """What can be marked: a stream."""

    def flush(self, now: float) -> None:
        """Write what is pending."""


class Flusher:
    """Collects streams with pending packets and flushes them together.

    ``call_soon(callback)`` runs a callback in the next turn of the event loop, ``call_later(delay,
    callback)`` after ``delay`` seconds, ``clock()`` reads seconds and ``cpu_clock()`` those that this thread
    has worked. A flush that takes more than ``MAX_SHARE`` of the time since the one before puts the next one
    off until it is the share again, by ``merge_window`` (seconds) at most.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float],
        cpu_clock: Callable[[], float],
        merge_window: float = MERGE_WINDOW,
    ) -> None:
        self.call_soon = call_soon
        self._call_later = call_later
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._merge_window = merge_window
        self._dirty: list[Flushable] = []
        self._scheduled = False
        self._started = self._due = self._base = clock()
        self._cpu_started = 0.0
        self._cost = 0.0

    def mark(self, stream: Flushable) -> None:
        """Have ``stream.flush`` called soon. A stream marks itself once until it is flushed."""
        self._dirty.append(stream)
        if not self._scheduled:
            self._scheduled = True
            wait = self._due - self._clock()
            if wait < _TIMER_RESOLUTION:
                self.call_soon(self.flush)
            else:
                self._call_later(wait, self.flush)

    def flush(self) -> None:
        """Flush everything that is marked, now."""
        self._scheduled = False
        dirty = self._dirty
        if not dirty:
            return
        self._dirty = []
        now = self._started = self._clock()
        self._cpu_started = self._cpu_clock()
        self._base = max(self._due, now - _SAVED)
        self._charge(self._cost)  # As much as the last one, until it is known.
        for stream in dirty:
            try:
                stream.flush(now)
            except Exception:
                _logger.exception("flush of %r failed", stream)
        self.call_soon(self._measure)

    def _measure(self) -> None:
        # A turn of the loop later, because event loops write to the sockets after the callback has returned.
        self._cost = self._cpu_clock() - self._cpu_started
        self._charge(self._cost)

    def _charge(self, cost: float) -> None:
        self._due = min(self._base + cost / MAX_SHARE, self._started + self._merge_window)
