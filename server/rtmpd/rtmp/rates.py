"""Rates: how often a peer may make us do something."""

from __future__ import annotations

from typing import Final

_ROUNDING: Final = 1e-6
"""Seconds of debt that are none: sums of floats must not cost anybody a token."""


class Rate:
    """``per_second`` tokens a second, saved up to ``burst``: what all may do who are bounded alike.

    What somebody has spent of it is one number that they keep: the clock reading at which all of it is saved
    up again, at first any that has passed.
    """

    __slots__ = ("_per_second", "leeway")

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second: float = float(per_second)
        self.leeway: float = burst / per_second + _ROUNDING
        """Seconds that ``full_at`` may be away before there is a debt."""

    def spend(self, full_at: float, amount: float, now: float) -> float:
        """``full_at`` when ``amount`` tokens more are taken, whether they are there or not."""
        return max(now, full_at) + amount / self._per_second

    def debt(self, full_at: float, now: float) -> float:
        """The seconds until the balance is no longer negative (0: it is not)."""
        debt = full_at - now - self.leeway
        return debt + _ROUNDING if debt > 0 else 0.0


class TokenBucket:
    """Somebody's place in a ``Rate`` of their own; may go into debt when the caller takes anyway."""

    __slots__ = ("_full_at", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = Rate(rate, burst)
        self._full_at = now

    def take(self, amount: float, now: float) -> float:
        """Take ``amount`` tokens; return the seconds until the balance is no longer negative (0: at once)."""
        self._full_at = self._rate.spend(self._full_at, amount, now)
        return self.debt(now)

    def allow(self, now: float) -> bool:
        """Take one token if there is one; False leaves the balance as it is."""
        full_at = self._rate.spend(self._full_at, 1, now)
        if self._rate.debt(full_at, now):
            return False
        self._full_at = full_at
        return True

    def full(self, now: float) -> bool:
        """As many tokens as can be saved up, as in a new one."""
        return self._full_at <= now

    def debt(self, now: float) -> float:
        """The seconds until the balance is no longer negative (0: it is not)."""
        return self._rate.debt(self._full_at, now)
