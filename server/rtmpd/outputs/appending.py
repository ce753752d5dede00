"""The last file of a stream, opened again: for an encoder that publishes it to ``append``."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.outputs.flv_file import FlvFile, Place
from rtmpd.outputs.flv_head import HEAD_BYTES, may_be_of, payload_of
from rtmpd.outputs.names import PART, SUFFIX, open_folder
from rtmpd.outputs.record_rules import Fsync
from rtmpd.outputs.repair import Findings, finished, lock

_MAX_LOOKED_AT: Final = 100
"""Files of the folder, the newest first."""


def open_last(
    root: str, levels: list[str], key: StreamKey, fsync: Fsync, max_descriptor: int = sys.maxsize
) -> FlvFile | None:
    """The newest finished file of the stream in the folder that its next one would be in; None if none is, or
    somebody has that one.

    It is called as one that is written from then on. Raises OSError, as ``open_folder`` does.
    """
    folder = open_folder(root, levels[:-1], max_descriptor)
    try:
        taken = _take(folder, key)
    except BaseException:
        os.close(folder)
        raise
    if taken is None:
        os.close(folder)
        return None
    name, fd, found = taken
    place = Place(root, tuple(levels[:-1]), name, folder, fd)
    return FlvFile(place, found.told, found.metadata, fsync, found.index, found.size)


def _take(folder: int, key: StreamKey) -> tuple[str, int, Findings] | None:
    for name in _newest(folder):
        try:
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        except (FileNotFoundError, PermissionError):
            continue
        found = None
        try:
            is_last = may_be_of(payload_of(os.pread(fd, HEAD_BYTES, 0)), key.app, key.name)
            if is_last:
                found = _open(folder, name, fd, key)
        finally:
            if found is None:
                os.close(fd)
        if found is not None:
            return name, fd, found
        if is_last:  # Not behind an older one: that would be no order.
            return None
    return None


def _newest(folder: int) -> list[str]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found.append((entry.stat(follow_symlinks=False).st_mtime, entry.name))
    return [name for _, name in sorted(found, reverse=True)[:_MAX_LOOKED_AT]]


def _open(folder: int, name: str, fd: int, key: StreamKey) -> Findings | None:
    """Have it for us alone, and then look at what is in it; None if we cannot, or it is broken."""
    try:
        lock(fd, name)
    except OSError:  # Somebody has it, or where there are no locks may have it.
        return None
    found = finished(fd, key)
    if found is None or found.size <= HEAD_BYTES:
        return None
    try:
        _take_back(folder, name)
    except (FileExistsError, FileNotFoundError):
        return None
    return found


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
