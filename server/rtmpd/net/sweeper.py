"""When publishers' sockets are read: as soon as anything comes while they are few, in rounds when many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol

MAX_SHARE: Final = 0.02
"""Share of wall time that reading may take before what arrives waits for the next round."""
ENOUGH: Final = 16
"""Connections from which rounds pay: with fewer, the event loop reads each as it has something."""
UNWATCHED_EVERY: Final = 4
"""Rounds from one look at a connection that nobody watches to the next."""


class Sweepable(Protocol):
    """A connection whose socket can be read from outside of its transport."""

    @property
    def watched(self) -> bool:
        """Somebody waits for what it sends."""

    def begin_sweeping(self) -> None:
        """Keep the transport from reading: ``sweep`` does from now on."""

    def end_sweeping(self) -> None:
        """Have the transport read again."""

    def sweep(self) -> None:
        """Read what the socket holds and process it. It may take this connection, or others, off the list."""


class Sweeper:
    """Reads many connections in rounds, one system call each, instead of a wake-up for every packet of each.

    A wake-up costs more than the packet that it brings. The time from one round to the next follows their
    measured cost so that they take ``MAX_SHARE`` of the time, and never exceeds ``window`` (seconds), which
    is thus what rounds add to the latency at most; a window of 0 leaves every connection to the event loop.
    What nobody watches is not late for anybody, and is read in every fourth round.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
        window: float = 0.05,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._call_later = call_later
        self._window = window
        self._clock = clock
        self._members: dict[Sweepable, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        """Runs while connections are read in rounds."""
        self._round = 0
        self._cost = 0.0
        """Of the rounds since everybody was read."""
        self.interval = 0.0
        """Seconds from the end of a round to the next, now."""

    def add(self, member: Sweepable) -> None:
        """Read ``member`` in rounds once there are ``ENOUGH``."""
        if member in self._members:
            return
        self._members[member] = None
        if self._timer is not None:
            member.begin_sweeping()
        elif len(self._members) >= ENOUGH and self._window:
            for each in self._members:
                each.begin_sweeping()
            self._timer = self._call_later(self.interval, self._sweep)

    def remove(self, member: Sweepable) -> None:
        """Leave ``member`` to its transport again. Nothing of it is read by us when this has returned."""
        if member not in self._members:
            return
        del self._members[member]
        if self._timer is not None:
            member.end_sweeping()
            # Well below what it takes to begin, so that nobody is moved to and fro.
            if len(self._members) <= ENOUGH // 2:
                self._timer.cancel()
                self._timer = None
                for each in self._members:
                    each.end_sweeping()

    def _sweep(self) -> None:
        started = self._clock()
        self._round = (self._round + 1) % UNWATCHED_EVERY
        everybody = self._round == 0
        for member in list(self._members):
            if (everybody or member.watched) and member in self._members:
                member.sweep()
        self._cost += self._clock() - started
        if everybody:
            self.interval = min(self._cost / UNWATCHED_EVERY / MAX_SHARE, self._window)
            self._cost = 0.0
        if self._timer is not None:
            self._timer = self._call_later(self.interval, self._sweep)
