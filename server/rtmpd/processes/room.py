"""How many processes there are, and whose turn it is when there is room for one more."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.processes.rules import RunLimits


class Waiter(Protocol):
    """Who waits for room."""

    @property
    def key(self) -> StreamKey: ...

    def wake(self) -> None:
        """There is room now, unless somebody has taken it before it is looked at."""
        ...


class Room:
    """Counts them as they come and go, and calls the next one when there is room for it: nobody asks again
    and again.
    """

    def __init__(self) -> None:
        self.taken = 0
        """By how many."""
        self._limits = RunLimits()
        self._of_apps: Counter[str] = Counter()
        self._of_streams: Counter[StreamKey] = Counter()
        self._waiting: dict[Waiter, None] = {}
        """In the order in which they came."""

    @property
    def waiting(self) -> int:
        """How many wait for room."""
        return len(self._waiting)

    def apply(self, limits: RunLimits) -> None:
        """Other limits from now on."""
        self._limits = limits
        self._call_next()

    def enter(self, key: StreamKey) -> None:
        """There is one more of a stream."""
        self.taken += 1
        self._of_apps[key.app] += 1
        self._of_streams[key] += 1

    def leave(self, key: StreamKey) -> None:
        """There is one fewer."""
        self.taken -= 1
        self._of_apps -= Counter([key.app])
        self._of_streams -= Counter([key])
        self._call_next()

    def shortage(self, key: StreamKey) -> str:
        """The limit that leaves no room for another one of a stream; empty if none does."""
        limits = self._limits
        if self.taken >= limits.max_processes:
            return "run.max_processes"
        if self._of_apps[key.app] >= limits.max_per_app:
            return "run.max_per_app"
        return "run.max_per_stream" if self._of_streams[key] >= limits.max_per_stream else ""

    def wait(self, waiter: Waiter) -> None:
        """Wait behind those who do so already, to be woken; one that waits keeps its place."""
        self._waiting.setdefault(waiter)

    def step_out(self, waiter: Waiter) -> None:
        """Wait no longer: it has room, or needs none."""
        if waiter in self._waiting:
            del self._waiting[waiter]
            self._call_next()

    def _call_next(self) -> None:
        if self.taken < self._limits.max_processes:
            called = next((each for each in self._waiting if not self.shortage(each.key)), None)
            if called is not None:
                called.wake()
