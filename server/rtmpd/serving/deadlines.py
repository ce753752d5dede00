"""When connections are looked at whose deadlines pass: one timer for all of them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection
from typing import Final

from rtmpd.engine.sink import CloseReason
from rtmpd.serving.guest import Guest
from rtmpd.serving.peer import ServerContext

logger = logging.getLogger(__name__)

_LOOKS_A_TIMEOUT: Final = 10
"""How often deadlines are looked at within the shortest of them: so much later than due one is acted on."""
_LONGEST_INTERVAL: Final = 1.0
_SHORTEST_INTERVAL: Final = 0.05
"""Between looks for those who asked for one, however many they are."""


class Deadlines:
    """Those of all ``guests`` there are; one timer each would take half a kilobyte."""

    def __init__(
        self, guests: Collection[Guest], context: ServerContext, after: Callable[[float], None]
    ) -> None:
        """``after`` is called with the clock reading of each look, behind it."""
        self._guests = guests
        self._after = after
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = -math.inf
        self._looks_at = math.inf
        """Clock readings of the last look and of the next."""
        self.apply(context)

    def apply(self, context: ServerContext) -> None:
        """Follow other limits."""
        self._clock = context.clock
        self._interval = min(context.limits.shortest_timeout / _LOOKS_A_TIMEOUT, _LONGEST_INTERVAL)

    def begin(self) -> None:
        """Somebody has come."""
        if self._timer is None:
            self._look_later(self._clock() + self._interval)

    def rest(self) -> None:
        """Nobody is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look_by(self, deadline: float) -> None:
        """Look by then, and not only when it is time anyway."""
        if deadline < self._looks_at:
            self._look_later(deadline)

    def regular_look(self, deadline: float) -> float:
        """When it is time anyway, from ``deadline`` on."""
        return math.ceil(deadline / self._interval) * self._interval

    def _look_later(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        gap = min(_SHORTEST_INTERVAL, self._interval)
        self._looks_at = max(deadline, self._looked_at + gap)
        delay = self._looks_at - self._clock()
        self._timer = asyncio.get_running_loop().call_later(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._looked_at = self._clock()
        for guest in [each for each in self._guests if each.look_at <= now]:
            try:
                guest.look(now)
            except Exception:
                fields = {"connection": guest.origin.connection}
                logger.exception("deadlines failed", extra={"fields": fields})
                guest.abort(CloseReason.INTERNAL_ERROR)
        self._after(now)
        if self._guests:
            soonest = min([each.look_at for each in self._guests])
            self._look_later(min(soonest, now + self._interval))
