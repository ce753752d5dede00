"""A token bucket: how often a peer may make us do something."""

from __future__ import annotations


class TokenBucket:
    """``rate`` tokens a second, saved up to ``burst``; may go into debt when the caller takes anyway."""

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._updated = now

    def take(self, amount: float, now: float) -> float:
        """Take ``amount`` tokens; return the seconds until the balance is no longer negative (0: at once)."""
        tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate) - amount
        self._updated = now
        self._tokens = tokens
        return 0.0 if tokens >= 0 else -tokens / self._rate

    def allow(self, now: float) -> bool:
        """Take one token if there is one; False leaves the balance as it is."""
        tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        self._tokens = tokens - 1 if tokens >= 1 else tokens
        return tokens >= 1

    def full(self, now: float) -> bool:
        """As many tokens as can be saved up, as in a new one."""
        self.take(0, now)
        return self._tokens >= self._burst

    def debt(self, now: float) -> float:
        """The seconds until the balance is no longer negative (0: it is not)."""
        return self.take(0, now)
