"""A file of a recording while it is written: held by a lock under another name, and whole at every flush."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from rtmpd.media import flv
from rtmpd.outputs.flv_head import HEAD_BYTES, KeyframeIndex, Told, build_head
from rtmpd.outputs.names import FILE_MODE, MADE_SUFFIX, PART, SUFFIX, numbered, open_folder
from rtmpd.outputs.record_rules import Fsync

_MAX_SAME: Final = 1000
"""Files with the same name: further ones are not told apart."""
_MAX_TAKEN_AWAY: Final = 3
_MAX_WRITE: Final = 1024 * 1024
"""Bytes joined for one write."""


class Place(NamedTuple):
    """An open file, locked, whose name has ``PART`` behind it until it is finished."""

    root: str
    levels: tuple[str, ...]
    """Folders below ``root``."""
    name: str
    """As it will be called."""
    folder: int
    """A descriptor, as the next one."""
    fd: int

    @classmethod
    def create(cls, root: str, levels: list[str], max_descriptor: int = sys.maxsize) -> Self:
        """Of a new file. Raises OSError, as ``open_folder`` does."""
        for _ in range(_MAX_TAKEN_AWAY):
            # Who tidies up may take away a folder that is empty, just before there is something in it.
            with suppress(FileNotFoundError):
                return cls._create(root, levels, max_descriptor)
        return cls._create(root, levels, max_descriptor)

    @classmethod
    def _create(cls, root: str, levels: list[str], max_descriptor: int) -> Self:
        folder = open_folder(root, levels[:-1], max_descriptor)
        try:
            name, fd = _create(folder, levels[-1])
        except BaseException:
            os.close(folder)
            raise
        return cls(root, tuple(levels[:-1]), name, folder, fd)

    def path(self, name: str) -> str:
        """Of a file in the same folder."""
        return "/".join((self.root.rstrip("/"), *self.levels, name))


class FlvFile:
    """Owns its place. Not for the event loop.

    Raises OSError, from every method. After a failure what was flushed before is kept, and may be finished.
    """

    def __init__(
        self,
        place: Place,
        told: Told,
        metadata: bytes,
        fsync: Fsync,
        index: KeyframeIndex | None = None,
        size: int = HEAD_BYTES,
    ) -> None:
        """Begins a new file, or goes on behind the ``size`` bytes of one that has this ``index``."""
        self.told = told
        self.metadata = metadata
        """What the encoder says: its newest onMetaData before the end, as ``live_metadata`` gave it."""
        self.index = index or KeyframeIndex()
        self.size = size
        """With all that waits to be flushed."""
        self._fsync = fsync
        self._pieces: list[bytes] = []
        self._place = place
        self._open = True
        self._flushed = (size, told.last, told.duration)
        try:
            if size == HEAD_BYTES:
                _write_all(place.fd, build_head(told, metadata, self.index))
            os.lseek(place.fd, size, os.SEEK_SET)
        except BaseException:
            if size == HEAD_BYTES:
                self.discard()
            self.close()
            raise

    @property
    def path(self) -> str:
        """Where it is now, absolute if the root is."""
        return self._place.path(self._place.name + PART)

    def add(self, kind: int, time: int, payload: bytes, *, keyframe: bool) -> None:
        """One tag, of a frame at ``time`` (ms), to be written with the next flush."""
        if keyframe:
            self.index.add(time, self.size)
        tag = flv.encode_tag(kind, time, payload)
        self._pieces.append(tag)
        self.size += len(tag)

    def note(self, last: int, duration: int) -> None:
        """Time of the last frame so far and the time at which the next is due (ms)."""
        self.told.last, self.told.duration = last, duration

    def free_bytes(self) -> int:
        """What the file system has left for us."""
        stat = os.fstatvfs(self._place.fd)
        return stat.f_bavail * stat.f_frsize

    def flush(self) -> None:
        """Write what waits. FileNotFoundError if somebody has taken the file away, or its drive."""
        if not self._pieces:
            return
        pieces, self._pieces = self._pieces, []
        self._check_there()
        for joined in _joined(pieces):
            _write_all(self._place.fd, joined)
        if self._fsync is Fsync.ALWAYS:
            os.fdatasync(self._place.fd)
        self._flushed = (self.size, self.told.last, self.told.duration)

    def finish(self) -> str:
        """Write its head, and give it its name, which no other file has; its path. It is closed then.

        What was not flushed is left out.
        """
        try:
            self._cut()
            self.told.size = self.size
            _write_all(self._place.fd, build_head(self.told, self.metadata, self.index), 0)
            if self._fsync is not Fsync.NEVER:
                os.fsync(self._place.fd)
            name = give_name(self._place.folder, self._place.name)
            if self._fsync is not Fsync.NEVER:
                # Not every file system has folders that can be.
                with suppress(OSError):
                    os.fsync(self._place.folder)
            return self._place.path(name)
        finally:
            self.close()

    @property
    def flushed_size(self) -> int:
        """Bytes that have been written."""
        return self._flushed[0]

    @property
    def empty(self) -> bool:
        """Nothing of the stream has been flushed."""
        return self._flushed[0] == HEAD_BYTES

    def discard(self) -> None:
        """Remove it, and close it."""
        with suppress(OSError):
            os.unlink(self._place.name + PART, dir_fd=self._place.folder)
        self.close()

    def close(self) -> None:
        """Leave it as it is, for whoever repairs it. Idempotent."""
        if self._open:
            self._open = False
            os.close(self._place.fd)
            os.close(self._place.folder)

    def _check_there(self) -> None:
        """What is written where nobody finds it is lost."""
        status, path = os.fstat(self._place.fd), self.path
        try:
            # Its inode proves nothing: not every file system has the same one whenever it is asked.
            there = status.st_nlink > 0 and Path(path).lstat().st_dev == status.st_dev
        except (FileNotFoundError, NotADirectoryError):
            there = False
        if not there:
            raise FileNotFoundError(errno.ENOENT, "somebody has taken it away", path)

    def _cut(self) -> None:
        """Take off what a flush that failed has left."""
        size, self.told.last, self.told.duration = self._flushed
        if self.size != size:
            self.size = size
            self.index.cut(size)
        os.ftruncate(self._place.fd, size)


def give_name(folder: int, name: str) -> str:
    """Have the file ``name`` with ``PART`` behind it in ``folder`` be called ``name``, or with a number if
    there is one called so; what it is called. Never is another file lost.
    """
    part = name + PART
    for number in range(1, _MAX_SAME):
        final = numbered(name, number)
        if number > 1 and _exists(folder, _made_of(final)):
            continue
        try:
            os.link(part, final, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            if not _is_same(folder, part, final):
                continue
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV):
                raise
            if not _rename(folder, part, final):
                continue
            return final
        os.unlink(part, dir_fd=folder)
        return final
    raise FileExistsError(errno.EEXIST, f"there are {_MAX_SAME} files of this name", name)


def _rename(folder: int, part: str, final: str) -> bool:
    """Where a file system has no hard links: take the name first, then put the file in its place."""
    try:
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE, dir_fd=folder))
    except FileExistsError:
        return False
    try:
        os.rename(part, final, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(final, dir_fd=folder)
        raise
    return True


def _is_same(folder: int, one: str, other: str) -> bool:
    """A process that was killed has given the file its name, and not yet taken the other away."""
    stats = [os.stat(name, dir_fd=folder, follow_symlinks=False) for name in (one, other)]
    return os.path.samestat(*stats)


def _create(folder: int, name: str) -> tuple[str, int]:
    """The name that a file will have, and its descriptor, locked."""
    for number in range(1, _MAX_SAME):
        final = numbered(name, number)
        if _is_taken(folder, final):
            continue
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(final + PART, flags, FILE_MODE, dir_fd=folder)
        except FileExistsError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # Somebody who repairs what was cut off was quicker.
            os.close(fd)
            continue
        except OSError as error:
            # Where there are no locks nobody gets one, and who has none repairs nothing.
            if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
                os.close(fd)
                raise
        return final, fd
    raise FileExistsError(errno.EEXIST, f"there are {_MAX_SAME} files of this name", name)


def _is_taken(folder: int, name: str) -> bool:
    """By a recording, or by what was made of one, which would be lost to what is made of another."""
    return _exists(folder, name) or _exists(folder, _made_of(name))


def _made_of(name: str) -> str:
    return name.removesuffix(SUFFIX) + MADE_SUFFIX


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _joined(pieces: list[bytes]) -> list[bytes]:
    """In pieces that are worth a write each."""
    joined: list[bytes] = []
    begin = size = 0
    for at, piece in enumerate(pieces, 1):
        size += len(piece)
        if size >= _MAX_WRITE or at == len(pieces):
            joined.append(b"".join(pieces[begin:at]))
            begin, size = at, 0
    return joined


def _write_all(fd: int, data: bytes, offset: int | None = None) -> None:
    view = memoryview(data)
    while view:
        written = os.write(fd, view) if offset is None else os.pwrite(fd, view, offset)
        view = view[written:]
        offset = None if offset is None else offset + written
