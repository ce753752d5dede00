"""What is stored, read beside whoever writes it: who watched what, by day, and who changed what."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeAlias

from rtmpd.state.database import explain, open_to_read

Wanted: TypeAlias = Callable[[str, str], bool]
"""Whether a stream, given by app and name, is wanted; called in the thread that reads."""
_DAY_LETTERS: Final = len("2026-11-26")


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
    file_seconds: float = 0.0
    """Of those who play files."""

    @property
    def place(self) -> str:
        """Where it stands among others."""
        return f"{self.day} {self.app}/{self.name}"


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


@dataclass(slots=True)
class UsageSums:
    """Of several of them."""

    number: int = 0
    peak: int = 0
    """The highest."""
    player_seconds: float = 0.0
    live_seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    file_seconds: float = 0.0

    def add(self, row: DayUsage) -> None:
        """One more."""
        self.number += 1
        self.peak = max(self.peak, row.peak)
        self.player_seconds += row.player_seconds
        self.live_seconds += row.live_seconds
        self.bytes_in += row.bytes_in
        self.bytes_out += row.bytes_out
        self.file_seconds += row.file_seconds


@dataclass(slots=True)
class UsagePart:
    """Some of those that are wanted, and the sums of all."""

    rows: list[DayUsage] = field(default_factory=list)
    more: bool = False
    """There are more behind them."""
    sums: UsageSums = field(default_factory=UsageSums)
    """Of all that are wanted."""
    together: UsageSums = field(default_factory=UsageSums)
    """Of all streams together, whichever are wanted."""


_OF_A_DAY: Final = """
SELECT
    app, name, max(peak), sum(player_seconds), sum(live_seconds), sum(bytes_in), sum(bytes_out), {files}
FROM usage WHERE hour >= ? AND hour < ? GROUP BY app, name
"""
_WITH_FILES: Final = 3
"""Version of the tables that has those who play files."""


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


def read_usage(
    folder: Path, first: date, last: date, wanted: Wanted, after: str | None, most: int
) -> UsagePart:
    """Those of the days from ``first`` to ``last``, as ``part_of`` cuts them.

    A day at a time is read: whoever writes waits for no more, and what is not asked for is not held.
    Blocks. Raises StateUnusable.
    """
    try:
        connection = open_to_read(folder)
        if connection is None:
            return UsagePart()
        with closing(connection):
            return part_of(_read(connection, first, last), wanted, after, most)
    except Exception as error:
        raise explain(error) from error


def part_of(
    days: Iterable[tuple[date, Iterable[DayUsage]]], wanted: Wanted, after: str | None, most: int
) -> UsagePart:
    """The first ``most`` behind ``after``, a place, of streams that are ``wanted``, by day and path."""
    part = UsagePart()
    for day, rows in days:
        begins = after is None or str(day) >= after[:_DAY_LETTERS]
        for row in sorted(rows, key=attrgetter("place")) if begins else rows:
            if not row.app and not row.name:
                part.together.add(row)
            elif wanted(row.app, row.name):
                part.sums.add(row)
                if not begins or (after is not None and row.place <= after):
                    continue
                if len(part.rows) < most:
                    part.rows.append(row)
                else:
                    part.more = True
    return part


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


def _read(connection: sqlite3.Connection, first: date, last: date) -> Iterator[tuple[date, list[DayUsage]]]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    of_a_day = _OF_A_DAY.format(files="sum(file_seconds)" if version >= _WITH_FILES else "0.0")
    (oldest,) = connection.execute("SELECT min(hour) FROM usage").fetchone()
    if oldest is None:
        return
    day = max(first, datetime.fromtimestamp(oldest, UTC).astimezone().date())
    while day <= last:
        limits = _midnight(day), _midnight(day + timedelta(days=1))
        yield day, [DayUsage(day, *row) for row in connection.execute(of_a_day, limits)]
        day += timedelta(days=1)


def _midnight(day: date) -> float:
    """When it begins here."""
    return time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))
