"""A file of stream keys, one a line, read again when it has changed.

    # who            what is kept of the key   what else there is to say
    show             sha256:0123...            label="Studio 2" until=2027-01-31
    show             sha256:4567...

Replace it by renaming another file to its name: then nobody ever reads a half of it.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import threading
import time
from array import array
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypedDict

from rtmpd.access.keys import Key, KeyRing, check_label, parse_digest, parse_until
from rtmpd.exceptions import ConfigError
from rtmpd.net.file_stamps import Stamp, stamp_of
from rtmpd.rtmp.url import validate_name

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a file: over 150,000 keys. It is no limit on keys, but on what a wrong file name can cost."""
_MAX_PROBLEMS: Final = 10
_LINES_A_TURN: Final = 64
_PAUSE: Final = 0.00005
"""Seconds between turns: so short that the kernel decides, and long enough that another thread begins."""
_OPTION: Final = re.compile(r'(label|until|backup)=(?:"([^"]*)"|([^\s"]+))(?:\s+|$)')

logger = logging.getLogger(__name__)


class KeyFile:
    """The keys of a file as it is now, or as it was when it could last be used."""

    def __init__(
        self,
        path: Path,
        max_name_bytes: int,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """``max_name_bytes`` bounds the names of streams, ``start`` runs something beside the caller.

        Reads the file. Raises ConfigError, whose problems begin with the file and the line and quote nothing.
        """
        self.path = path
        self.problem = ""
        """Why the file cannot be used as it is now; empty if it can."""
        self.readings = 0
        """How often its keys have become others."""
        self._max_name_bytes = max_name_bytes
        self._start = start or _in_a_thread
        self._looking = False
        self._seen: Stamp | None = None
        """Of the file that was looked at last, usable or not; None: whatever is there next is another one."""
        try:
            self._ring = self._read()
        except OSError as error:
            raise ConfigError([_unreadable(path, error)]) from error

    @property
    def ring(self) -> KeyRing:
        """The keys that are good now."""
        return self._ring

    def look(self) -> None:
        """Have the file read if it has changed, all of it beside the caller; call it every second or so.

        A file that cannot be used is logged once, and the keys stay as they were. Raises nothing.
        """
        if self._looking:
            return
        self._looking = True
        try:
            self._start(self._look_beside)
        except RuntimeError:  # There are no threads left: the next look may find one.
            self._looking = False

    def _look_beside(self) -> None:
        try:
            if stamp_of(self.path.stat()) != self._seen:
                self._ring = self._read()
                self.readings += 1
                self.problem = ""
                logger.info("keys read", extra={"fields": {"file": str(self.path), "keys": len(self._ring)}})
        except OSError as error:
            self._seen = None
            self._keep(_unreadable(self.path, error))
        except ConfigError as error:
            self._keep("; ".join(error.problems))
        except Exception:
            logger.exception("reading keys failed", extra={"fields": {"file": str(self.path)}})
        finally:
            self._looking = False

    def _read(self) -> KeyRing:
        """Raises OSError and ConfigError."""
        # Not to wait for who writes to it, should it be a pipe.
        with open(self.path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
                raise ConfigError([f"{self.path}: is no file of at most {MAX_BYTES // 2**20} MiB"])
            # From before it is read: what somebody writes meanwhile makes it another one.
            self._seen = stamp_of(found)
            return parse(_in_turns(file), str(self.path), self._max_name_bytes)

    def _keep(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            fields = {"file": str(self.path), "keys": len(self._ring), "problem": problem}
            logger.warning("keys kept as they were", extra={"fields": fields})


def _in_a_thread(work: Callable[[], None]) -> None:
    """Which ends with the process if need be: a network file system may never answer."""
    threading.Thread(target=work, name="keys", daemon=True).start()


def _in_turns(lines: Iterable[bytes]) -> Iterator[bytes]:
    """``lines``, with a pause now and then: only then has the event loop a turn, if it waits for one."""
    for number, line in enumerate(lines, 1):
        yield line
        if number % _LINES_A_TURN == 0:
            time.sleep(_PAUSE)


def parse(lines: Iterable[bytes], place: str, max_name_bytes: int) -> KeyRing:
    """The keys that ``lines`` of UTF-8 name; ``place`` is what a problem names before the number of its line.

    Raises ConfigError with the first ten problems. They quote nothing of a line, which may hold a key.
    """
    ring = KeyRing()
    numbers = array("L")
    """Of the lines of the ring's keys, in their order."""
    problems = []
    for number, line in enumerate(lines, 1):
        try:
            key = parse_line(line.removeprefix(BOM_UTF8) if number == 1 else line, max_name_bytes)
            if key is not None:
                _add(ring, numbers, key, number)
        except ValueError as error:
            problems.append(f"{place}:{number}: {error}")
            if len(problems) == _MAX_PROBLEMS:
                break
    if problems:
        raise ConfigError(problems)
    return ring


def _add(ring: KeyRing, numbers: array[int], key: Key, number: int) -> None:
    if key.digest in ring:
        first = numbers[[each.digest for each in ring].index(key.digest)]
        raise ValueError(f"has the same key as line {first}; leave one of the two out")
    ring.add(key)
    numbers.append(number)


def parse_line(line: bytes, max_name_bytes: int) -> Key | None:
    """The key that one line names, None if it names none. Raises ValueError with a sentence."""
    try:
        words = line.decode().split(maxsplit=2)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if not words or words[0].startswith("#"):
        return None
    if len(words) == 1:
        raise ValueError("is no key: write the name of the stream, a blank, and what `rtmpd key hash` says")
    name, digest, *options = words
    if validate_name(name, max_name_bytes):
        raise ValueError(
            f"its first word is no name of a stream, which has no blanks, quotes, backslashes, @ < > | ? "
            f"and at most {max_name_bytes} bytes"
        )
    try:
        key = parse_digest(digest)
    except ValueError as error:
        raise ValueError(f"its second word {error}") from None
    return Key(key, name, **_parse_options(options[0])) if options else Key(key, name)


class _Options(TypedDict, total=False):
    label: str
    until: float
    backup: bool


def _parse_options(text: str) -> _Options:
    options = _Options()
    at = 0
    while at < len(text):
        match = _OPTION.match(text, at)
        if match is None:
            text = 'label="...", until=2027-01-31 and backup=true'
            raise ValueError(f"after the key go {text}, and no comment")
        option, quoted, plain = match.groups()
        value = plain if quoted is None else quoted
        if option == "until":
            try:
                options["until"] = parse_until(value)
            except ValueError as error:
                raise ValueError(f"until= {error}") from None
        elif option == "backup":
            if value not in ("true", "false"):
                raise ValueError("backup= is true or false")
            options["backup"] = value == "true"
        else:
            check_label(value)
            options["label"] = value
        at = match.end()
    return options


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read: {error.strerror}"
