"""Whether a server that has failed is asked again already."""

from __future__ import annotations


class Breaker:
    """Opens after ``max_failures`` in a row; then lets one attempt through every ``pause`` seconds.

    ``now`` is a reading of any clock, the same one always.
    """

    def __init__(self, max_failures: int, pause: float) -> None:
        self.max_failures = max_failures
        self.pause = pause
        self._failures = 0
        self._next = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= self.max_failures

    def allows(self, now: float) -> bool:
        """Whether it may be asked now; who is let through says what came of it."""
        if not self.is_open:
            return True
        if now < self._next:
            return False
        self._next = now + self.pause
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, now: float) -> None:
        self._failures += 1
        self._next = now + self.pause
