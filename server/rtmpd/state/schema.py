"""The tables, how they came to be, and the way back.

The file says of itself which version of the tables it has (``user_version``), and the oldest version whose
rtmpd can work with it (``min_reader`` in the table ``meta``). A step may only add: tables, and columns with a
default. So whoever knows the version before goes on with a file that has been taken one further, and leaves
alone what it does not know. A step that had to take something away would say so by its ``min_reader``, two
versions after what takes its place.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rtmpd.exceptions import StateUnusable
from rtmpd.state.words import StateFailure

APPLICATION_ID: Final = 0x72746D70
"""Stands in the file, whose kind ``file`` and the like tell by it: ``rtmp``."""


@dataclass(frozen=True, slots=True)
class Step:
    """From one version of the tables to the next."""

    min_reader: int
    """The oldest version that can go on with the outcome."""
    statements: tuple[str, ...]


STEPS: Final = (
    Step(
        1,
        (
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
            """CREATE TABLE bans (
                network TEXT PRIMARY KEY, since REAL NOT NULL, until REAL NOT NULL, reason TEXT,
                count INTEGER NOT NULL DEFAULT 1
            ) WITHOUT ROWID""",
            """CREATE TABLE pushes (
                app TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, url TEXT NOT NULL, track TEXT,
                enabled INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (app, name, id)
            ) WITHOUT ROWID""",
            """CREATE TABLE keys (
                digest TEXT PRIMARY KEY, action TEXT NOT NULL, path TEXT NOT NULL, label TEXT NOT NULL,
                until REAL, backup INTEGER NOT NULL, since REAL NOT NULL, is_token INTEGER NOT NULL
            ) WITHOUT ROWID""",
            "CREATE TABLE revoked (digest TEXT PRIMARY KEY) WITHOUT ROWID",
            """CREATE TABLE usage (
                hour INTEGER NOT NULL, app TEXT NOT NULL, name TEXT NOT NULL,
                player_seconds REAL NOT NULL, live_seconds REAL NOT NULL,
                bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
                peak INTEGER NOT NULL, minute INTEGER NOT NULL, players INTEGER NOT NULL,
                PRIMARY KEY (hour, app, name)
            ) WITHOUT ROWID""",
            """CREATE TABLE audit (
                id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, instance TEXT NOT NULL,
                actor TEXT NOT NULL, client TEXT NOT NULL, protocol TEXT NOT NULL, change TEXT NOT NULL,
                target TEXT NOT NULL, reason TEXT NOT NULL, result TEXT NOT NULL, problem TEXT, detail TEXT,
                before TEXT, after TEXT
            )""",
            "CREATE INDEX audit_at ON audit (at)",
        ),
    ),
    Step(
        1,
        (
            """CREATE TABLE recordings (
                path TEXT PRIMARY KEY, root TEXT NOT NULL, app TEXT NOT NULL, name TEXT NOT NULL,
                part INTEGER NOT NULL, started REAL NOT NULL, duration REAL NOT NULL, size INTEGER NOT NULL,
                changed REAL NOT NULL, codecs TEXT NOT NULL, reason TEXT NOT NULL, step TEXT NOT NULL,
                uploaded TEXT NOT NULL, upload_id TEXT NOT NULL, problem TEXT NOT NULL
            ) WITHOUT ROWID""",
        ),
    ),
    Step(1, ("ALTER TABLE usage ADD COLUMN file_seconds REAL NOT NULL DEFAULT 0",)),
)
"""The first makes the tables of version 1, and so on."""


def check(connection: sqlite3.Connection, known: int) -> int:
    """The version of the tables, 0 of an empty file. ``known`` is the newest that the caller knows.

    Raises StateUnusable and sqlite3.Error.
    """
    version = _number(connection, "PRAGMA user_version")
    known_by_others = version == 0 and _number(connection, "SELECT count(*) FROM sqlite_master") > 0
    if known_by_others or (version and _number(connection, "PRAGMA application_id") != APPLICATION_ID):
        raise StateUnusable(StateFailure.CORRUPT, "it is a file of another program: move it away")
    if version > known:
        least = _number(connection, "SELECT value FROM meta WHERE name = 'min_reader'")
        if least > known:
            raise StateUnusable(
                StateFailure.NEWER,
                f"its tables are of version {version}, and this rtmpd knows {known}: start the newer rtmpd, "
                "or move the file away",
            )
    return version


def advance(connection: sqlite3.Connection, steps: Sequence[Step]) -> int:
    """Take the tables as far as ``steps`` go, all of it or nothing; the version that they have then.

    Two processes may do so at once: the second finds it done. Raises as ``check`` does.
    """
    with transaction(connection):
        version = check(connection, len(steps))
        for number, step in enumerate(steps[version:], version + 1):
            for statement in step.statements:
                connection.execute(statement)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('min_reader', ?)", (step.min_reader,))
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            version = number
    return version


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is done within, or nothing; nobody else writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Where the file is gone, or full, SQLite may have taken it back by itself.
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _number(connection: sqlite3.Connection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return 0 if row is None else int(row[0])
