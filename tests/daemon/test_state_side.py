"""What outlives a server, as the server has it: other settings, other folders, drives that fail or hang."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from engine_kit import KEY, FakePublisher

from rtmpd.access.bans import BanRules
from rtmpd.access.guard import Guard
from rtmpd.access.manual_bans import parse_network
from rtmpd.daemon import state_side
from rtmpd.daemon.config import Config
from rtmpd.daemon.kept_bans import KeptBans
from rtmpd.daemon.state_config import StateConfig
from rtmpd.daemon.state_side import StateSide
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import ServerStats
from rtmpd.state.database import FILE
from rtmpd.state.store import Store

NOON = 1_800_000_000.0
TODAY = datetime.fromtimestamp(NOON, UTC).astimezone().date()


class House:
    """A server that has come so far as to have a state."""

    def __init__(self, start: float = 100.0, variable: str = "") -> None:
        self.now = start
        """What a machine's clock reads depends on when it was started."""
        self.wall = NOON
        stats = ServerStats()
        loop = asyncio.get_running_loop()
        flusher = Flusher(loop.call_soon, loop.call_later, lambda: self.now, lambda: 0.0)
        self.registry = Registry(flusher, stats)
        self.guard = Guard(lambda: self.now, stats)
        self.guard.apply(BanRules())
        environ = {"STATE_DIRECTORY": variable}
        book = KeptBans(self.guard, lambda: self.now, lambda: self.wall)
        self.side = StateSide(
            self.registry, (book,), lambda: self.now, environ, "this", wall_clock=lambda: self.wall
        )

    def apply(self, folder: Path | str, **settings: object) -> None:
        self.side.apply(Config(state=StateConfig(dir=str(folder), **settings)))

    def ban(self, network: str, seconds: float = 3600.0) -> None:
        self.guard.ban(parse_network(network), seconds, "spam")

    @property
    def banned(self) -> dict[str, float]:
        return {each.network: each.until - self.now for each in self.guard.bans()}

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@asynccontextmanager
async def serving(folder: Path | str, start: float = 100.0, **options: str) -> AsyncIterator[House]:
    house = House(start, **options)
    house.apply(folder)
    await house.side.ready()
    try:
        yield house
    finally:
        await house.side.close()


def stored(folder: Path, statement: str = "SELECT network FROM bans ORDER BY 1") -> list[object]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return [row[0] for row in connection.execute(statement)]


async def test_bans_hold_in_the_next_process_for_what_is_left_of_their_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        house.ban("192.0.2.0/24")
        house.ban("198.51.100.7", 10.0)
        assert await house.side.settled() is True
        house.passes(5.0)
    house = House(7.0)  # The machine has been started anew.
    house.wall = NOON + 1000.0
    house.apply(tmp_path)
    await house.side.ready()
    assert house.banned == {"192.0.2.0/24": 2600.0}
    await house.side.close()


async def test_no_ban_holds_longer_than_it_was_meant_to(tmp_path: Path) -> None:
    """A machine whose clock has no battery begins in 1970, and is set later."""
    async with serving(tmp_path) as house:
        house.ban("192.0.2.0/24", 600.0)
        assert await house.side.settled() is True
    house = House(7.0)
    house.wall = 0.0
    house.apply(tmp_path)
    await house.side.ready()
    assert house.banned == {"192.0.2.0/24": pytest.approx(600.0)}
    await house.side.close()


async def test_without_a_folder_nothing_is_kept_and_nothing_is_said_to_be(tmp_path: Path) -> None:
    async with serving("") as house:
        house.ban("192.0.2.1")
        assert (await house.side.settled(), house.side.stats) == (None, None)
        house.side.look()
    async with serving("auto") as house:
        assert house.side.folder is None
    async with serving("auto", variable=f"{tmp_path}:/elsewhere") as house:
        assert house.side.folder == tmp_path


async def test_another_folder_gets_what_the_server_has(tmp_path: Path) -> None:
    async with serving("") as house:
        house.ban("192.0.2.1")
        house.apply(tmp_path / "one")
        await house.side.ready()
        assert await house.side.settled() is True
        assert stored(tmp_path / "one") == ["192.0.2.1"]
        house.apply(tmp_path / "two")
        house.ban("192.0.2.2")
        await house.side.ready()
        assert await house.side.settled() is True
        assert stored(tmp_path / "two") == ["192.0.2.1", "192.0.2.2"]
        house.apply("")
        house.guard.lift(parse_network("192.0.2.1"))
    assert stored(tmp_path / "two") == ["192.0.2.1", "192.0.2.2"]
    # Nothing of it is left open, so that another server may have it.
    async with serving(tmp_path / "one") as other, serving(tmp_path / "two") as third:
        assert (await other.side.settled(), await third.side.settled()) == (True, True)


async def test_a_folder_that_comes_later_gets_what_the_server_has(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    async with serving(tmp_path / "state") as house:
        house.ban("192.0.2.1")
        house.ban("192.0.2.2")
        assert await house.side.settled() is False
        house.guard.lift(parse_network("192.0.2.2"))
        (tmp_path / "state").unlink()
        assert await house.side.settled() is True
        assert stored(tmp_path / "state") == ["192.0.2.1"]


async def test_bans_in_a_file_that_comes_later_hold_beside_those_that_the_server_has(tmp_path: Path) -> None:
    async with serving(tmp_path / "copy") as house:
        house.ban("192.0.2.1")
        house.ban("192.0.2.2")
    async with serving(tmp_path / "state") as house:
        house.ban("192.0.2.3")
        assert await house.side.settled() is True
        house.guard.lift(parse_network("192.0.2.2"))
        (tmp_path / "copy" / FILE).replace(tmp_path / "state" / FILE)
        assert await house.side.settled() is True
        assert house.banned.keys() == {"192.0.2.1", "192.0.2.3"}
        assert await house.side.settled() is True
    assert stored(tmp_path / "state") == ["192.0.2.1", "192.0.2.3"]


async def test_other_rules_hold_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        assert await house.side.settled() is True
        day = 86_400
        with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
            for days in (1, 5):
                connection.execute(
                    "INSERT INTO usage VALUES (?, 'live', 'cam', 1, 1, 1, 1, 1, 1, 1, 0)",
                    (NOON - days * day,),
                )
        before = house.side.folder
        house.apply(tmp_path, keep_minutes_days=3)
        assert await house.side.settled() is True
        assert house.side.folder == before
    assert len(stored(tmp_path, "SELECT hour FROM usage")) == 1


async def test_a_drive_that_hangs_holds_up_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, begun = threading.Event(), threading.Event()

    def open_to_write(*_: object) -> sqlite3.Connection:
        begun.set()
        hangs.wait(10.0)
        raise OSError

    monkeypatch.setattr("rtmpd.state.store.open_to_write", open_to_write)
    monkeypatch.setattr(state_side, "FIRST_PATIENCE", 0.05)
    monkeypatch.setattr(state_side, "PATIENCE", 0.05)
    async with asyncio.timeout(5.0):
        async with serving(tmp_path) as house:
            assert begun.is_set()
            house.ban("192.0.2.1")
            assert await house.side.settled() is False
            assert house.banned.keys() == {"192.0.2.1"}
    hangs.set()


async def test_who_watches_is_noted_and_can_be_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        house.side.look()
        house.registry.claim(KEY, FakePublisher(), NOBODY, house.now)
        for _ in range(70):
            house.passes(1.0)
            house.side.look()
        assert await house.side.settled() is True
        part = await house.side.usage(TODAY, TODAY, lambda *_: True, None, 10)
        assert part is not None
        assert [(row.app, row.name) for row in part.rows] == [(KEY.app, KEY.name)]
        assert (part.rows[0].live_seconds, part.together.live_seconds) == (50.0, 50.0)


async def test_changes_are_noted_and_can_be_read_at_once(tmp_path: Path) -> None:
    facts = dict.fromkeys(("target", "reason", "problem", "detail", "before", "after"))
    by = Origin(protocol="http", address="192.0.2.1", account="ann")
    async with serving(tmp_path) as house:
        house.side.note_change(by, facts | {"change": "kick", "result": "done", "target": 7})
        found = await house.side.changes(None, 10, None, None)
        assert found is not None
        ((change,), total) = found
        assert (change.actor, change.client, change.change, change.target) == (
            "ann",
            "192.0.2.1",
            "kick",
            "7",
        )
        assert (change.at, change.instance, change.before, total) == (NOON, "this", None, 1)
    async with serving("") as house:
        house.side.note_change(by, facts)
        assert await house.side.changes(None, 10, None, None) is None
        assert await house.side.usage(TODAY, TODAY, lambda *_: True, None, 10) is None


def test_a_store_that_was_left_tells_nobody(tmp_path: Path) -> None:
    """Its loop has ended when the drive answers."""

    async def begin() -> Store:
        house = House()
        house.apply(tmp_path)
        store = house.side._store
        assert store is not None
        return store

    store = asyncio.run(begin())
    store.close(10.0)
    assert store.stats.failure is None
