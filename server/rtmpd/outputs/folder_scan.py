"""What lies in the folders of recordings, and how it is taken away. All here blocks: for a thread."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rtmpd.outputs.afterwork_words import RemovalFailure
from rtmpd.outputs.names import MAX_LEVELS

SUFFIXES: Final = (".flv", ".mp4")
"""Of finished files; what is still written has another."""
UNFINISHED: Final = ".mp4.tmp"
"""Of an MP4 file that is being made."""
MAX_FILES: Final = 100_000
"""That are looked at in one folder."""
_STALE: Final = 86_400.0
"""Seconds after which an unfinished MP4 file is nobody's any more."""
_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A finished file."""

    path: str
    size: int
    changed_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Room:
    """Of the device that a folder is on, in bytes."""

    free: int
    """To who is no administrator."""
    total: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder had."""

    files: tuple[FoundFile, ...] = ()
    size: int = 0
    """Of the files together."""
    is_whole: bool = True
    """There was nothing else, and all could be looked at."""
    room: Room | None = None
    problem: str = ""
    """Why the folder itself could not be looked at."""


def scan(root: str, now: float, most: int = MAX_FILES) -> Scan:
    """What lies below ``root``. A folder that is not there yet has nothing."""
    walk = _Walk(now, most)
    try:
        files = tuple(walk.files(root))
        room = _room(root)
    except FileNotFoundError:
        return Scan(room=_room_above(root))
    except OSError as error:
        return Scan(is_whole=False, problem=error.strerror or str(error))
    return Scan(files, sum(file.size for file in files), walk.is_whole, room)


class _Walk:
    """Through folders, without following links."""

    def __init__(self, now: float, most: int) -> None:
        self.is_whole = True
        self._now = now
        self._left = most

    def files(self, root: str) -> Iterator[FoundFile]:
        """Raises OSError for ``root`` alone."""
        folders = [(root, 0)]
        while folders:
            folder, depth = folders.pop()
            try:
                with os.scandir(folder) as found:
                    for each in found:
                        if each.is_dir(follow_symlinks=False):
                            if depth < MAX_LEVELS:  # Deeper ones may be a loop of mounts.
                                folders.append((each.path, depth + 1))
                        elif each.is_file(follow_symlinks=False):
                            yield from self._file(each)
            except OSError:
                if depth == 0:
                    raise
                self.is_whole = False

    def _file(self, each: os.DirEntry[str]) -> Iterator[FoundFile]:
        if each.name.endswith(UNFINISHED):
            self._sweep(each)
        if not each.name.endswith(SUFFIXES):
            return
        if self._left <= 0:
            self.is_whole = False
            return
        self._left -= 1
        try:
            found = each.stat(follow_symlinks=False)
        except FileNotFoundError:  # Somebody else has taken it away.
            return
        yield FoundFile(each.path, found.st_size, found.st_mtime)

    def _sweep(self, each: os.DirEntry[str]) -> None:
        with contextlib.suppress(OSError):
            if self._now - each.stat(follow_symlinks=False).st_mtime > _STALE:
                Path(each.path).unlink()


def remove(path: str, root: str) -> RemovalFailure | None:
    """Take a file away, and the folders below ``root`` that are empty then; why not, if it is not done.

    A file that somebody has locked is written, or read. One that is gone already is no failure.
    """
    try:
        # A lock that excludes others needs, over NFS, a file that may be written.
        descriptor = _open_to_lock(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return RemovalFailure.DENIED if error.errno in _DENIED else RemovalFailure.IO
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return RemovalFailure.DENIED
        _lock(descriptor, fcntl.LOCK_EX)
        Path(path).unlink(missing_ok=True)
    except BlockingIOError:
        return RemovalFailure.IN_USE
    except OSError as error:
        return RemovalFailure.DENIED if error.errno in _DENIED else RemovalFailure.IO
    finally:
        os.close(descriptor)
    _prune(Path(path).parent, Path(root))
    return None


def open_to_read(path: str) -> int:
    """A descriptor of a finished file that is not removed while it is open. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check_regular(descriptor, path)
        _lock(descriptor, fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def lock_whole(descriptor: int) -> None:
    """Have a file alone. Raises BlockingIOError where somebody else has it locked, and OSError."""
    _lock(descriptor, fcntl.LOCK_EX)


def _lock(descriptor: int, kind: int) -> None:
    """Raises BlockingIOError where somebody else has it locked, and OSError."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        # Where there are no locks nobody can hold one: what is finished is not written any more.
        if error.errno not in _NO_LOCKS:
            raise


def _check_regular(descriptor: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise FileNotFoundError(errno.ENOENT, "no file", path)


def _open_to_lock(path: str) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, os.O_RDWR | flags)
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)


def _prune(folder: Path, root: Path) -> None:
    """A recorder that is about to use one makes it anew."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _room(folder: str | Path) -> Room:
    found = os.statvfs(folder)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def _room_above(root: str) -> Room | None:
    """Of the device that ``root`` will be on."""
    for folder in Path(root).parents:
        with contextlib.suppress(OSError):
            return _room(folder)
    return None
