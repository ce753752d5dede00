"""How far behind a congested transport is."""

from __future__ import annotations

from collections import deque
from typing import Final

from rtmpd.engine.sink import SlowPlayerPolicy

_RESOLUTION: Final = 0.1
"""Seconds; writes closer together than this are remembered as one, which bounds the memory of a backlog."""


class Congestion:
    """A transport's backlog in bytes and seconds from the moment it paused until it resumes.

    The age of the oldest unsent byte follows from when each byte count was reached; bytes that others put
    into the same transport (acknowledgements, pings) make it look a little older, never younger. The last
    ``owed`` bytes of the backlog are a joiner's burst: we put them there, not the player's slowness, so the
    bound begins behind them.
    """

    __slots__ = (
        "_burst_end",
        "_owed",
        "_private_sent",
        "_private_written",
        "_reached",
        "_written",
        "backlog",
        "behind_since",
        "may_resume",
        "past",
        "policy",
        "room",
        "strained",
    )

    def __init__(self, policy: SlowPlayerPolicy, backlog: int, now: float, owed: int = 0) -> None:
        self.policy = policy
        owed = min(owed, backlog)
        self._owed = owed
        """Bytes of the burst; the end of it is reached when ``_burst_end`` bytes are sent."""
        self._burst_end = backlog
        self._reached = deque([(now, backlog - owed, 0)] if backlog > owed else ())
        """(when, bytes ever written by then, private ones of them), oldest first, of what is not sent yet."""
        self._written = backlog
        self._private_written = 0
        self._private_sent = 0
        self.backlog = 0
        """Bytes at the last measurement."""
        self.behind_since: float | None = None
        """When the bound was passed; None while within it, and again once the backlog is low."""
        self.measure(now, backlog)

    @property
    def private_bytes(self) -> int:
        """Of what is unsent, what nobody else is sent."""
        return self._private_written - self._private_sent

    def measure(self, now: float, backlog: int) -> None:
        """Look again: sets ``room`` (bytes up to the bound), ``strained`` (past half of it), ``past`` and
        ``may_resume``.
        """
        policy = self.policy
        sent = self._written - backlog
        reached = self._reached
        while reached and reached[0][1] <= sent:
            self._private_sent = reached.popleft()[2]
        age = now - reached[0][0] if reached else 0.0
        behind = backlog - min(max(self._burst_end - sent, 0), self._owed)
        self.backlog = backlog
        self.room = policy.max_backlog_bytes - behind
        self.past = self.room < 0 or age > policy.max_backlog_seconds
        self.strained = self.room < behind or age * 2 > policy.max_backlog_seconds
        self.may_resume = behind <= policy.resume_backlog_bytes and not self.past
        if self.past:
            # Nobody may have looked since it got too old.
            self.fall_behind(now - max(age - policy.max_backlog_seconds, 0.0))
        elif self.may_resume:
            self.behind_since = None

    def takes(self, size: int) -> bool:
        """Whether so many bytes may go out as they are, as of the last measurement."""
        return not (self.past or self.strained or size > self.room)

    def wrote(self, now: float, size: int, private: int) -> None:
        """``size`` bytes more were handed over, ``private`` of them to nobody else."""
        self._written += size
        self._private_written += private
        reached = self._reached
        if reached and now - reached[-1][0] < _RESOLUTION:
            reached[-1] = (reached[-1][0], self._written, self._private_written)
        else:
            reached.append((now, self._written, self._private_written))

    def fall_behind(self, now: float) -> None:
        """The bound is passed, or would be with the next frame."""
        if self.behind_since is None:
            self.behind_since = now

    def overdue(self, now: float) -> bool:
        """Behind for so long that the policy gives up."""
        return self.behind_since is not None and now - self.behind_since >= self.policy.disconnect_after
