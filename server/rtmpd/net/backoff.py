"""How long to wait before the next attempt at something that failed."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Delays that double from ``initial`` to ``maximum`` seconds, each between half and the whole of itself.

    The jitter keeps a thousand clients of a server that restarts from coming back in one moment.
    ``random()`` gives 0 up to 1.
    """

    def __init__(self, random: Callable[[], float], *, initial: float = 1.0, maximum: float = 30.0) -> None:
        self._random = random
        self._initial = initial
        self._maximum = maximum
        self._next = initial

    def next_delay(self) -> float:
        """Seconds to wait after one more failure."""
        ceiling = self._next
        self._next = min(ceiling * 2, self._maximum)
        return ceiling * (0.5 + 0.5 * self._random())

    def reset(self) -> None:
        """An attempt has succeeded."""
        self._next = self._initial
