"""FLV files and pipes, read as they are published and written as they are played."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rtmpd.exceptions import FlvError, UsageError
from rtmpd.media.flv import FlvReader, FlvTag
from rtmpd.reasons import FlvFailure

STANDARD_STREAM: Final = "-"
"""Names standard input or output."""
_READ_BYTES: Final = 64 * 1024
_STDIN, _STDOUT = 0, 1


class FlvSource:
    """Tags of an FLV file, or of standard input for ``-``, read no further ahead than one piece.

    Everything that is wrong with it is raised as FlvError, in a sentence that names the file.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == STANDARD_STREAM else path
        self.size: int | None = None
        """Bytes; None when that cannot be known."""
        self.position = 0
        """Bytes read, since the beginning or the last ``rewind``."""
        self.truncated = False
        """It ended inside a tag, which was left out."""
        self._path = path
        self._fd = -1
        self._reader = FlvReader()
        self._tags: deque[FlvTag] = deque()
        self._seekable = False
        self._ended = False

    async def open(self) -> None:
        """Open it and wait for its first tag, so that a file that is none is told before anything else."""
        try:
            self._fd = _STDIN if self._path == STANDARD_STREAM else os.open(self._path, os.O_RDONLY)
            if os.isatty(self._fd):
                raise FlvError(
                    FlvFailure.UNREADABLE, f"{self.name} is a terminal: pipe an FLV stream into it"
                )
            status = os.fstat(self._fd)
        except OSError as error:
            raise self._unreadable(error) from error
        self._seekable = stat.S_ISREG(status.st_mode)
        if self._seekable:
            self.size = status.st_size
        await self._fill()
        if not self._tags:
            raise FlvError(FlvFailure.NO_MEDIA, f"{self.name} holds no audio or video: nothing to publish")

    @property
    def can_rewind(self) -> bool:
        return self._seekable

    async def next_tag(self) -> FlvTag | None:
        """The next tag, None at the end."""
        if not self._tags:
            await self._fill()
        return self._tags.popleft() if self._tags else None

    def rewind(self) -> None:
        """Read it from its beginning once more."""
        if not self._seekable:
            raise UsageError(f"{self.name} cannot be read twice")
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._reader = FlvReader()
        self._tags.clear()
        self.position = 0
        self._ended = False

    def close(self) -> None:
        if self._fd > _STDIN:
            os.close(self._fd)
        self._fd = -1

    async def _fill(self) -> None:
        """Read until there is a tag, or no more."""
        while not self._tags and not self._ended:
            try:
                if not self._seekable:
                    await _ready(self._fd, asyncio.get_running_loop().add_reader, _stop_reading)
                data = os.read(self._fd, _READ_BYTES)
            except OSError as error:
                raise self._unreadable(error) from error
            if not data:
                self._ended = True
                self._finish()
                return
            self.position += len(data)
            try:
                self._tags.extend(self._reader.receive_data(data))
            except FlvError as error:
                raise FlvError(error.reason, f"{self.name}: {error}{_advice(error)}") from error

    def _finish(self) -> None:
        if not self._reader.header_parsed:
            state = "cut short" if self.position else "empty"
            raise FlvError(FlvFailure.NOT_FLV, f"{self.name} is {state}: not an FLV file")
        self.truncated = self._reader.incomplete

    def _unreadable(self, error: OSError) -> FlvError:
        return FlvError(FlvFailure.UNREADABLE, f"cannot read {self.name}: {error.strerror or error}")


class FlvSink:
    """Where the bytes of an FLV file go: a file, made with its first byte, or standard output for ``-``.

    OSError is raised as it comes, but BrokenPipeError, which sets ``left``: the reader wants no more.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard output" if path == STANDARD_STREAM else path
        self.left = False
        self.path = path
        self._fd = -1
        self._written = b""
        self._blocking = True

    def check(self) -> None:
        """Raise OSError or UsageError for what can be told before there is anything to write."""
        if self.path == STANDARD_STREAM:
            if os.isatty(_STDOUT):
                raise UsageError("standard output is a terminal: pipe it (-o - | ffplay -) or name a file")
            return
        directory = Path(self.path).parent
        target = Path(self.path)
        if not directory.is_dir():
            raise FileNotFoundError(2, "No such directory", str(directory))
        if target.is_dir():
            raise IsADirectoryError(21, "Is a directory", self.path)
        if not os.access(target if target.exists() else directory, os.W_OK):
            raise PermissionError(13, "Permission denied", self.path)

    async def write(self, data: bytes) -> None:
        """Write all of it; waits for a slow reader without holding up anything else."""
        if not data or self.left:
            return
        if self._fd < 0:
            self._open()
        if not self._written:
            self._written = data[:13]
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                await _ready(self._fd, asyncio.get_running_loop().add_writer, _stop_writing)
            except BrokenPipeError:
                self.left = True
                return

    def close(self, header: bytes) -> None:
        """Close it, with another file ``header`` if that differs and the place of the old can be reached."""
        if self._fd < 0:
            return
        if self._fd == _STDOUT:
            os.set_blocking(_STDOUT, self._blocking)
        else:
            if header != self._written:
                with contextlib.suppress(OSError):  # A named pipe.
                    os.pwrite(self._fd, header, 0)
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        if self.path != STANDARD_STREAM:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            return
        self._fd = _STDOUT
        self._blocking = os.get_blocking(_STDOUT)
        if stat.S_ISFIFO(os.fstat(_STDOUT).st_mode):
            os.set_blocking(_STDOUT, False)


async def _ready(fd: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    """Wait until ``fd`` can be read, or written to, as ``add`` asks the event loop."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        add(fd, wake)
    except PermissionError:
        return  # epoll takes no regular files, and they are always ready.
    try:
        await ready
    finally:
        remove(fd)


def _stop_reading(fd: int) -> None:
    asyncio.get_running_loop().remove_reader(fd)


def _stop_writing(fd: int) -> None:
    asyncio.get_running_loop().remove_writer(fd)


def _advice(error: FlvError) -> str:
    if error.reason is FlvFailure.NOT_FLV:
        return "; make one with ffmpeg -i INPUT -c copy -f flv OUTPUT.flv"
    return ""
