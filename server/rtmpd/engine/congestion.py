"""How far behind a congested subscriber is."""

from __future__ import annotations

from collections import deque
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.sink import SlowPlayerPolicy

_RESOLUTION: Final = 0.1
"""Seconds; writes closer together than this are remembered as one, which bounds the memory of a backlog."""


class Congestion:
    """A subscriber's backlog in bytes and seconds from the moment its sink paused until it resumes.

    The age of the oldest unsent byte follows from when each byte count was reached; bytes that others put
    into the same sink (acknowledgements, pings) make it look a little older, never younger.
    """

    __slots__ = (
        "_budget",
        "_policy",
        "_reached",
        "_written",
        "backlog",
        "behind_since",
        "may_resume",
        "past",
        "room",
        "strained",
    )

    def __init__(self, policy: SlowPlayerPolicy, budget: MemoryBudget, backlog: int, now: float) -> None:
        self._policy = policy
        self._budget = budget
        self._reached = deque([(now, backlog)])
        """(when, bytes ever written by then), oldest first, of what is not sent yet."""
        self._written = backlog
        self.backlog = 0
        """Bytes at the last measurement; the budget is charged with them."""
        self.behind_since: float | None = None
        """When the bound was passed; None while within it, and again once the backlog is low."""
        self.measure(now, backlog)

    def measure(self, now: float, backlog: int) -> None:
        """Look again: sets ``room`` (bytes up to the bound), ``strained`` (past half of it), ``past`` and
        ``may_resume``. The budget may close subscribers meanwhile, this one included.
        """
        policy = self._policy
        sent = self._written - backlog
        reached = self._reached
        while reached and reached[0][1] <= sent:
            reached.popleft()
        age = now - reached[0][0] if reached else 0.0
        self.room = policy.max_backlog_bytes - backlog
        self.past = self.room < 0 or age > policy.max_backlog_seconds
        self.strained = self.room < backlog or age * 2 > policy.max_backlog_seconds
        self.may_resume = backlog <= policy.resume_backlog_bytes and not self.past
        if self.past:
            self.fall_behind(now)
        elif self.may_resume:
            self.behind_since = None
        difference = backlog - self.backlog
        self.backlog = backlog
        self._budget.charge_backlog(difference)

    def wrote(self, now: float, size: int) -> None:
        """``size`` bytes more were handed to the sink."""
        self._written += size
        reached = self._reached
        if reached and now - reached[-1][0] < _RESOLUTION:
            reached[-1] = (reached[-1][0], self._written)
        else:
            reached.append((now, self._written))

    def fall_behind(self, now: float) -> None:
        """The bound is passed, or would be with the next frame."""
        if self.behind_since is None:
            self.behind_since = now

    def overdue(self, now: float) -> bool:
        """Behind for so long that the policy gives up."""
        return self.behind_since is not None and now - self.behind_since >= self._policy.disconnect_after

    def end(self) -> None:
        """The sink resumed or left: give the budget back its bytes."""
        self._budget.charge_backlog(-self.backlog)
        self.backlog = 0
