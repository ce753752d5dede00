"""A thread for each device that files are written to, so that none holds up another, nor the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from rtmpd.net.inquiries import Inquiries

Job = Callable[[], Callable[[], None]]
"""Run by the thread; what it returns is called in the event loop."""

_MAX_SURVEYS: Final = 64
"""Folders whose device is being asked for at a time, each by a thread."""

_logger = logging.getLogger(__name__)


class Disk:
    """Runs jobs in a thread of its own, one after the other.

    The thread holds up no exit of the process, though the drive may have stopped to answer.
    """

    def __init__(self, device: int, loop: asyncio.AbstractEventLoop) -> None:
        self.device = device
        self._loop = loop
        self._jobs: deque[tuple[Job, Callable[[], None]]] = deque()
        self._wake = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._since: float | None = None

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    @property
    def busy_for(self) -> float:
        """Seconds for which the present job has been run."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def run(self, job: Job, failed: Callable[[], None]) -> None:
        """Have ``job`` run; ``failed`` is called in the event loop if it raises, which is logged as a bug.

        Raises RuntimeError if there is no thread to be had.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=f"disk {self.device}", daemon=True)
            thread.start()
            self._thread = thread
        self._jobs.append((job, failed))
        self._wake.release()

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            job, done = self._jobs.popleft()
            self._since = time.monotonic()
            try:
                done = job()
            except Exception:
                _logger.exception("a job of a disk failed")
            self._since = None
            with suppress(RuntimeError):  # The event loop has ended meanwhile.
                self._loop.call_soon_threadsafe(done)
            del job, done


class Disks:
    """All devices, found by the folders on them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._disks: dict[int, Disk] = {}
        self._devices = Inquiries(_device_of, (OSError,), "disk of {}", most=_MAX_SURVEYS)

    async def find(self, folder: str) -> Disk:
        """The one that ``folder`` is on; it may take for ever. Raises OSError."""
        try:
            device = await self._devices.ask(folder)
        except OverflowError:
            raise OSError("too many drives do not answer") from None
        if isinstance(device, OSError):
            raise device
        if isinstance(device, Exception):
            raise OSError(str(device)) from device
        disk = self._disks.get(device)
        if disk is None:
            disk = self._disks[device] = Disk(device, self._loop)
        return disk


def _device_of(folder: str) -> int:
    return Path(folder).stat().st_dev
