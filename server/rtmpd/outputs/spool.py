"""What does not fit into memory: packets in files that have no name, written and read in threads."""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rtmpd.engine.packet import Packet
from rtmpd.net.workers import Workers

_FILE_BYTES: Final = 64 * 1024 * 1024
"""A file is not used beyond; it goes when nothing of it is needed any more."""
_HEAD: Final = struct.Struct(">BqII")
"""Kind, time (64-bit ms), flags, size."""
_SAY_AGAIN: Final = 60.0
_TRY_AGAIN: Final = 5.0
"""Seconds after a failure, a full drive for instance, until the next write."""

_logger = logging.getLogger(__name__)


class SpoolFile:
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


class Spool:
    """A folder on a drive, or none: "". One thread writes and reads."""

    def __init__(self, folder: str, clock: Callable[[], float]) -> None:
        self.folder = folder
        self._workers = Workers("spool", 1)
        self._file: SpoolFile | None = None
        self._clock = clock
        self._said_at = -_SAY_AGAIN
        self._tries_at = 0.0
        self.failures = 0
        """Writes that failed."""

    def write(
        self, packets: list[Packet], done: Callable[[tuple[SpoolFile, int, int] | Exception], None]
    ) -> None:
        """Write packets; ``done`` is called with the file, the offset and the size, or with what failed."""

        def finish(outcome: tuple[SpoolFile, int, int] | Exception) -> None:
            if isinstance(outcome, Exception):
                self.failures += 1
                self._tries_at = self._clock() + _TRY_AGAIN
                self._say(outcome)
            done(outcome)

        self._workers.submit(lambda: self._append(packed(packets)), finish)

    def read(
        self, place: SpoolFile, offset: int, length: int, done: Callable[[list[Packet] | Exception], None]
    ) -> None:
        """Read what was written."""
        place.enter()

        def job() -> list[Packet]:
            try:
                return unpacked(os.pread(place.fd, length, offset))
            finally:
                place.leave()

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

    def _append(self, data: bytes) -> tuple[SpoolFile, int, int]:
        file = self._file
        if file is None or file.size + len(data) > _FILE_BYTES:
            if file is not None:
                file.leave()
            self._file = None
            file = self._file = SpoolFile(_open_nameless(self.folder))
        offset = file.size
        view = memoryview(data)
        while view:
            written = os.pwrite(file.fd, view, offset + len(data) - len(view))
            view = view[written:]
        file.size += len(data)
        file.enter()
        return file, offset, len(data)


def packed(packets: list[Packet]) -> bytes:
    """Packets as bytes."""
    parts: list[bytes] = []
    for packet in packets:
        parts += (
            _HEAD.pack(packet.kind, packet.timestamp, packet.flags, len(packet.payload)),
            packet.payload,
        )
    return b"".join(parts)


def unpacked(data: bytes) -> list[Packet]:
    """The packets again; as many as are whole."""
    packets, pos = [], 0
    while pos + _HEAD.size <= len(data):
        kind, timestamp, flags, size = _HEAD.unpack_from(data, pos)
        pos += _HEAD.size
        if pos + size > len(data):
            break
        packets.append(Packet(kind, timestamp, data[pos : pos + size], flags))
        pos += size
    return packets


def _open_nameless(folder: str) -> int:
    with contextlib.suppress(OSError, AttributeError):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fd, path = tempfile.mkstemp(dir=folder, prefix=".rtmpd-")
    Path(path).unlink()
    return fd
