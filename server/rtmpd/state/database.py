"""The file of the state: made, opened, locked, and what is wrong with it in words."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rtmpd.exceptions import StateUnusable
from rtmpd.state.schema import STEPS, Step, advance, check
from rtmpd.state.words import StateFailure

FILE: Final = "state.sqlite3"
LOCK: Final = "state.lock"
BUSY_TIMEOUT: Final = 5.0
"""Seconds that another program may keep the file locked."""

_BY_CODE: Final = {
    sqlite3.SQLITE_FULL: (StateFailure.FULL, "the disk is full, or state.max_bytes is reached"),
    sqlite3.SQLITE_READONLY: (StateFailure.READ_ONLY, "it may only be read: let the server write there"),
    sqlite3.SQLITE_CANTOPEN: (StateFailure.DENIED, "it cannot be opened: let the server write to its folder"),
    sqlite3.SQLITE_PERM: (StateFailure.DENIED, "it cannot be opened: let the server write to its folder"),
    sqlite3.SQLITE_BUSY: (StateFailure.BUSY, "another program keeps it locked"),
    sqlite3.SQLITE_LOCKED: (StateFailure.BUSY, "another program keeps it locked"),
    sqlite3.SQLITE_CORRUPT: (StateFailure.CORRUPT, "it is damaged: move it away, or put a copy in its place"),
    sqlite3.SQLITE_NOTADB: (StateFailure.CORRUPT, "it is no SQLite file: move it away"),
    sqlite3.SQLITE_IOERR: (StateFailure.IO, "the disk does not read or write it"),
}
_BY_ERRNO: Final = {
    errno.ENOSPC: StateFailure.FULL,
    errno.EDQUOT: StateFailure.FULL,
    errno.EROFS: StateFailure.READ_ONLY,
    errno.EACCES: StateFailure.DENIED,
    errno.EPERM: StateFailure.DENIED,
    errno.ENOENT: StateFailure.DENIED,
    errno.ENOTDIR: StateFailure.DENIED,
    errno.EEXIST: StateFailure.DENIED,
    errno.EISDIR: StateFailure.DENIED,
}
_PRAGMAS: Final = (
    # One file that can be copied, and that works on network drives, which have no memory to share.
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA synchronous = FULL",
    # Addresses of push targets hold stream keys.
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
)


def explain(error: Exception) -> StateUnusable:
    """What went wrong with the file, and what to do about it."""
    match error:
        case StateUnusable():
            return error
        case sqlite3.Error() if is_unfinished(error):
            text = "a server was killed while it wrote: start it again, or read it as its user"
            return StateUnusable(StateFailure.READ_ONLY, text)
        case sqlite3.Error():
            # Python's own mistakes, such as a closed connection, have none.
            code = getattr(error, "sqlite_errorcode", None)
            if code is not None and (known := _BY_CODE.get(code & 0xFF)) is not None:
                return StateUnusable(*known)
        case OSError():
            failure = _BY_ERRNO.get(error.errno or 0, StateFailure.IO)
            return StateUnusable(failure, error.strerror or "the disk does not read or write it")
    return StateUnusable(StateFailure.BUG, "an error of the server's own: see the log")


class FolderLock:
    """Says that a server keeps its state in a folder, for as long as its process lives."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._descriptor: int | None = None

    def take(self) -> bool:
        """False if another server has it. Raises OSError."""
        if self._descriptor is not None and not os.fstat(self._descriptor).st_nlink:
            self.release()  # Somebody has deleted it: in its place others would find another.
        if self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                pass  # The drive knows no locks: nobody can be told apart there.
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_to_write(folder: Path, max_bytes: int, steps: Sequence[Step] = STEPS) -> sqlite3.Connection:
    """Open the file in ``folder``, made if it is not there, with tables as ``steps`` have them.

    A file that may only be read is opened for that: what writes to it fails. For one thread. Raises OSError,
    sqlite3.Error and StateUnusable.
    """
    path = folder / FILE
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = _connect(path, "rw")
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if check(connection, len(steps)) < len(steps):
            advance(connection, steps)
        limit(connection, max_bytes)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(folder: Path, steps: Sequence[Step] = STEPS) -> sqlite3.Connection | None:
    """The same to read alone, beside whoever writes; None if there is nothing.

    Where a server was killed while it wrote, what it had not finished is taken back first, which is writing.
    """
    path = folder / FILE
    if not path.exists():
        return None
    connection = _connect(path, "ro")
    try:
        try:
            version = check(connection, len(steps))
        except sqlite3.Error as error:
            if not is_unfinished(error):
                raise
            connection.close()
            connection = _connect(path, "rw")
            connection.execute("PRAGMA query_only = ON")
            version = check(connection, len(steps))
    except BaseException:
        connection.close()
        raise
    if version:
        return connection
    connection.close()
    return None


def find_problem(folder: Path) -> str | None:
    """Why whoever runs this could not keep anything in ``folder``, with what to do; changes nothing there.

    None if nothing is in the way, as far as can be seen.
    """
    path = folder / FILE
    place = next(each for each in (folder, *folder.parents) if each.exists())
    if not place.is_dir():
        return f"{place} is no folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} cannot be written: let the server's user write there"
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} cannot be written: let the server's user own it"
    try:
        if path.exists():
            with contextlib.closing(_connect(path, "ro")) as connection:
                check(connection, len(STEPS))
    except (OSError, sqlite3.Error, StateUnusable) as error:
        if not is_unfinished(error):
            return f"{path}: {explain(error)}"
    return None


def is_unfinished(error: Exception) -> bool:
    """Whether a file cannot be read as whoever wrote it was killed, which the next who may write mends."""
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_READONLY_ROLLBACK


def limit(connection: sqlite3.Connection, max_bytes: int) -> None:
    """Let the file get no larger."""
    connection.execute(f"PRAGMA max_page_count = {max(max_bytes // _pragma(connection, 'page_size'), 1)}")


def size_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of the file, and those of them that are in use."""
    pages, free = _pragma(connection, "page_count"), _pragma(connection, "freelist_count")
    page = _pragma(connection, "page_size")
    return pages * page, (pages - free) * page


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if not path.is_file():  # Whoever reads a pipe waits.
        raise StateUnusable(StateFailure.CORRUPT, "it is no file: move it away")
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(address, timeout=BUSY_TIMEOUT, isolation_level=None, uri=True)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
