"""What the server looks at once a second, and the sign of life that it gives to whoever started it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from rtmpd.daemon.notify import Notifier

logger = logging.getLogger(__name__)

_INTERVAL: Final = 1.0


async def look_each_second(looks: Sequence[Callable[[], None]]) -> None:
    """Call all of them, again and again. One that fails is logged, and costs the others nothing."""
    while True:
        await asyncio.sleep(_INTERVAL)
        for look in looks:
            try:
                look()
            except Exception:  # Bans, keys and deadlines of slow players depend on the others.
                logger.exception("sampling failed")


async def feed_watchdog(notifier: Notifier, interval: float) -> None:
    """Tell the service manager every ``interval`` seconds that the loop runs."""
    while True:
        notifier.watchdog()
        await asyncio.sleep(interval)
