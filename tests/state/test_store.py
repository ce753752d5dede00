"""What outlives the process, in real files: what is kept, lost and forgotten, and what is in the way."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from rtmpd.exceptions import StateUnusable
from rtmpd.state import database, store
from rtmpd.state.database import FILE, FolderLock, explain, find_problem, open_to_read, open_to_write
from rtmpd.state.report import DayUsage, UsagePart, read_changes, read_usage
from rtmpd.state.rows import AuditRow, BanRow, MinuteRow, PushRow, place_of
from rtmpd.state.schema import STEPS, Step
from rtmpd.state.store import Store, StoreRules, StoreStats
from rtmpd.state.tables import Contents
from rtmpd.state.words import StateFailure

TIMEOUT = 10.0
NOW = 1_800_000_000.0
DAY = 86_400.0
BAN = BanRow("192.0.2.7", NOW - 10, NOW + 600, "spam")
PUSH = PushRow("live", "show", "api-1", "rtmp://push.example/app/SECRET-KEY", None)


class Server:
    """A store as a server has it, with a wall clock of its own."""

    def __init__(self, folder: Path, now: float = NOW, **options: object) -> None:
        self.now = now
        self.contents: list[Contents] = []
        rules = options.pop("rules", StoreRules())
        self.store = Store(folder, rules, self.contents.append, wall_clock=lambda: self.now, **options)
        self.store.start()

    @property
    def stats(self) -> StoreStats:
        return self.store.stats

    def settled(self) -> bool:
        return self.store.settled().result(TIMEOUT)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)


@contextmanager
def serving(folder: Path, **options: object) -> Iterator[Server]:
    server = Server(folder, **options)
    try:
        yield server
    finally:
        server.store.close(TIMEOUT)


def minute(players: int = 3, minute: int = int(NOW) // 60, hour: int = int(NOW) // 3600 * 3600) -> MinuteRow:
    return MinuteRow(hour, minute, "live", "show", players, 60.0 * players, 60.0, 1000, 3000)


def audit(number: int, at: float = NOW) -> AuditRow:
    return AuditRow(at, "one", "ann", "192.0.2.1", "http", "kick", str(number), "", "done", after="out")


def ask(folder: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return connection.execute(statement).fetchall()


def open_readonly(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.execute("SELECT * FROM usage")


def usage_of(folder: Path, first: date, last: date) -> list[DayUsage]:
    return read_usage(folder, first, last, lambda *_: True, None, 1000).rows


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


# -- what is kept


def test_what_no_kill_is_to_lose_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FLUSH_AFTER", 1000.0)
    with serving(tmp_path) as server:
        assert server.settled()
        server.store.keep(PUSH)
        server.store.keep(BAN, at_once=True)
        server.until(lambda: ask(tmp_path, "SELECT count(*) FROM bans") == [(1,)])


def test_what_is_kept_is_there_for_the_next_server_and_what_was_taken_back_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with serving(folder) as first:
        first.store.keep(BAN)
        first.store.keep(BanRow("198.51.100.0/24", NOW, NOW + 5, None, 3))
        first.store.keep(PUSH)
        first.store.keep(PushRow("live", "other", "api-2", "rtmp://push.example/app/x"))
        assert first.settled()
        first.store.keep(BanRow(BAN.network, NOW, NOW + 900, "worse"))
        first.store.forget(("pushes", ("live", "other", "api-2")))
        assert first.settled()
        assert first.contents == [Contents()]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    with serving(folder) as second:
        assert second.settled()
        (found,) = second.contents
        assert found.bans[0] == BanRow(BAN.network, NOW, NOW + 900, "worse")
        assert found.bans[1] == BanRow("198.51.100.0/24", NOW, NOW + 5, None, 3)
        assert found.pushes == (PUSH,)
    with serving(folder) as third:
        third.now += 700
        third.store.apply(StoreRules(audit_days=1))
        assert third.settled()
    assert ask(folder, "SELECT network FROM bans") == [(BAN.network,)]
    assert "SECRET" not in repr(PUSH)


def test_what_is_taken_back_leaves_no_secret_in_the_file(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.store.keep(PUSH)
        assert server.settled()
        assert b"SECRET-KEY" in (tmp_path / FILE).read_bytes()
        server.store.forget(place_of(PUSH))
        assert server.settled()
        assert b"SECRET-KEY" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_a_close_writes_what_waits(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.settled()
        server.store.keep(BAN)
        server.store.add(audit(1))
    assert ask(tmp_path, "SELECT network, reason FROM bans") == [(BAN.network, "spam")]
    assert ask(tmp_path, "SELECT actor, target, after FROM audit") == [("ann", "1", "out")]
    assert not server.store.settled().result(TIMEOUT)


def test_changes_are_written_together_within_seconds_though_nobody_asks(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.store.add(audit(1))
        server.store.add(audit(2))
        server.until(lambda: server.store.waiting == 0 and server.stats.bytes > 0)
        server.until(lambda: ask(tmp_path, "SELECT target FROM audit") == [("1",), ("2",)])


# -- who watched


def test_minutes_of_an_hour_are_one_row_and_players_of_two_processes_are_added(tmp_path: Path) -> None:
    with serving(tmp_path) as old:
        old.store.add(minute(3))
        assert old.settled()
    with serving(tmp_path, beside=True) as new:
        new.store.add(minute(4))  # The same minute: 7 at a time.
        assert new.settled()
        for players, later in ((5, 1), (2, 1), (6, 0)):  # 7 again, and one that comes late.
            new.store.add(minute(players, int(NOW) // 60 + later))
        assert new.settled()
    ((hour, seconds, live, peak, received, sent),) = ask(
        tmp_path, "SELECT hour, player_seconds, live_seconds, peak, bytes_in, bytes_out FROM usage"
    )
    assert (hour, seconds, live, peak) == (int(NOW) // 3600 * 3600, 60.0 * 20, 300.0, 7)
    assert (received, sent) == (5000, 15000)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
def test_days_are_those_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        midnight = time.mktime((2026, 11, 5, 0, 0, 0, 0, 0, -1))
        assert usage_of(tmp_path, date(2026, 11, 1), date(2026, 11, 30)) == []
        with serving(tmp_path) as server:
            for hours in (-1, 0, 23, 24):
                server.store.add(minute(hours + 2, hours, int(midnight) + hours * 3600))
            assert server.settled()
            rows = usage_of(tmp_path, date(2026, 11, 4), date(2026, 11, 5))
        assert [(row.day.day, row.peak, row.player_seconds) for row in rows] == [
            (4, 1, 60.0),
            (5, 25, 60.0 * 27),
        ]
        assert usage_of(tmp_path, date(2026, 11, 7), date(2026, 11, 8)) == []
    finally:
        monkeypatch.undo()
        time.tzset()


# -- who has changed what


def test_days_on_which_clocks_are_changed_have_their_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with serving(tmp_path) as server:
            for begin in (date(2026, 3, 7), date(2026, 10, 31)):
                first = int(time.mktime((*begin.timetuple()[:3], 0, 0, 0, 0, 0, -1)))
                for hour in range(first, first + 72 * 3600, 3600):
                    server.store.add(minute(1, hour // 60, hour))
            assert server.settled()
        days = usage_of(tmp_path, date(2026, 3, 7), date(2026, 11, 3))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [(row.day.day, row.player_seconds / 60) for row in days] == [
        *((7, 24), (8, 23), (9, 24), (10, 1)),
        *((31, 24), (1, 25), (2, 23)),
    ]


def test_usage_is_told_in_parts_with_the_sums_of_all(tmp_path: Path) -> None:
    """By path, as others cut lists: an app that begins as another one does must not hide anything."""
    today, paths = date(2027, 1, 15), []
    with serving(tmp_path) as server:
        for app, name in (("", ""), ("live", "b"), ("live", "a"), ("live-2", "a"), ("a", "z"), ("b", "no")):
            server.store.add(replace(minute(), app=app, name=name))
            server.store.add(replace(minute(), app=app, name=name, hour=int(NOW - DAY) // 3600 * 3600))
        assert server.settled()
    part, after = UsagePart(more=True), None
    while part.more:
        part = read_usage(tmp_path, today - timedelta(days=9), today, lambda app, _: app != "b", after, 3)
        paths += [f"{row.app}/{row.name}" for row in part.rows]
        after = part.rows[-1].place
        assert (part.sums.number, part.sums.bytes_in, part.together.number) == (8, 8000, 2)
    assert paths == ["a/z", "live-2/a", "live/a", "live/b"] * 2


def test_changes_are_told_from_the_newest_on_in_parts(tmp_path: Path) -> None:
    assert read_changes(tmp_path, None, 10, None, None) == ([], 0)
    with serving(tmp_path) as server:
        for number in range(5):
            server.store.add(audit(number))
        server.store.add(
            AuditRow(NOW, "one", "ben", "", "signal", "reload", "", "", "refused", "word", "why")
        )
        assert server.settled()
    rows, total = read_changes(tmp_path, None, 2, None, None)
    assert ([(row.actor, row.target) for row in rows], total) == (
        [("ben", ""), ("ann", "4"), ("ann", "3")],
        6,
    )
    assert (rows[0].protocol, rows[0].problem, rows[0].detail, rows[0].after) == (
        "signal",
        "word",
        "why",
        None,
    )
    rows, total = read_changes(tmp_path, rows[1].id, 2, "ann", "kick")
    assert ([row.target for row in rows], total) == (["3", "2", "1"], 5)
    assert read_changes(tmp_path, None, 2, "ann", "reload") == ([], 0)
    change(tmp_path, "DROP TABLE audit")
    with pytest.raises(StateUnusable):
        read_changes(tmp_path, None, 2, None, None)


# -- what is forgotten


def test_what_is_older_than_it_is_to_get_is_forgotten(tmp_path: Path) -> None:
    day = 86_400
    with serving(tmp_path) as server:
        for days in (1, 3, 9, 11):
            server.store.add(audit(days, NOW - days * day))
            server.store.add(minute(1, 0, int(NOW) - days * day))
        assert server.settled()
        server.store.apply(StoreRules(minutes_days=10, audit_days=2))
        assert server.settled()
        assert ask(tmp_path, "SELECT target FROM audit") == [("1",)]
        assert len(ask(tmp_path, "SELECT 1 FROM usage")) == 3
        server.now += 2 * day
        server.store.apply(StoreRules(minutes_days=4, audit_days=2))
        assert server.settled()
        assert ask(tmp_path, "SELECT target FROM audit") == []
        assert len(ask(tmp_path, "SELECT 1 FROM usage")) == 1


def test_the_file_stays_below_its_size_and_keeps_the_newest_and_all_that_must_not_be_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rtmpd")
    most = 400_000
    with serving(tmp_path, rules=StoreRules(max_bytes=most)) as server:
        server.store.keep(BAN)
        for batch in range(25):
            for number in range(batch * 200, (batch + 1) * 200):
                server.store.add(audit(number, NOW + number))
            assert server.settled()
        assert (tmp_path / FILE).stat().st_size <= most
        targets = [int(str(row[0])) for row in ask(tmp_path, "SELECT target FROM audit ORDER BY at")]
        assert targets[-1] == 4999
        assert len(targets) > 500
        assert targets == list(range(targets[0], 5000))
        assert ask(tmp_path, "SELECT network FROM bans") == [(BAN.network,)]
        server.store.apply(StoreRules(max_bytes=most // 2))
        assert server.settled()
        assert (tmp_path / FILE).stat().st_size <= most // 2
    assert "state shortened" in caplog.messages


# -- what is in the way


def test_a_file_that_is_full_takes_nothing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "rtmpd")
    monkeypatch.setattr(store, "_CROWDED", 2.0)
    with serving(tmp_path, rules=StoreRules(max_bytes=100_000)) as server:
        server.store.keep(PushRow("a", "b", "c", "x" * 200_000))
        assert not server.settled()
        assert not server.settled()
        assert (server.stats.failure, server.stats.failures[StateFailure.FULL]) == (StateFailure.FULL, 2)
        server.store.keep(BAN)
        server.store.forget(("pushes", ("a", "b", "c")))
        assert server.settled()
        assert server.stats.failure is None
        assert ask(tmp_path, "SELECT network FROM bans") == [(BAN.network,)]
    assert caplog.messages.count("state not writable") == 1
    assert caplog.messages.count("state written again") == 1


@pytest.mark.parametrize("content", [b"no database at all, but long enough for one" * 50, None])
def test_a_file_of_others_is_left_as_it_is_until_it_is_moved_away(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    if content is None:
        change(tmp_path, "CREATE TABLE theirs (a)")
        content = (tmp_path / FILE).read_bytes()
    else:
        (tmp_path / FILE).write_bytes(content)
    with serving(tmp_path) as server:
        server.store.keep(BAN)
        assert not server.settled()
        assert server.stats.failure is StateFailure.CORRUPT
        assert "move it away" in server.stats.problem
        assert (tmp_path / FILE).read_bytes() == content
        (tmp_path / FILE).unlink()
        assert server.settled()
        assert server.contents == [Contents()]
    assert ask(tmp_path, "SELECT network FROM bans") == [(BAN.network,)]
    assert [each.msg for each in caplog.records if each.levelno > logging.INFO] == ["state not writable"]


def test_a_file_that_is_damaged_later_is_said_to_be(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for number in range(2000):
            server.store.add(audit(number))
        assert server.settled()
        size = (tmp_path / FILE).stat().st_size
        with (tmp_path / FILE).open("r+b") as file:
            file.seek(24)
            file.write(b"\xff" * 4)  # By which SQLite knows that somebody has written.
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        server.store.keep(BAN)
        server.store.add(audit(2001))
        server.until(lambda: not server.settled())
        assert server.stats.failure is StateFailure.CORRUPT


def test_a_folder_that_is_deleted_is_made_anew_and_is_nobody_elses(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with serving(folder) as server:
        server.store.keep(BAN)
        assert server.settled()
        shutil.rmtree(folder)
        server.store.add(audit(1))
        assert server.settled()
        with serving(folder) as stranger:
            assert not stranger.settled()
            assert stranger.stats.failure is StateFailure.IN_USE


def test_a_file_in_the_place_of_the_one_that_was_there_is_written_instead(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.store.keep(BAN)
        assert server.settled()
        (tmp_path / FILE).rename(tmp_path / "aside")
        assert server.settled()
        assert server.contents == [Contents(), Contents()]
        server.store.add(audit(1))
        assert server.settled()
    assert ask(tmp_path, "SELECT count(*) FROM audit") == [(1,)]


def test_a_folder_has_one_server_but_for_one_that_takes_over(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        first.store.keep(BAN)
        assert first.settled()
        with serving(tmp_path) as stranger:
            assert not stranger.settled()
            assert stranger.stats.failure is StateFailure.IN_USE
            assert stranger.contents == []
        with serving(tmp_path, beside=True) as heir:
            assert heir.settled()
            assert heir.contents == [Contents((BAN,))]
            late = BanRow("192.0.2.9", NOW, NOW + 1000)
            first.store.keep(late)
            assert first.settled()
            assert heir.settled()
            assert len(heir.contents) == 1
            first.store.close(TIMEOUT)
            assert heir.settled()  # It is the heir's now, with what was written last.
            assert heir.contents[1:] == [Contents((BAN, late))]
            assert heir.settled()
            assert len(heir.contents) == 2
            with serving(tmp_path) as stranger:
                assert not stranger.settled()


def test_a_file_that_another_program_keeps_locked_is_written_when_it_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    with serving(tmp_path) as server:
        assert server.settled()
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            server.store.keep(BAN)
            assert not server.settled()
            assert server.stats.failure is StateFailure.BUSY
        assert server.settled()
    assert ask(tmp_path, "SELECT network FROM bans") == [(BAN.network,)]


def test_a_folder_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving(tmp_path / "file" / "state") as server:
        assert not server.settled()
        assert server.stats.failure is StateFailure.DENIED
        (tmp_path / "file").unlink()
        server.store.keep(BAN)
        assert server.settled()


def test_what_can_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as before:
        before.store.keep(BAN)

    def refuse(_lock: FolderLock) -> bool:
        raise OSError(errno.EROFS, "Read-only file system")

    # Whoever is root writes everywhere.
    monkeypatch.setattr(FolderLock, "take", refuse)
    with serving(tmp_path) as server:
        assert not server.settled()
        assert server.contents[0] == Contents((BAN,))
        assert server.stats.failure is StateFailure.READ_ONLY


def test_while_nothing_can_be_written_what_waits_is_bounded_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_LOOSE", 3)
    monkeypatch.setattr(store, "MAX_KEPT", 2)
    (tmp_path / FILE).mkdir()
    with serving(tmp_path) as server:
        assert not server.settled()
        for number in range(5):
            server.store.add(audit(number))
            server.store.add(minute())
            server.store.keep(BanRow(f"192.0.2.{number}", NOW, NOW + 60))
        server.store.forget(("bans", ("192.0.2.0",)))  # Of what waits already.
        assert not server.settled()
        assert server.stats.lost == {"minutes": 3, "audit": 4, "kept": 3}
        (tmp_path / FILE).rmdir()
        assert server.settled()
    assert ask(tmp_path, "SELECT network FROM bans") == [("192.0.2.1",)]
    assert ask(tmp_path, "SELECT target FROM audit") == [("4",)]


def test_what_changes_while_it_cannot_be_written_is_written_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = BanRow(BAN.network, NOW, NOW + 5000, "newer")
    with serving(tmp_path) as server:
        assert server.settled()

        def fail(*_: object) -> None:
            server.store.keep(newer)
            raise sqlite3.OperationalError

        with monkeypatch.context() as broken:
            broken.setattr(store, "write", fail)
            server.store.keep(BAN)
            assert not server.settled()
        assert server.settled()
    assert ask(tmp_path, "SELECT reason FROM bans") == [("newer",)]


def test_a_bug_is_logged_and_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path) as server:
        assert server.settled()
        with monkeypatch.context() as broken:
            broken.setattr(store, "write", lambda *_: 1 / 0)
            server.store.keep(BAN)
            assert not server.settled()
        assert server.settled()
    assert server.stats.failures[StateFailure.BUG] == 1
    assert caplog.records[0].exc_info is not None
    assert ask(tmp_path, "SELECT network FROM bans") == [(BAN.network,)]


def test_a_row_that_no_file_takes_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path) as server:
        server.store.add(audit(1))
        server.store.add(replace(audit(2), target="\ud800"))
        server.store.add(replace(minute(), bytes_in=2**63))
        server.store.keep(BAN)
        assert server.settled()
        server.store.keep(BanRow("\ud800", NOW, NOW + 600))
        assert not server.settled()
        assert server.settled()
    assert ask(tmp_path, "SELECT target FROM audit") == [("1",)]
    assert ask(tmp_path, "SELECT network FROM bans") == [(BAN.network,)]
    assert server.stats.lost == {"minutes": 1, "audit": 1, "kept": 1}
    told = [(each.message, each.exc_info is None) for each in caplog.records]
    assert told == [("state row lost", False)] * 3


def test_what_is_written_is_written_once_though_tidying_up_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StateUnusable(StateFailure.FULL, "no room to take anything away")

    with serving(tmp_path) as server:
        assert server.settled()
        with monkeypatch.context() as full:
            full.setattr(store, "forget_old", fail)
            server.store.apply(StoreRules(audit_days=1))
            server.store.add(minute())
            server.store.keep(BAN)
            assert server.settled()
            server.until(lambda: server.stats.failure is StateFailure.FULL)
        assert server.settled()
    assert ask(tmp_path, "SELECT player_seconds FROM usage") == [(180.0,)]


def test_a_clock_that_is_set_wrong_takes_nothing_away(tmp_path: Path) -> None:
    def prune(server: Server) -> int:
        server.store.apply(replace(StoreRules(), audit_days=next(days)))  # Other rules look at once.
        assert server.settled()
        return len(ask(tmp_path, "SELECT * FROM audit"))

    days = iter(range(80, 100))
    with serving(tmp_path) as server:
        server.store.add(audit(1))
        server.store.add(audit(2, NOW - 70 * DAY))
        assert server.settled()
        server.now = NOW + 3650 * DAY
        assert prune(server) == 2
        server.now = NOW
        assert prune(server) == 2
        server.now += 25 * DAY  # It has been in a drawer.
        assert prune(server) == 1
    with serving(tmp_path, now=NOW + 3650 * DAY) as server:
        assert server.settled()
    assert ask(tmp_path, "SELECT target FROM audit") == [("1",)]
    with serving(tmp_path, now=NOW + 3650 * DAY) as server:
        assert server.settled()
    assert ask(tmp_path, "SELECT target FROM audit") == []


def test_what_a_server_left_that_was_killed_while_it_wrote_is_read(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.store.add(minute())
        for number in range(300):
            server.store.add(replace(minute(), name=f"show{number}"))
        assert server.settled()
    # A process is killed in the middle: SQLite spills what does not fit into its cache.
    code = """
import os, sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
for each in ("journal_mode = TRUNCATE", "cache_size = 2"):
    file.execute(f"PRAGMA {each}")
file.execute("BEGIN")
file.execute("UPDATE usage SET peak = 99")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / FILE)], check=False)
    with pytest.raises(sqlite3.OperationalError) as unfinished:
        open_readonly(tmp_path / FILE)
    told = explain(unfinished.value)
    assert (told.reason, "killed while it wrote" in str(told)) == (StateFailure.READ_ONLY, True)
    assert find_problem(tmp_path) is None
    (day, *_) = usage_of(tmp_path, date(2027, 1, 15), date(2027, 1, 15))
    assert day.peak == 3


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StateFailure.FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), StateFailure.FULL),
        (OSError(errno.EIO, "Input/output error"), StateFailure.IO),
        (PermissionError(errno.EACCES, "Permission denied"), StateFailure.DENIED),
        (ValueError("secret"), StateFailure.BUG),
    ],
)
def test_what_is_wrong_is_told_in_words(error: Exception, reason: StateFailure) -> None:
    told = explain(error)
    assert told.reason is reason
    assert "secret" not in str(told)


# -- versions

MORE = Step(
    1,
    (
        "ALTER TABLE bans ADD COLUMN country TEXT NOT NULL DEFAULT 'nowhere'",
        "CREATE TABLE later (a INTEGER)",
    ),
)
"""As a next version may be: it adds."""
NO_WAY_BACK = Step(len(STEPS) + 2, ("DROP TABLE later",))


def test_a_newer_server_takes_the_tables_on_and_the_one_before_goes_on_with_them(tmp_path: Path) -> None:
    with serving(tmp_path) as old:
        old.store.keep(BAN)
    with serving(tmp_path, steps=(*STEPS, MORE)) as new:
        assert new.settled()
        assert new.contents == [Contents((BAN,))]
    change(tmp_path, "UPDATE bans SET country = 'here'")
    with serving(tmp_path) as back:
        assert back.settled()
        assert back.contents == [Contents((BAN,))]
        back.store.keep(BanRow(BAN.network, NOW, NOW + 1000, "again"))
        back.store.keep(BanRow("192.0.2.8", NOW, NOW + 1000))
        back.store.add(audit(1))
        assert back.settled()
    # What it does not know it has left as it was.
    assert ask(tmp_path, "SELECT network, reason, country FROM bans") == [
        (BAN.network, "again", "here"),
        ("192.0.2.8", None, "nowhere"),
    ]
    assert ask(tmp_path, "PRAGMA user_version") == [(len(STEPS) + 1,)]
    with serving(tmp_path, steps=(*STEPS, MORE)) as again:
        assert again.settled()


def test_a_file_without_a_way_back_is_not_touched_by_an_older_server(tmp_path: Path) -> None:
    with serving(tmp_path, steps=(*STEPS, MORE, NO_WAY_BACK)) as new:
        new.store.keep(BAN)
    before = (tmp_path / FILE).read_bytes()
    with serving(tmp_path) as old:
        assert not old.settled()
        assert old.stats.failure is StateFailure.NEWER
        assert f"version {len(STEPS) + 2}" in old.stats.problem
    assert (tmp_path / FILE).read_bytes() == before
    with pytest.raises(StateUnusable):
        open_to_read(tmp_path)


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.store.keep(BAN)
    broken = Step(1, ("CREATE TABLE half (a)", "CREATE TABLE bans (a)"))
    with pytest.raises(sqlite3.Error):
        open_to_write(tmp_path, 1 << 20, (*STEPS, broken))
    assert ask(tmp_path, "SELECT name FROM sqlite_master WHERE name = 'half'") == []
    assert ask(tmp_path, "PRAGMA user_version") == [(len(STEPS),)]


def test_every_step_leaves_a_way_back_to_the_version_before() -> None:
    """Of the tables as they are released; see ``rtmpd.state.schema``."""
    for version, step in enumerate(STEPS, 1):
        assert step.min_reader <= max(version - 1, 1)


def test_a_copy_made_while_it_is_written_can_be_used(tmp_path: Path) -> None:
    """As docs/operations.md says."""
    with serving(tmp_path / "one") as server:
        server.store.keep(BAN)
        assert server.settled()
        (tmp_path / "two").mkdir()
        with (
            closing(sqlite3.connect(tmp_path / "one" / FILE)) as source,
            closing(sqlite3.connect(tmp_path / "two" / FILE)) as target,
        ):
            source.backup(target)
    with serving(tmp_path / "two") as restored:
        assert restored.settled()
        assert restored.contents == [Contents((BAN,))]
    assert usage_of(tmp_path / "two", date(2026, 1, 1), date(2026, 1, 2)) == []


# -- before a start


def test_what_would_be_in_the_way_is_found_without_touching_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_problem(tmp_path / "new" / "state") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert find_problem(tmp_path / "file" / "state") == f"{tmp_path}/file is no folder"
    with serving(tmp_path / "state") as server:
        assert server.settled()
        assert find_problem(tmp_path / "state") is None
    change(tmp_path, "CREATE TABLE theirs (a)")
    assert "a file of another program" in str(find_problem(tmp_path))
    (tmp_path / FILE).write_bytes(b"none" * 1000)
    assert "no SQLite file" in str(find_problem(tmp_path))
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    assert "it is no file" in str(find_problem(tmp_path))
    # Whoever is root writes everywhere.
    monkeypatch.setattr("os.access", lambda path, _: path != tmp_path / FILE)
    assert find_problem(tmp_path) == f"{tmp_path}/{FILE} cannot be written: let the server's user own it"
    monkeypatch.setattr("os.access", lambda *_: False)
    assert find_problem(tmp_path) == f"{tmp_path} cannot be written: let the server's user write there"
