"""Who waits for what comes next of a stream: answered the moment it is there, and not for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.stats import count
from rtmpd.exceptions import Refused
from rtmpd.http.hls_counts import HlsCounts, WaitEnd
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode

if TYPE_CHECKING:
    from rtmpd.packaging.rendition import Rendition

MOST_PER_NETWORK: Final = 5000
MOST_PER_RENDITION: Final = 20_000
"""Requests that wait at a time."""
_BYTES: Final = 4096
"""What one costs that waits: itself, and of its connection what would be free otherwise."""
_PATIENCE: Final = 3
"""Target durations for which one waits at most, and in seconds:"""
_SHORTEST, _LONGEST = 3.0, 30.0
HOLD_BACK: Final = 3
"""Parts by which players are behind the live edge."""


class Wait:
    """One request."""

    __slots__ = ("_line", "done", "network", "ready", "since", "until")

    def __init__(
        self, line: _Line, network: str, ready: Callable[[], bool], done: Callable[[bool], None]
    ) -> None:
        self._line = line
        self.network = network
        self.ready = ready
        self.done = done
        self.since = line.clock()
        bound = _PATIENCE * line.rendition.target_duration
        self.until = self.since + min(max(bound, _SHORTEST), _LONGEST)

    def cancel(self) -> None:
        """Whoever asked has left."""
        self._line.leave(self, WaitEnd.LEFT)


class _Line:
    """Those who wait for one rendition."""

    def __init__(self, waits: Waits, rendition: Rendition) -> None:
        self._waits = waits
        self.rendition = rendition
        self.clock = waits.clock
        self.members: dict[Wait, None] = {}
        self._stop = rendition.on_change(self._look)

    def leave(self, wait: Wait, end: WaitEnd) -> None:
        """``wait`` is over, if it is not already."""
        if wait in self.members:
            del self.members[wait]
            self._waits.note_over(wait, end)
            if not self.members:
                self._stop()
                self._waits.forget(self.rendition)

    def expire(self, now: float) -> None:
        """Answer who has waited for long enough."""
        for wait in [each for each in self.members if each.until <= now]:
            self.leave(wait, WaitEnd.LATE)
            wait.done(False)

    def _look(self) -> None:
        """There is more."""
        rendition, now = self.rendition, self.clock()
        run_dry = now - HOLD_BACK * (rendition.part_target or rendition.target_duration)
        ended = rendition.ended
        for wait in list(self.members):
            if wait not in self.members:  # What was done for another has ended it.
                continue
            if wait.ready():
                self.leave(wait, WaitEnd.LATE if wait.since < run_dry else WaitEnd.IN_TIME)
                wait.done(True)
            elif ended:
                self.leave(wait, WaitEnd.LEFT)
                wait.done(True)


class Waits:
    """All of them."""

    def __init__(self, budget: MemoryBudget, counts: HlsCounts, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._budget = budget
        self._counts = counts
        self._lines: dict[int, _Line] = {}
        """By the identity of the rendition, which the line has."""
        self._networks: Counter[str] = Counter()

    def begin(
        self, rendition: Rendition, network: str, ready: Callable[[], bool], done: Callable[[bool], None]
    ) -> Wait:
        """Have ``done`` called once when ``ready()``, or with False when that takes too long.

        Raises ``Refused`` if too many wait already.
        """
        line = self._lines.get(id(rendition))
        crowd = 0 if line is None else len(line.members)
        if (
            self._networks[network] >= MOST_PER_NETWORK
            or crowd >= MOST_PER_RENDITION
            or self._budget.exhausted
        ):
            text = "Too many wait for this stream already."
            raise Refused(StatusCode.PLAY_FAILED, text, Refusal.WAITS)
        if line is None:
            line = self._lines[id(rendition)] = _Line(self, rendition)
        wait = Wait(line, network, ready, done)
        line.members[wait] = None
        self._networks[network] += 1
        self._counts.waiting += 1
        self._budget.charge_partials(_BYTES)
        return wait

    def note_over(self, wait: Wait, end: WaitEnd) -> None:
        """It has its answer, or needs none."""
        self._networks[wait.network] -= 1
        if not self._networks[wait.network]:
            del self._networks[wait.network]
        self._counts.waiting -= 1
        count(self._counts.waits, end)
        self._budget.charge_partials(-_BYTES)

    def forget(self, rendition: Rendition) -> None:
        """Nobody waits for it."""
        del self._lines[id(rendition)]

    def look(self, now: float) -> None:
        """Answer those who have waited for long enough; about once a second."""
        for line in list(self._lines.values()):
            line.expire(now)
