"""The last file of a stream, opened again: for an encoder that publishes it to ``append``."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.outputs.flv_file import FlvFile, Place
from rtmpd.outputs.names import PART, SUFFIX, open_folder
from rtmpd.outputs.record_rules import Fsync
from rtmpd.outputs.repair import Findings, Locked, lock, look_through

_MAX_LOOKED_AT: Final = 100
"""Files of the folder, the newest first."""


def open_last(root: str, levels: list[str], key: StreamKey, fsync: Fsync) -> FlvFile | None:
    """The newest finished file of the stream in the folder that its next one would be in; None if none is.

    It is called as one that is written from then on. Raises OSError.
    """
    folder = open_folder(root, levels[:-1])
    try:
        for name in _newest(folder):
            opened = _open(folder, name, key)
            if opened is not None:
                fd, found = opened
                place = Place(root, tuple(levels[:-1]), name, folder, fd)
                return FlvFile(place, found.told, found.metadata, fsync, found.index, found.size)
    except BaseException:
        os.close(folder)
        raise
    os.close(folder)
    return None


def _newest(folder: int) -> list[str]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found.append((entry.stat(follow_symlinks=False).st_mtime, entry.name))
    return [name for _, name in sorted(found, reverse=True)[:_MAX_LOOKED_AT]]


def _open(folder: int, name: str, key: StreamKey) -> tuple[int, Findings] | None:
    """Take a file if it is of the stream, and nobody has it locked."""
    fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = look_through(fd, key)
        if found is not None:
            with suppress(Locked, FileExistsError):
                lock(fd, name)
                _take_back(folder, name)
                os.ftruncate(fd, found.size)
                return fd, found
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _take_back(folder: int, name: str) -> None:
    """Have it be called as while it is written. Raises FileExistsError if another is called so."""
    part = name + PART
    try:
        os.link(name, part, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        os.rename(name, part, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)
