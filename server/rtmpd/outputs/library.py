"""Recorded files that may be played, by the names of their streams: ``[apps.NAME.vod]``."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import re
import stat
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import FlvError, Refused
from rtmpd.net.workers import Workers
from rtmpd.outputs.descriptors import check_descriptor
from rtmpd.outputs.flv_survey import Survey, survey
from rtmpd.outputs.recorded_file import OpenFile, RecordedFile
from rtmpd.outputs.vod_rules import VodRules
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode

READERS: Final = 4
OPEN_TIMEOUT: Final = 8.0
"""Seconds that a drive has to show a file."""
_KEPT_SURVEYS: Final = 64
"""Of files that nobody plays just now; each is up to a mebibyte of key frames."""
_ENDING: Final = ".flv"
_KINDS: Final = re.compile(r"(^|/)(?:mp4|flv):")
_ENDINGS: Final = re.compile(r"\.(?:flv|mp4|f4v)$")
_NOT_THERE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO))
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER: Final = _FLAGS | os.O_DIRECTORY

_logger = logging.getLogger(__name__)


class Stamp(NamedTuple):
    """Which file it is, and as of when."""

    device: int
    inode: int
    size: int
    changed: int
    """In nanoseconds."""

    @property
    def tag(self) -> str:
        """What is in it in one word, which tells nothing of the drive."""
        return f"{self.changed:x}-{self.size:x}"


class Library:
    """Opens files for players. ``rules_of`` says what holds for a stream, as the settings are now.

    Files with descriptors from ``max_descriptor`` on are not played: others have what is left of those that
    the process may open.
    """

    def __init__(
        self, rules_of: Callable[[StreamKey], VodRules | None], max_descriptor: int = sys.maxsize
    ) -> None:
        self._rules_of = rules_of
        self._max_descriptor = max_descriptor
        self._readers = Workers("files", READERS)
        self._scanners = Workers("files-scan", 1)
        self._files: dict[Stamp, OpenFile] = {}
        self._surveys: OrderedDict[Stamp, Survey] = OrderedDict()
        self._lock = threading.Lock()
        """Of ``_surveys``, which threads look into."""

    def offers(self, key: StreamKey) -> bool:
        """Whether the app has a folder of files."""
        return self._rules_of(key) is not None

    async def open(self, key: StreamKey) -> RecordedFile | None:
        """The file of that name; None if there is none. Raises ``Refused`` where it cannot be played."""
        rules, levels = self._rules_of(key), file_levels(key.name)
        if rules is None or levels is None:
            return None
        root = rules.root
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                found = await self._readers.run(lambda: self._look_up(root, levels), _let_go)
        except TimeoutError:
            _logger.warning("file not opened in time", extra={"fields": {"app": key.app, "stream": key.name}})
            text = "The server could not open this file in time; try again later."
            raise Refused(StatusCode.PLAY_FAILED, text, Refusal.FILE_UNREADABLE) from None
        except (OSError, FlvError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            fields = {"app": key.app, "stream": key.name, "problem": problem}
            _logger.warning("file cannot be played", extra={"fields": fields})
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                text = "This server has too many files open; try again later."
                raise Refused(StatusCode.PLAY_FAILED, text, Refusal.FILES) from None
            text = f"{key.name} cannot be played: the server cannot read it as FLV."
            raise Refused(StatusCode.PLAY_FAILED, text, Refusal.FILE_UNREADABLE) from None
        if found is None:
            return None
        stamp, fd, known = found
        file = self._files.get(stamp)
        if file is None:
            file = self._files[stamp] = OpenFile(
                fd, known, lambda: self._forget(stamp), stamp.tag, stamp.changed / 1e9
            )
        else:
            os.close(fd)
        return RecordedFile(file, self._readers, self._scanners, rules.pause_timeout)

    def close(self) -> None:
        """Nobody plays any more."""
        self._readers.close()
        self._scanners.close()

    def _forget(self, stamp: Stamp) -> None:
        self._files.pop(stamp, None)

    # In a thread

    def _look_up(self, root: str, levels: list[str]) -> tuple[Stamp, int, Survey] | None:
        try:
            fd = open_beneath(root, levels)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        try:
            status = os.fstat(fd)
            check_descriptor(fd, self._max_descriptor)
            if not stat.S_ISREG(status.st_mode):
                os.close(fd)
                return None
            with contextlib.suppress(OSError):  # Not every file system has locks.
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # Who tidies up leaves it alone.
            stamp = Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            return stamp, fd, self._survey(stamp, fd)
        except BaseException:
            os.close(fd)
            raise

    def _survey(self, stamp: Stamp, fd: int) -> Survey:
        with self._lock:
            known = self._surveys.pop(stamp, None)
        known = known or survey(fd, stamp.size)
        with self._lock:
            self._surveys[stamp] = known
            while len(self._surveys) > _KEPT_SURVEYS:
                self._surveys.popitem(last=False)
        return known


def file_levels(name: str) -> list[str] | None:
    """The path of the file that players call ``name``, by its levels; None if it may be none.

    Players say ``mp4:`` and ``flv:`` before a name, and the kind of a file behind it, or not. Nothing hidden
    is played, nor what is still written.
    """
    plain = _ENDINGS.sub("", _KINDS.sub(r"\1", name))
    levels = plain.split("/")
    if any(not level or level.startswith(".") for level in levels):
        return None
    levels[-1] += _ENDING
    return levels


def open_beneath(root: str, levels: list[str]) -> int:
    """A descriptor of the file at ``levels`` below ``root``, which no link on the way leads out of.

    ``root`` itself may be a link; below it none is followed. Raises OSError.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for level in levels[:-1]:
            deeper = os.open(level, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = deeper
        return os.open(levels[-1], _FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def _let_go(found: tuple[Stamp, int, Survey] | None) -> None:
    if found is not None:
        os.close(found[1])
