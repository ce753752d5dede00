"""How late the event loop runs what was due: the first sign of a process that has too much to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_INTERVAL = 0.25


class LagMeter:
    """Calls ``observe(seconds)`` four times a second with how late that call came.

    ``clock`` is read as often, which keeps a ``LoopClock`` going while nothing else happens.
    """

    def __init__(self, observe: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._observe = observe
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _INTERVAL
        self._timer = loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._clock()
        self._observe(max(0.0, asyncio.get_running_loop().time() - self._due))
        self.start()
