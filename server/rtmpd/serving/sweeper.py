"""When publishers' sockets are read: as soon as anything comes while they are few, in rounds when many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import thread_time
from typing import Final, Protocol

from rtmpd.engine.limits import MERGE_WINDOW

MAX_SHARE: Final = 0.02
"""Share of the time that reading may take before what arrives waits for the next round."""
ENOUGH: Final = 16
"""Connections from which rounds pay: with fewer, the event loop reads each as it has something."""
UNWATCHED_WINDOWS: Final = 4
"""Windows that what nobody watches may wait for its round."""
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


class Rounds:
    """Reads its members in rounds, one system call each, once there are ``ENOUGH``.

    The time from one round to the next follows what they cost by ``cpu_clock()`` (seconds that this thread
    has worked), so that they take ``MAX_SHARE`` of the time, and never exceeds ``window`` (seconds); a window
    of 0 leaves every connection to the event loop. Who sends more than is read at once is read again before
    the next round, so that a wide interval costs it no throughput. ``sort(rounds)`` is called before each
    round, and may add and remove members.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
        window: float,
        cpu_clock: Callable[[], float],
        sort: Callable[[Rounds], None],
    ) -> None:
        self.members: dict[Sweepable, None] = {}
        self.interval = min(SHORTEST, window)
        """Seconds from the end of a round to the next, now."""
        self._call_later = call_later
        self._window = window
        self._cpu_clock = cpu_clock
        self._sort = sort
        self._unfinished: set[Sweepable] = set()
        """Members that had more to read than is read at once."""
        self._timer: asyncio.TimerHandle | None = None
        """Of the next round."""
        self._between: asyncio.TimerHandle | None = None
        """Runs while somebody is unfinished."""
        self._cost = 0.0
        """Of all reading since the last round but one."""

    @property
    def running(self) -> bool:
        """Members are read in rounds, and not by the event loop."""
        return self._timer is not None

    def add(self, member: Sweepable) -> None:
        self.members[member] = None
        if self.running:
            member.begin_sweeping()
        else:
            self._begin_if_they_pay()

    def remove(self, member: Sweepable) -> None:
        del self.members[member]
        self._unfinished.discard(member)
        if self.running:
            member.end_sweeping()
            # Well below what it takes to begin, so that nobody is moved to and fro.
            if len(self.members) <= ENOUGH // 2:
                self._end()
        self._rest()

    def apply(self, window: float) -> None:
        """Another ``window``: rounds that are under way go on, unless it is 0."""
        self._window = window
        self.interval = min(max(self.interval, SHORTEST), window)
        if not self.running:
            self._begin_if_they_pay()
        elif not window:
            self._end()
            self._rest()

    def read(self, members: list[Sweepable]) -> None:
        """Read those of ``members`` that are members, and not left to the event loop."""
        started = self._cpu_clock()
        for member in members:
            # Reading one may take others off the list, and end the rounds with that.
            if self.running and member in self.members:
                try:
                    if member.sweep():
                        self._unfinished.add(member)
                except Exception as error:  # noqa: BLE001 - sweep_failed logs it
                    self.remove(member)
                    member.sweep_failed(error)
        self._cost += self._cpu_clock() - started
        if self._unfinished and self._between is None:
            self._between = self._call_later(SHORTEST, self._finish)

    def _begin_if_they_pay(self) -> None:
        if len(self.members) >= ENOUGH and self._window:
            for each in self.members:
                each.begin_sweeping()
            self._timer = self._call_later(self.interval, self._sweep)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in self.members:
            each.end_sweeping()
        self._unfinished.clear()

    def _rest(self) -> None:
        if not self._unfinished and self._between is not None:
            self._between.cancel()
            self._between = None

    def _sweep(self) -> None:
        timer = self._timer
        self._sort(self)
        self.read(list(self.members))
        self.interval = min(max(self._cost / MAX_SHARE, SHORTEST), self._window)
        self._cost = 0.0
        if self._timer is timer:  # Neither have rounds ended meanwhile, nor begun anew.
            self._timer = self._call_later(self.interval, self._sweep)

    def _finish(self) -> None:
        self._between = None
        members, self._unfinished = list(self._unfinished), set()
        self.read(members)


class Sweeper:
    """Reads many connections in rounds, instead of a wake-up for every packet of each.

    A wake-up costs more than the packet that it brings. What somebody watches and what nobody watches is read
    in rounds of its own: whoever sends much to nobody makes no player wait, and what is not late for anybody
    is read less often. ``window`` (seconds) is what rounds add to the latency at most; see ``Rounds``.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
        window: float = MERGE_WINDOW,
        cpu_clock: Callable[[], float] = thread_time,
    ) -> None:
        self.watched = Rounds(call_later, window, cpu_clock, self._sort)
        self.unwatched = Rounds(call_later, window * UNWATCHED_WINDOWS, cpu_clock, self._sort)

    def apply(self, window: float) -> None:
        """Another ``window`` from now on."""
        self.watched.apply(window)
        self.unwatched.apply(window * UNWATCHED_WINDOWS)

    def add(self, member: Sweepable) -> None:
        """Read ``member`` in rounds once there are ``ENOUGH`` like it."""
        if self._rounds_of(member) is None:
            self._sort()
            self._place(member)

    def remove(self, member: Sweepable) -> None:
        """Leave ``member`` to its transport again. Nothing of it is read by us when this has returned."""
        if (rounds := self._rounds_of(member)) is not None:
            rounds.remove(member)

    def read_now(self, member: Sweepable) -> None:
        """Read ``member`` out of its turn, unless its transport reads it as soon as anything comes."""
        if (rounds := self._rounds_of(member)) is not None:
            rounds.read([member])

    def _rounds_of(self, member: Sweepable) -> Rounds | None:
        for rounds in (self.watched, self.unwatched):
            if member in rounds.members:
                return rounds
        return None

    def _place(self, member: Sweepable) -> None:
        (self.watched if member.watched else self.unwatched).add(member)

    def _sort(self, due: Rounds | None = None) -> None:
        """Place anew whom somebody watches now or nobody any more, in ``due`` and where no rounds are."""
        for rounds in (self.watched, self.unwatched):
            if rounds is due or not rounds.running:
                for member in list(rounds.members):
                    if member.watched is not (rounds is self.watched):
                        rounds.remove(member)
                        self._place(member)
