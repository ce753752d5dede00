"""The same event of the same address or backend, again and again: a few lines a second, and how many more."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from rtmpd.net.addresses import network_of, site_of

WINDOW: Final = 1.0
"""Seconds."""
_MAX_EVENTS: Final = 1000
"""Told apart in a window; what comes then from further ones counts as one's."""
_OTHERS: Final = "others"
_Key = tuple[str | None, str | None, str]
"""Address and backend that an event is about, and its message."""


@dataclass(slots=True)
class _Event:
    level: str
    lines: int = 0
    left_out: int = 0


class Folding:
    """Decides which records are written: ``limit`` of each event and whose it is in a window; 0 is all of
    them.

    An event is a record's message; whose it is the fields ``client`` and ``backend`` tell: of a backend each
    client that waits for it would be a line. Records without either are always written, and so are errors,
    which are ours.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """May change at any time."""
        self._events: dict[_Key, _Event] = {}
        self._ends_at = 0.0
        self.pending = False
        """Something was left out and is not told yet."""

    def admit(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What to write now that there is ``record``: often that alone."""
        fields = getattr(record, "fields", None)
        client, backend = map(fields.get, ("client", "backend")) if isinstance(fields, dict) else (None, None)
        if not self.limit or client is backend is None or record.levelno >= logging.ERROR:
            return [record]
        records = self.finish(record.created)
        if not self._events:
            self._ends_at = record.created + WINDOW
        site = None if client is None else site_of(network_of(str(client)))
        event = self._event((site, backend, record.msg), record)
        event.lines += 1
        if event.lines <= self.limit:
            records.append(record)
        else:
            event.left_out += 1
            self.pending = True
        return records

    def finish(self, now: float) -> list[logging.LogRecord]:
        """End the window, if ``now`` (as in ``LogRecord.created``) is not within it: what it left out.

        Before its beginning is not within either: the wall clock was set back. Threads may be a bit behind.
        """
        if 0 < self._ends_at - now <= 2 * WINDOW or not self._events:
            return []
        left_out = [(key, event) for key, event in self._events.items() if event.left_out]
        self._events = {}
        self.pending = False
        return [self._summary(key, event) for key, event in left_out]

    def _event(self, key: _Key, record: logging.LogRecord) -> _Event:
        event = self._events.get(key)
        if event is None:
            if len(self._events) >= _MAX_EVENTS:
                key = (_OTHERS, None, record.msg)
            event = self._events.setdefault(key, _Event(record.levelname))
        return event

    def _summary(self, key: _Key, event: _Event) -> logging.LogRecord:
        client, backend, message = key
        fields = {"client": client, "backend": backend, "repeated": message, "lines": event.left_out}
        record = {"name": __name__, "levelname": event.level, "msg": "log lines folded", "fields": fields}
        return logging.makeLogRecord(record)
