"""From clock readings to times of the day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime


class Times:
    """One moment, on the clock of the engine and on that of the wall (``wall()`` seconds since 1970)."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.now = clock()
        self._wall = wall()

    def at(self, reading: float) -> datetime:
        """When the clock read that."""
        return on_wall(self._wall + reading - self.now)

    def since(self, reading: float | None) -> float | None:
        """Seconds since then; None stays None."""
        return None if reading is None else max(round(self.now - reading, 3), 0.0)


def on_wall(seconds: float) -> datetime:
    """Seconds since 1970 as a time, in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
