"""What is stored, read beside whoever writes it: who watched what, by day, and who changed what."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from rtmpd.state.database import explain, open_to_read


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What a stream, or all of them, had on a day."""

    day: date
    app: str
    name: str
    """Both are empty: all streams."""
    peak: int
    """Most players at a time."""
    player_seconds: float
    live_seconds: float
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Change:
    """Something that somebody in charge has changed, or was refused to."""

    id: int
    """Counts them."""
    at: float
    """Seconds since 1970."""
    instance: str
    """Of the process."""
    actor: str
    client: str
    protocol: str
    change: str
    target: str
    reason: str
    result: str
    problem: str | None
    detail: str | None
    before: str | None
    after: str | None


_BY_DAY: Final = """
SELECT date(hour, 'unixepoch', 'localtime') AS day, app, name,
    max(peak), sum(player_seconds), sum(live_seconds), sum(bytes_in), sum(bytes_out)
FROM usage WHERE hour >= ? AND hour < ? GROUP BY day, app, name ORDER BY day, app, name
"""


_COUNT_CHANGES: Final = """
SELECT count(*) FROM audit WHERE (:actor IS NULL OR actor = :actor) AND (:change IS NULL OR change = :change)
"""
_CHANGES: Final = """
SELECT
    id, at, instance, actor, client, protocol, change, target, reason, result, problem, detail, before, after
FROM audit
WHERE (:before IS NULL OR id < :before)
    AND (:actor IS NULL OR actor = :actor) AND (:change IS NULL OR change = :change)
ORDER BY id DESC LIMIT :most
"""


def read_usage(folder: Path, first: date, last: date) -> list[DayUsage]:
    """By day and stream, sorted so, that of all streams first; both days are included.

    Blocks. Raises StateUnusable.
    """
    try:
        connection = open_to_read(folder)
        if connection is None:
            return []
        with closing(connection):
            return list(_read(connection, first, last))
    except Exception as error:
        raise explain(error) from error


def read_changes(
    folder: Path, before: int | None, most: int, actor: str | None, change: str | None
) -> tuple[list[Change], int]:
    """The newest of those with an id below ``before``, one more than ``most`` if there are more, and how many
    there are in all; of one ``actor``, and of one kind, where these are given.

    Blocks. Raises StateUnusable.
    """
    wanted = {"before": before, "most": most + 1, "actor": actor, "change": change}
    try:
        connection = open_to_read(folder)
        if connection is None:
            return [], 0
        with closing(connection):
            (total,) = connection.execute(_COUNT_CHANGES, wanted).fetchone()
            return [Change(*row) for row in connection.execute(_CHANGES, wanted)], total
    except Exception as error:
        raise explain(error) from error


def _read(connection: sqlite3.Connection, first: date, last: date) -> Iterator[DayUsage]:
    limits = _midnight(first), _midnight(last + timedelta(days=1))
    for day, app, name, *figures in connection.execute(_BY_DAY, limits):
        yield DayUsage(date.fromisoformat(day), app, name, *figures)


def _midnight(day: date) -> float:
    """When it begins here."""
    return time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))
