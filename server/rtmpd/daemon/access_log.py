"""The access log: a line of JSON for each session that is over, written by a thread of its own."""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rtmpd.events.records import SessionRecord
from rtmpd.net.file_stamps import Stamp
from rtmpd.reasons import Word

logger = logging.getLogger(__name__)

_QUEUE_RECORDS: Final = 10_000
_RECORDS_AT_ONCE: Final = 64
_GATHERING: Final = 0.02
"""Seconds that the first of many waits for the others."""
_MODE: Final = 0o640


class AccessLogLoss(Word):
    """Why a session has no line in the access log."""

    QUEUE_FULL = "queue_full", "10,000 others waited to be written: whatever takes them is too slow"
    DISK_FULL = "disk_full", "there was no room for it"
    FAILED = "failed", "the file could not be opened or written; the log says why"


@dataclass(slots=True)
class AccessLogStats:
    """What has become of the lines; every reason is there from the start."""

    lines: int = 0
    lost: dict[Word, int] = field(default_factory=lambda: dict.fromkeys(AccessLogLoss, 0))


class AccessLog:
    """A listener of the recorder, which only queues what it hears.

    The file is opened anew when its name leads elsewhere than before, as after logrotate has renamed it.
    """

    def __init__(self, path: str, stats: AccessLogStats, capacity: int = _QUEUE_RECORDS) -> None:
        self.path = path
        """May change at any time."""
        self._stats = stats
        self._capacity = capacity
        self._queue: deque[SessionRecord] = deque()
        self._ready = threading.Event()
        """There is something to write, or there will be no more."""
        self._ended = False
        self._file: tuple[int, str, Stamp] | None = None
        """Descriptor, path, and what it is that was opened there."""
        self._torn = False
        """The last line has no end."""
        self._lost_since: int | None = None
        """Lines lost since the file cannot be written; None while it can."""
        # A daemon thread: a disk that never answers must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def recorded(self, record: SessionRecord) -> None:
        """Queue it, if it ever asked to connect: scanners and health checks are no news."""
        if not record.introduced:
            return
        if len(self._queue) >= self._capacity:
            self._stats.lost[AccessLogLoss.QUEUE_FULL] += 1
            return
        self._queue.append(record)
        if not self._ready.is_set():
            self._ready.set()

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout`` seconds."""
        self._ended = True
        self._ready.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        ended = False
        while not ended:
            self._ready.wait()
            time.sleep(_GATHERING)
            self._ready.clear()
            ended = self._ended
            while self._queue:
                count = min(len(self._queue), _RECORDS_AT_ONCE)
                self._write([self._queue.popleft() for _ in range(count)])
        self._close()

    def _write(self, records: list[SessionRecord]) -> None:
        lines = [json.dumps(each.as_json(), separators=(",", ":")) + "\n" for each in records]
        try:
            self._append("".join(lines).encode())
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self._stats.lost[AccessLogLoss.DISK_FULL if full else AccessLogLoss.FAILED] += len(records)
            if self._lost_since is None:
                fields = {"path": self.path, "problem": error.strerror or str(error)}
                logger.warning("access log not written", extra={"fields": fields})
            self._lost_since = (self._lost_since or 0) + len(records)
            self._close()
        else:
            self._stats.lines += len(records)
            if self._lost_since is not None:
                self._tell_written()

    def _tell_written(self) -> None:
        fields = {"path": self.path, "lost": self._lost_since}
        logger.info("access log written again", extra={"fields": fields})
        self._lost_since = None

    def _append(self, data: bytes) -> None:
        """Raises OSError; then part of it may be there."""
        descriptor = self._opened()
        if self._torn:
            data = b"\n" + data
        left = memoryview(data)
        while left:
            written = os.write(descriptor, left)
            self._torn = written < len(left)
            left = left[written:]

    def _opened(self) -> int:
        path = self.path
        if self._file is not None:
            descriptor, opened, stamp = self._file
            if opened == path and _stamp_at(path) == stamp:
                return descriptor
            self._close()
            self._torn = False
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, flags, _MODE)
        found = os.fstat(descriptor)
        self._file = (descriptor, path, (found.st_dev, found.st_ino))
        return descriptor

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file[0])
            self._file = None


def _stamp_at(path: str) -> Stamp:
    """Which file it is, whatever is in it."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino
