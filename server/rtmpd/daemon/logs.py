"""One line per event on standard error, as text or JSON, written without ever blocking the event loop.

Code logs with the standard library: ``logger.info("publish started", extra={"fields": {"app": app, ...}})``.
Messages are constant phrases; whatever came from a peer is a field, where control characters and terminal
escapes are neutralised and long texts cut (see docs/operations.md for the lines and their fields).
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import select
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Literal

from rtmpd.daemon.log_folding import WINDOW, Folding

MAX_TEXT: Final = 200
"""Characters of a field's value that are kept."""
_QUEUE_LINES: Final = 10_000
_LINES_AT_ONCE: Final = 64
_GATHERING: Final = 0.005
"""Seconds that the first line of many waits for the others."""
_BARE: Final = re.compile(r"[\w.:/@+\-\[\]%,*]+")
_PRIORITIES: Final = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
_RESERVED: Final = frozenset({"time", "level", "logger", "event", "exception"})

Scalar = None | bool | int | float | str


def escape(text: str) -> str:
    """The text with everything that could break a line or steer a terminal spelt out, cut to MAX_TEXT."""
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + "..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _scalar(value: object) -> Scalar:
    """A field's value as something that JSON has."""
    match value:
        case Enum():
            return _scalar(value.value)
        case None | bool() | int():
            return value
        case float():
            return round(value, 6) if math.isfinite(value) else str(value)
        case list() | tuple() | set() | frozenset():
            return escape(",".join(map(str, value)))
        case _:
            return escape(str(value))


def _text(value: object) -> str:
    # What most fields are, found out without a look at every other kind.
    if (type(value) is str and len(value) <= MAX_TEXT and _BARE.fullmatch(value)) or type(value) is int:
        return str(value)
    match _scalar(value):
        case bool(flag):
            return "true" if flag else "false"
        case str(text):
            # Printable already; quotes and backslashes would still blur where the value ends.
            return (
                text if _BARE.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            )
        case number:
            return str(number)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """``2025-01-31T12:00:00.000Z INFO    publish started app=live client=192.0.2.1:5000``.

    Fields that are None are left out.
    """

    def __init__(self, *, timed: bool = True) -> None:
        """``timed``: each line begins with its time."""
        super().__init__()
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        words = [_time(record)] if self._timed else []
        words += [f"{record.levelname:7}", escape(record.getMessage())]
        words += [f"{name}={_text(value)}" for name, value in _fields(record).items() if value is not None]
        lines = [" ".join(words)]
        if record.exc_info:
            lines += [escape(line) for line in self.formatException(record.exc_info).splitlines()]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One object per line: time, level, logger, event, then the fields; pure ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": escape(record.getMessage()),
        }
        for name, value in _fields(record).items():
            entry[f"{name}_" if name in _RESERVED else name] = _scalar(value)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, separators=(",", ":"))


class JournalFormatter(logging.Formatter):
    """Another formatter's lines with the priorities of sd-daemon(3), which the journal takes off again."""

    def __init__(self, lines: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITIES[record.levelname]}>"
        return "\n".join(prefix + line for line in self._lines.format(record).splitlines())


def is_journal(environ: Mapping[str, str], fd: int = 2) -> bool:
    """Whether ``fd`` goes to systemd's journal, as JOURNAL_STREAM of systemd.exec(5) tells.

    The variable alone says nothing: a child whose output was led elsewhere inherits it.
    """
    try:
        file = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"


class BackgroundHandler(logging.Handler):
    """Formats in the calling thread, writes in its own.

    A log reader that stops reading (a stuck pipe, a paused terminal) costs log lines, never the event loop:
    past a bounded queue lines are dropped, and the next line that gets through says how many.
    """

    def __init__(self, fd: int, capacity: int = _QUEUE_LINES) -> None:
        super().__init__()
        self._folding = Folding(0)
        self._fd = fd
        self._capacity = capacity
        self._dropped = 0
        self._lines: deque[str] = deque()
        self._ready = threading.Event()
        """There are lines, or there will be no more."""
        self._ended = False
        # A daemon thread: a reader that never reads again must not keep the process alive.
        self._thread = threading.Thread(target=self._write_lines, name="log-writer", daemon=True)
        self._thread.start()

    def fold(self, max_repeats: int) -> None:
        """Bound what one address can have written, see ``Folding``."""
        self.acquire()
        self._folding.limit = max_repeats
        self.release()

    def emit(self, record: logging.LogRecord) -> None:
        records = self._folding.admit(record)
        for each in records:
            self._queue(each)
        # Also to have it waited for that the window ends.
        if (records or self._folding.pending) and not self._ready.is_set():
            self._ready.set()

    def _queue(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - logging's contract: emit never raises, handleError tells
            self.handleError(record)
            return
        if len(self._lines) >= self._capacity:
            self._dropped += 1
            return
        self._lines.append(line)

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout`` seconds."""
        self._ended = True
        self._ready.set()
        self._thread.join(timeout)
        super().close()

    def _write_lines(self) -> None:
        ended = False
        while not ended:
            self._ready.wait(WINDOW if self._folding.pending else None)
            # Whenever it wakes up, this thread takes the interpreter from the event loop: not for each line.
            time.sleep(_GATHERING)
            self._ready.clear()
            ended = self._ended
            self._report_folded(math.inf if ended else time.time())
            while self._lines:
                count = min(len(self._lines), _LINES_AT_ONCE)
                text = "".join([self._lines.popleft() + "\n" for _ in range(count)])
                # Nobody may be left to tell; the server goes on without its log.
                with contextlib.suppress(OSError):
                    self._write(text)
                    if self._dropped:
                        self._report_dropped()

    def _report_folded(self, now: float) -> None:
        if self._folding.pending:
            self.acquire()
            for record in self._folding.finish(now):
                self._queue(record)
            self.release()

    def _report_dropped(self) -> None:
        self.acquire()
        dropped, self._dropped = self._dropped, 0
        self.release()
        fields = {"lines": dropped, "reason": "the reader of the log is too slow"}
        record = {"name": __name__, "levelname": "WARNING", "msg": "log lines dropped", "fields": fields}
        self._write(self.format(logging.makeLogRecord(record)) + "\n")

    def _write(self, text: str) -> None:
        # Straight to the descriptor: a thread stuck in sys.stderr would hold its lock at interpreter exit.
        data = memoryview(text.encode(errors="backslashreplace"))
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                select.select([], [self._fd], [])


class LogOutput:
    """What is logged, and how it is written: both may change while it is."""

    def __init__(self, handler: BackgroundHandler, *, journal: bool) -> None:
        self._handler = handler
        self._journal = journal

    def apply(self, level: str, style: Literal["text", "json"], max_repeats: int = 0) -> None:
        """Write what is logged from ``level`` up in ``style``; of repetitions see ``Folding``."""
        formatter = JsonFormatter() if style == "json" else TextFormatter(timed=not self._journal)
        self._handler.setFormatter(JournalFormatter(formatter) if self._journal else formatter)
        self._handler.fold(max_repeats)
        logging.getLogger().setLevel(level.upper())


@contextlib.contextmanager
def configured(
    level: str,
    style: Literal["text", "json"],
    *,
    journal: bool = False,
    fd: int = 2,
    capacity: int = _QUEUE_LINES,
    max_repeats: int = 0,
) -> Iterator[LogOutput]:
    """Everything logged inside goes to ``fd`` from ``level`` up; leaving waits briefly for the last lines.

    ``journal``: systemd's journal reads ``fd``, and knows the time of a line by itself. ``max_repeats``: see
    ``Folding``.
    """
    handler = BackgroundHandler(fd, capacity)
    root = logging.getLogger()
    previous = root.level
    output = LogOutput(handler, journal=journal)
    output.apply(level, style, max_repeats)
    root.addHandler(handler)
    try:
        yield output
    finally:
        root.removeHandler(handler)
        root.setLevel(previous)
        handler.close()
