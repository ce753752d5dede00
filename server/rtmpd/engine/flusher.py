"""When pending packets are written: at the end of the loop turn when idle, in larger batches under load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Flushable(Protocol):
    def flush(self, now: float) -> None:
        """Write what is pending."""


class Flusher:
    """Collects streams with pending packets and flushes them together.

    ``call_soon(callback)`` runs a callback in the next turn of the event loop, ``call_later(delay, callback)``
    after ``delay`` seconds, ``clock()`` reads seconds; ``merge_window`` (seconds) bounds the interval.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float],
        merge_window: float = 0.05,
    ) -> None: ...
