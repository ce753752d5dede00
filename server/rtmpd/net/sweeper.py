"""When publishers' sockets are read: as soon as anything comes while they are few, in rounds when many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import thread_time
from typing import Final, Protocol

from rtmpd.engine.flusher import MERGE_WINDOW

MAX_SHARE: Final = 0.02
"""Share of the time that reading may take before what arrives waits for the next round."""
ENOUGH: Final = 16
"""Connections from which rounds pay: with fewer, the event loop reads each as it has something."""
UNWATCHED_EVERY: Final = 4
"""Rounds from one look at a connection that nobody watches to the next."""
SHORTEST: Final = 0.001
"""Seconds from one round to the next at least: uvloop takes less for nothing, and would never sleep."""


class Sweepable(Protocol):
    """A connection whose socket can be read from outside of its transport."""

    @property
    def watched(self) -> bool:
        """Somebody waits for what it sends."""

    def begin_sweeping(self) -> None:
        """Keep the transport from reading: ``sweep`` does from now on."""

    def end_sweeping(self) -> None:
        """Have the transport read again."""

    def sweep(self) -> bool:
        """Read what the socket holds and process it; it may take this connection, or others, off the list.

        True if this one is still on it and has left a part for later.
        """

    def sweep_failed(self, error: Exception) -> None:
        """``sweep`` raised, a bug of ours: log it, and close this connection, which is off the list."""


class Sweeper:
    """Reads many connections in rounds, one system call each, instead of a wake-up for every packet of each.

    A wake-up costs more than the packet that it brings. The time from one round to the next follows what they
    cost by ``cpu_clock()`` (seconds that this thread has worked), so that they take ``MAX_SHARE`` of the
    time, and never exceeds ``window`` (seconds), which is thus what rounds add to the latency at most; a
    window of 0 leaves every connection to the event loop. What nobody watches is not late for anybody, and is
    read in every fourth round. Who sends more than is read at once is read again before the next round, so
    that a wide interval costs it no throughput.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
        window: float = MERGE_WINDOW,
        cpu_clock: Callable[[], float] = thread_time,
    ) -> None:
        self._call_later = call_later
        self._window = window
        self._cpu_clock = cpu_clock
        self._members: dict[Sweepable, None] = {}
        self._unfinished: set[Sweepable] = set()
        """Members that had more to read than is read at once."""
        self._timer: asyncio.TimerHandle | None = None
        """Of the next round; runs while connections are read in rounds."""
        self._between: asyncio.TimerHandle | None = None
        """Runs while somebody is unfinished."""
        self._round = 0
        self._cost = 0.0
        """Of all reading since everybody was read."""
        self.interval = min(SHORTEST, window)
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
        self._unfinished.discard(member)
        if self._timer is not None:
            member.end_sweeping()
            # Well below what it takes to begin, so that nobody is moved to and fro.
            if len(self._members) <= ENOUGH // 2:
                self._timer.cancel()
                self._timer = None
                for each in self._members:
                    each.end_sweeping()
                self._unfinished.clear()
        if not self._unfinished and self._between is not None:
            self._between.cancel()
            self._between = None

    def read_now(self, member: Sweepable) -> None:
        """Read ``member`` out of its turn, unless its transport reads it as soon as anything comes."""
        self._read([member])

    def _sweep(self) -> None:
        timer = self._timer
        self._round = (self._round + 1) % UNWATCHED_EVERY
        everybody = self._round == 0
        self._read([member for member in self._members if everybody or member.watched])
        if everybody:
            self.interval = min(max(self._cost / UNWATCHED_EVERY / MAX_SHARE, SHORTEST), self._window)
            self._cost = 0.0
        if self._timer is timer:  # Neither have rounds ended meanwhile, nor begun anew.
            self._timer = self._call_later(self.interval, self._sweep)

    def _finish(self) -> None:
        self._between = None
        members, self._unfinished = list(self._unfinished), set()
        self._read(members)

    def _read(self, members: list[Sweepable]) -> None:
        started = self._cpu_clock()
        for member in members:
            # Reading one may take others off the list, and end the rounds with that.
            if self._timer is not None and member in self._members:
                try:
                    if member.sweep():
                        self._unfinished.add(member)
                except Exception as error:  # noqa: BLE001 - sweep_failed logs it
                    self.remove(member)
                    member.sweep_failed(error)
        self._cost += self._cpu_clock() - started
        if self._unfinished and self._between is None:
            self._between = self._call_later(SHORTEST, self._finish)
