"""The signals that end a server: the first in order, the second at once."""

from __future__ import annotations

import asyncio
import logging
import signal

logger = logging.getLogger(__name__)


class StopSignals:
    """SIGTERM and SIGINT of this process, told apart by how often they came.

    SIGHUP ends nothing: to operators it means a reload, which does not exist yet.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Somebody wants the end."""
        self.insisted = asyncio.Event()
        """Somebody does not want to wait for it."""

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Receive the signals in ``loop``."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        # Who started us with it ignored, as nohup does, wants nothing to come of it, not even a line.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _stop(self) -> None:
        if self.asked.is_set():
            self.insisted.set()
        self.asked.set()

    def _hang_up(self) -> None:
        reason = "settings change with a restart; SIGTERM ends the server"
        logger.warning("SIGHUP ignored", extra={"fields": {"reason": reason}})
