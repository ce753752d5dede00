"""One line per event on standard error, as text or JSON, written without ever blocking the event loop.

Code logs with the standard library: ``logger.info("publish started", extra={"fields": {"app": app, ...}})``.
Messages are constant phrases; whatever came from a peer is a field, where control characters and terminal
escapes are neutralised and long texts cut (see docs/operations.md for the lines and their fields).
"""

from __future__ import annotations

import json
import logging
import math
import os
import queue
import re
import select
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Literal

MAX_TEXT: Final = 200
"""Characters of a field's value that are kept."""
_QUEUE_LINES: Final = 10_000
_BARE: Final = re.compile(r"[\w.:/@+\-\[\]%,*]+")
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
    match _scalar(value):
        case None:
            return "-"
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
    """``2025-01-31T12:00:00.000Z INFO    publish started app=live client=192.0.2.1:5000``."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_time(record), f"{record.levelname:7}", escape(record.getMessage())]
        words += [f"{name}={_text(value)}" for name, value in _fields(record).items()]
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


class BackgroundHandler(logging.Handler):
    """Formats in the calling thread, writes in its own.

    A log reader that stops reading (a stuck pipe, a paused terminal) costs log lines, never the event loop:
    past a bounded queue lines are dropped, and the next line that gets through says how many.
    """

    def __init__(self, fd: int, capacity: int = _QUEUE_LINES) -> None:
        super().__init__()
        self._fd = fd
        self._dropped = 0
        self._lines: queue.Queue[str | None] = queue.Queue(capacity)
        # A daemon thread: a reader that never reads again must not keep the process alive.
        self._thread = threading.Thread(target=self._write_lines, name="log-writer", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - logging's contract: emit never raises, handleError tells
            self.handleError(record)
            return
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout`` seconds."""
        if self._thread.is_alive():
            try:
                self._lines.put(None, timeout=timeout)
            except queue.Full:
                pass
            else:
                self._thread.join(timeout)
        super().close()

    def _write_lines(self) -> None:
        for line in iter(self._lines.get, None):
            try:
                self._write(line + "\n")
                if self._dropped:
                    self._report_dropped()
            except OSError:
                # Nobody is left to tell; the server goes on without its log.
                continue

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


@contextmanager
def configured(
    level: str, style: Literal["text", "json"], *, fd: int = 2, capacity: int = _QUEUE_LINES
) -> Iterator[None]:
    """Everything logged inside goes to ``fd`` from ``level`` up; leaving waits briefly for the last lines."""
    handler = BackgroundHandler(fd, capacity)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    previous = root.level
    root.setLevel(level.upper())
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(previous)
        handler.close()
