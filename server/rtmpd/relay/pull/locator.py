"""Asking where streams are, for all pulls of a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import OriginMapUnavailable
from rtmpd.net.tasks import awaiting_others
from rtmpd.relay.origin_map import OriginMap
from rtmpd.relay.template import RelayTarget, short_line
from rtmpd.rtmp.rates import TokenBucket

logger = logging.getLogger(__name__)

_SAY_AGAIN: Final = 10.0
"""Seconds from one log line about a map that cannot be asked to the next, whichever the stream."""


class Locator:
    """Asks an ``OriginMap``, for a limited time, and says so when it cannot be asked."""

    def __init__(self, origins: OriginMap, clock: Callable[[], float]) -> None:
        self._origins = origins
        self._clock = clock
        self._lines = TokenBucket(1 / _SAY_AGAIN, 1, clock())

    async def locate(self, key: StreamKey, within: float) -> Sequence[RelayTarget]:
        """The servers to ask for the stream, in order; none if nobody is known to have it.

        Raises ``OriginMapUnavailable``, also when there is no answer ``within`` so many seconds.
        """
        try:
            async with asyncio.timeout(within) as deadline:
                with awaiting_others():
                    return await self._origins.locate(key)
        except (OriginMapUnavailable, OSError) as error:
            reason = f"no answer within {within:g} s" if deadline.expired() else short_line(str(error))
            if self._lines.allow(self._clock()):
                fields = {"app": key.app, "stream": key.name, "reason": reason}
                logger.warning("origins unknown", extra={"fields": fields})
            raise OriginMapUnavailable(reason) from error
