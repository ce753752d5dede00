"""Lines of a file of stream keys that come and go: at once, so that nobody ever reads a half of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from pathlib import Path

from rtmpd.access.key_file import parse, parse_line
from rtmpd.access.keys import Key
from rtmpd.exceptions import ConfigError

_NEW_MODE = 0o644
"""Of a file that was not there: digests of keys are no secrets."""


def add_line(path: Path, line: str, max_name_bytes: int) -> None:
    """Put ``line`` behind the others; a file that is not there is made.

    Raises ConfigError, also if what is there are no lines of keys, or would not be any with ``line``.
    """

    def put(lines: list[bytes]) -> list[bytes]:
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        more = [*lines, f"{line}\n".encode()]
        if len(parse(more, str(path), max_name_bytes)) == len(parse(lines, str(path), max_name_bytes)):
            raise ConfigError([f"{path}: a line that begins with # is a comment: take another name"])
        return more

    _rewrite(path, put)


def take_out(path: Path, unwanted: Callable[[Key], bool], max_name_bytes: int) -> None:
    """Take out the lines of the keys that are ``unwanted``; all others stay. Raises ConfigError."""

    def stays(line: bytes) -> bool:
        try:
            key = parse_line(line.removeprefix(BOM_UTF8), max_name_bytes)
        except ValueError:
            return True
        return key is None or not unwanted(key)

    _rewrite(path, lambda lines: list(filter(stays, lines)))


def _rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = Path(os.path.realpath(path))  # A link stays one.
    try:
        if path.exists() and not path.is_file():
            raise ConfigError([f"{path}: is no file"])
        with _alone(path.parent):
            lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
            _replace(path, b"".join(change(lines)))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be changed: {error.strerror}"]) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Beside no other command: of two that read the same lines one would lose what it says."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """By a file that is whole, and has the same owner and rights."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _adopt(file.fileno(), path)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _adopt(descriptor: int, path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, _NEW_MODE)
        return
    if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, found.st_mode & 0o777)
