"""The signals that operators send: the first SIGTERM ends in order, the second at once; SIGHUP reloads."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class Signals:
    """SIGTERM, SIGINT and SIGHUP of this process."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        """Somebody wants the end."""
        self.insisted = asyncio.Event()
        """Somebody does not want to wait for it."""

    def install(
        self, loop: asyncio.AbstractEventLoop, reload: Callable[[], None], replace: Callable[[], None]
    ) -> None:
        """Receive the signals in ``loop``; ``reload()`` and, on SIGUSR2, ``replace()`` are called there."""
        loop.add_signal_handler(signal.SIGUSR2, replace)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        # Who started us with it ignored, as nohup does, wants nothing to come of it.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, reload)

    def _stop(self) -> None:
        if self.stop.is_set():
            self.insisted.set()
        self.stop.set()
