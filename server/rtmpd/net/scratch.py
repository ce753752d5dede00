"""Room on a drive for what does not fit into memory: files without names, written and read in a thread."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from rtmpd.net.workers import Workers

_FILE_BYTES: Final = 64 * 1024 * 1024
"""A file is not used beyond; it goes when nothing of it is needed any more."""
_SAY_AGAIN: Final = 60.0
_TRY_AGAIN: Final = 5.0
"""Seconds after a failure, a full drive for instance, until the next write."""

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class ScratchFile:
    """One file, and how many pieces are in it. It is gone when the process is, however that ends."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = 0
        self._users = 1
        self._lock = threading.Lock()

    def enter(self) -> None:
        """One piece more, or somebody reads it."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """One less."""
        with self._lock:
            self._users -= 1
            if not self._users:
                os.close(self.fd)


class Written(NamedTuple):
    """Where something is. Whoever was told of it leaves the file when it is needed no more."""

    file: ScratchFile
    offset: int
    size: int


class Scratch:
    """A folder on a drive, or none: "". One thread writes and reads."""

    def __init__(self, folder: str, clock: Callable[[], float]) -> None:
        self.folder = folder
        self._workers = Workers("spool", 1)
        self._file: ScratchFile | None = None
        self._clock = clock
        self._said_at = -_SAY_AGAIN
        self._tries_at = 0.0
        self.failures = 0
        """Writes that failed."""

    def append(self, make: Callable[[], bytes], done: Callable[[Written | Exception], None]) -> None:
        """Write what ``make`` gives, in the thread; ``done`` is called with where it is, or what failed."""

        def finish(outcome: Written | Exception) -> None:
            if isinstance(outcome, Exception):
                self.failures += 1
                self._tries_at = self._clock() + _TRY_AGAIN
                self._say(outcome)
            done(outcome)

        self._workers.submit(lambda: self._append(make()), finish)

    def fetch(self, place: Written, use: Callable[[bytes], T], done: Callable[[T | Exception], None]) -> None:
        """Read what was written, and make of it what ``use`` does, in the thread."""
        place.file.enter()

        def job() -> T:
            try:
                return use(os.pread(place.file.fd, place.size, place.offset))
            finally:
                place.file.leave()

        self._workers.submit(job, done)

    def move(self, folder: str) -> None:
        """Write to that folder from now on; what was written is read where it is.

        It is tried at once: memory may be full for the first time when nobody looks at the log any more.
        """
        before, self.folder = self.folder, folder
        if before not in ("", folder):
            self._workers.submit(self._let_go, lambda _: None)
        if folder not in ("", before):
            self._workers.submit(lambda: os.close(_open_nameless(folder)), self._say)

    def close(self) -> None:
        """Nothing is written any more."""
        self._workers.submit(self._let_go, lambda _: None)
        self._workers.close()

    @property
    def usable(self) -> bool:
        """There is a folder, and nothing has failed a moment ago."""
        return bool(self.folder) and self._clock() >= self._tries_at

    def _say(self, outcome: object) -> None:
        """That it failed, if it did, and not too often."""
        now = self._clock()
        if isinstance(outcome, Exception) and now - self._said_at >= _SAY_AGAIN:
            self._said_at = now
            fields = {"folder": self.folder, "problem": str(outcome)}
            _logger.warning("spool cannot be written", extra={"fields": fields})

    # In the thread

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.leave()

    def _append(self, data: bytes) -> Written:
        file = self._file
        if file is None or file.size + len(data) > _FILE_BYTES:
            if file is not None:
                file.leave()
            self._file = None
            file = self._file = ScratchFile(_open_nameless(self.folder))
        offset = file.size
        view = memoryview(data)
        while view:
            written = os.pwrite(file.fd, view, offset + len(data) - len(view))
            view = view[written:]
        file.size += len(data)
        file.enter()
        return Written(file, offset, len(data))


def _open_nameless(folder: str) -> int:
    with contextlib.suppress(OSError, AttributeError):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fd, path = tempfile.mkstemp(dir=folder, prefix=".rtmpd-")
    Path(path).unlink()
    return fd
