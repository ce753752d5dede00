"""Rows into the tables, and out of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from rtmpd.state.rows import (
    AuditRow,
    BanRow,
    KeptRow,
    KeyRow,
    LooseRow,
    MinuteRow,
    Place,
    PushRow,
    RecordingRow,
    place_of,
)

# Not REPLACE, as a newer rtmpd may have columns of its own in a row.
_PUT: Final = {
    "bans": """
INSERT INTO bans (network, since, until, reason, count) VALUES (:network, :since, :until, :reason, :count)
ON CONFLICT (network) DO UPDATE SET since = :since, until = :until, reason = :reason, count = :count
""",
    "pushes": """
INSERT INTO pushes (app, name, id, url, track, enabled) VALUES (:app, :name, :id, :url, :track, :enabled)
ON CONFLICT (app, name, id) DO UPDATE SET url = :url, track = :track, enabled = :enabled
""",
    "keys": """
INSERT INTO keys (digest, action, path, label, until, backup, since, is_token)
VALUES (:digest, :action, :path, :label, :until, :backup, :since, :is_token)
ON CONFLICT (digest) DO UPDATE SET
    action = :action, path = :path, label = :label, until = :until, backup = :backup, since = :since,
    is_token = :is_token
""",
    "revoked": "INSERT INTO revoked (digest) VALUES (:digest) ON CONFLICT (digest) DO NOTHING",
    "recordings": """
INSERT INTO recordings
    (path, root, app, name, part, started, duration, size, changed, codecs, reason, step,
    uploaded, upload_id, problem)
VALUES
    (:path, :root, :app, :name, :part, :started, :duration, :size, :changed, :codecs, :reason, :step,
    :uploaded, :upload_id, :problem)
ON CONFLICT (path) DO UPDATE SET
    root = :root, app = :app, name = :name, part = :part, started = :started, duration = :duration,
    size = :size, changed = :changed, codecs = :codecs, reason = :reason, step = :step, uploaded = :uploaded,
    upload_id = :upload_id, problem = :problem
""",
}
_TAKE: Final = {
    "bans": "DELETE FROM bans WHERE network = ?",
    "pushes": "DELETE FROM pushes WHERE app = ? AND name = ? AND id = ?",
    "keys": "DELETE FROM keys WHERE digest = ?",
    "revoked": "DELETE FROM revoked WHERE digest = ?",
    "recordings": "DELETE FROM recordings WHERE path = ?",
}
_ADD_MINUTE: Final = """
INSERT INTO usage
    (hour, app, name, player_seconds, live_seconds, file_seconds, bytes_in, bytes_out, peak, minute, players)
VALUES (
    :hour, :app, :name, :player_seconds, :live_seconds, :file_seconds, :bytes_in, :bytes_out, :players,
    :minute, :players
)
ON CONFLICT (hour, app, name) DO UPDATE SET
    player_seconds = player_seconds + :player_seconds, live_seconds = live_seconds + :live_seconds,
    file_seconds = file_seconds + :file_seconds,
    bytes_in = bytes_in + :bytes_in, bytes_out = bytes_out + :bytes_out,
    peak = max(peak, :players + CASE minute WHEN :minute THEN players ELSE 0 END),
    players = CASE
        WHEN minute = :minute THEN players + :players WHEN minute < :minute THEN :players ELSE players
    END,
    minute = max(minute, :minute)
"""
"""Two processes may count players of one stream in the same minute, while one takes over from the other."""
_ADD_AUDIT: Final = """
INSERT INTO audit
    (at, instance, actor, client, protocol, change, target, reason, result, problem, detail, before, after)
VALUES (
    :at, :instance, :actor, :client, :protocol, :change, :target, :reason, :result, :problem, :detail,
    :before, :after
)
"""
_ADD: Final = {MinuteRow.TABLE: _ADD_MINUTE, AuditRow.TABLE: _ADD_AUDIT}
_OF_THE_ROW: Final = (
    *(UnicodeError, OverflowError),
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
)
"""What is wrong with one row, and not with the file."""
_FORGET: Final = (
    (
        "SELECT count(*) FROM usage",
        "SELECT hour FROM usage ORDER BY hour LIMIT 1 OFFSET ?",
        "DELETE FROM usage WHERE hour <= ?",
    ),
    (
        "SELECT count(*) FROM audit",
        "SELECT at FROM audit ORDER BY at LIMIT 1 OFFSET ?",
        "DELETE FROM audit WHERE at <= ?",
    ),
)
_PART: Final = 10
"""One of so many parts goes to make room."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was kept."""

    bans: tuple[BanRow, ...] = ()
    pushes: tuple[PushRow, ...] = ()
    keys: tuple[KeyRow, ...] = ()
    revoked: tuple[str, ...] = ()
    """Digests."""
    recordings: tuple[RecordingRow, ...] = ()


def load(connection: sqlite3.Connection, now: float, without: Mapping[Place, object]) -> Contents:
    """What is kept and still holds, but for what is about to be changed."""
    bans = connection.execute("SELECT network, since, until, reason, count FROM bans WHERE until > ?", (now,))
    pushes = connection.execute("SELECT app, name, id, url, track, enabled FROM pushes")
    keys = connection.execute(
        """SELECT digest, action, path, label, until, backup, since, is_token FROM keys
        WHERE until IS NULL OR until > ? ORDER BY since""",
        (now,),
    )
    revoked = connection.execute("SELECT digest FROM revoked")
    recordings = connection.execute(
        """SELECT path, root, app, name, part, started, duration, size, changed, codecs, reason, step,
        uploaded, upload_id, problem FROM recordings ORDER BY changed"""
    )
    return Contents(
        tuple(row for row in (BanRow(*values) for values in bans) if place_of(row) not in without),
        tuple(row for row in (PushRow(*values) for values in pushes) if place_of(row) not in without),
        tuple(row for row in (KeyRow(*values) for values in keys) if place_of(row) not in without),
        tuple(digest for (digest,) in revoked if ("revoked", (digest,)) not in without),
        tuple(
            row for row in (RecordingRow(*values) for values in recordings) if place_of(row) not in without
        ),
    )


def write(
    connection: sqlite3.Connection, kept: Mapping[Place, KeptRow | None], loose: Iterable[LooseRow]
) -> list[tuple[str, Exception]]:
    """Put rows in the place of others, or take them away; add what is only added.

    Those that no file would ever take, such as a text that is none, cost only themselves: their tables, and
    what is wrong with them.
    """
    statements: list[tuple[str, str, tuple[str, ...] | dict[str, str | float | int | None]]] = []
    for (table, key), row in kept.items():
        statements.append((table, _TAKE[table], key) if row is None else (table, _PUT[table], _values(row)))
    statements += [(each.TABLE, _ADD[each.TABLE], _values(each)) for each in loose]
    bad: list[tuple[str, Exception]] = []
    for table, statement, values in statements:
        try:
            connection.execute(statement, values)
        except _OF_THE_ROW as error:
            bad.append((table, error))
    return bad


def opened_at(connection: sqlite3.Connection) -> float | None:
    """When a server last opened the file, by its wall clock; None if none has."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'opened'").fetchone()
    return None if row is None else float(row[0])


def forget_old(connection: sqlite3.Connection, now: float, minutes_from: float, audit_from: float) -> None:
    """Take away what is older, and bans and keys that are over."""
    connection.execute("DELETE FROM bans WHERE until <= ?", (now,))
    connection.execute("DELETE FROM keys WHERE until <= ?", (now,))
    connection.execute("DELETE FROM usage WHERE hour < ?", (minutes_from,))
    connection.execute("DELETE FROM audit WHERE at < ?", (audit_from,))


def forget_oldest(connection: sqlite3.Connection) -> int:
    """Make room: a tenth of what is only added goes, the oldest of it. How many rows."""
    gone = 0
    for count, find, forget in _FORGET:
        (number,) = connection.execute(count).fetchone()
        last = connection.execute(find, (number // _PART,)).fetchone()
        if last is not None:
            gone += connection.execute(forget, last).rowcount
    return gone


def _values(row: KeptRow | LooseRow) -> dict[str, str | float | int | None]:
    return {each.name: getattr(row, each.name) for each in fields(row)}
