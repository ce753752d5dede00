from __future__ import annotations

import asyncio
import fcntl
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from net_kit import eventually
from shelf_kit import NOW, SHOW, known, put

from rtmpd.outputs import housekeeping as housekeeping_module
from rtmpd.outputs.afterwork_words import RemovalFailure, RemovalReason, Step
from rtmpd.outputs.catalog import Catalog, Known
from rtmpd.outputs.folder_scan import FoundFile, Scan
from rtmpd.outputs.housekeeping import Housekeeping
from rtmpd.outputs.retention import KeepRules


class House:
    def __init__(self, root: Path) -> None:
        self.rules = KeepRules()
        self.catalog = Catalog()
        self.root = root
        self.now = 0.0
        self.wall = NOW
        self.keeper = Housekeeping(
            self.catalog, lambda _entry: self.rules, lambda: self.now, lambda: self.wall
        )

    async def round(self) -> None:
        await self.keeper.round(str(self.root))

    def left(self) -> list[str]:
        return sorted(each.name for each in self.root.iterdir())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    house.keeper._roots = (str(tmp_path),)
    yield house
    await house.keeper.close()


async def test_keeps_a_folder_within_its_bounds(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for name, age in (("a", 30), ("b", 20), ("c", 10)):
        put(house.root / f"{name}.flv", 10, age)
    put(house.root / "being.flv.part", 1000, 99)
    house.rules = KeepRules(max_age=25.0)
    await house.round()
    assert house.left() == ["b.flv", "being.flv.part", "c.flv"]
    assert {each.relative for each in house.catalog.entries()} == {"b.flv", "c.flv"}
    stats = house.keeper.stats
    assert (stats.removed, stats.removed_bytes) == ({RemovalReason.AGE: 1}, {RemovalReason.AGE: 10})
    assert (stats.files, stats.bytes) == ({str(house.root): 3}, {str(house.root): 30})
    assert stats.rooms[str(house.root)].free > 0
    assert [each.message for each in caplog.records] == ["recording removed"]


async def test_a_clock_that_leaps_makes_no_file_old(house: House, caplog: pytest.LogCaptureFixture) -> None:
    put(house.root / "a.flv", age=30)
    house.rules = KeepRules(max_age=40.0)
    await house.round()
    house.now, house.wall = 60.0, NOW + 400_000_000.0
    for _ in range(2):
        await house.round()
        house.now, house.wall = house.now + 60, house.wall + 60
    assert house.left() == ["a.flv"]
    assert [each.message for each in caplog.records] == ["clock leapt: recordings stay for an hour"]
    house.now, house.wall = house.now + 3600, house.wall + 3600
    await house.round()
    assert house.left() == []


async def test_touches_nothing_that_is_read_or_waits(house: House, caplog: pytest.LogCaptureFixture) -> None:
    waits, read = put(house.root / "waits.flv", age=9), put(house.root / "read.flv", age=8)
    house.catalog.add(known(waits, house.root, Step.UPLOAD, age=9))
    house.rules = KeepRules(max_age=1.0)
    with read.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        await house.round()
        await house.round()
    assert house.left() == ["read.flv", "waits.flv"]
    assert house.keeper.stats.failures == {RemovalFailure.IN_USE: 2}
    assert [each.message for each in caplog.records] == ["recording not removed"]
    await house.round()
    assert house.left() == ["waits.flv"]


async def test_a_folder_that_cannot_be_read_is_told_of_once(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(house.root / "a.flv")
    await house.round()
    broken = Scan(is_whole=False, problem="Stale file handle")
    with monkeypatch.context() as patch:
        patch.setattr(housekeeping_module, "scan", lambda _root, _now: broken)
        await house.round()
        await house.round()
    assert house.keeper.stats.unreadable == {str(house.root): "Stale file handle"}
    assert [each.message for each in caplog.records] == ["recordings folder not readable"]
    assert len(house.catalog) == 1
    await house.round()
    assert house.keeper.stats.unreadable == {}


async def test_what_is_not_known_is_asked_once_what_it_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = put(house.root / "mine.flv", age=5), put(house.root / "other.flv")
    put(house.root / "video.mp4")
    asked: list[str] = []

    def heads(files: list[tuple[str, FoundFile]]) -> dict[str, Known]:
        asked.extend(Path(each.path).name for _, each in files)
        return {str(mine): replace(known(mine, house.root), by_head=True)}

    monkeypatch.setattr(housekeeping_module, "described", heads)
    for _ in range(2):
        await house.round()
    assert sorted(asked) == ["mine.flv", "other.flv"]
    found = house.catalog.at(str(mine))
    assert found is not None
    assert found.key == SHOW
    put(other, age=1)
    await house.round()
    assert sorted(asked) == ["mine.flv", "other.flv", "other.flv"]


async def test_a_disk_that_hangs_holds_up_nothing_else(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, went_on = threading.Event(), threading.Event()

    def stuck(_root: str, _now: float) -> Scan:
        went_on.set()
        hangs.wait(5.0)
        return Scan()

    monkeypatch.setattr(housekeeping_module, "scan", stuck)
    house.keeper.apply([str(house.root)])
    await eventually(went_on.is_set)
    await asyncio.wait_for(house.keeper.close(), 1.0)
    hangs.set()


async def test_nor_the_folders_of_another_one(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    lost, good = tmp_path / "lost", tmp_path / "good"
    for root in (lost, good):
        root.mkdir()
        put(root / "old.flv", age=30)
        put(root / "new.flv", age=5)
    scan, remove = housekeeping_module.scan, housekeeping_module.remove

    def slow_scan(root: str, now: float) -> Scan:
        if root == str(lost) and str(good) in house.keeper.stats.files:
            hangs.wait(10.0)
        return scan(root, now)

    def slow_remove(path: str, root: str) -> RemovalFailure | None:
        if root == str(lost):
            hangs.wait(10.0)
        return remove(path, root)

    monkeypatch.setattr(housekeeping_module, "SOON", 0.0)
    monkeypatch.setattr(housekeeping_module, "scan", slow_scan)
    monkeypatch.setattr(housekeeping_module, "remove", slow_remove)
    house.rules = KeepRules(max_age=20.0)
    house.keeper.apply([str(lost), str(good)])
    await eventually(lambda: not (good / "old.flv").exists())
    house.rules = KeepRules(max_age=1.0)
    house.keeper.wake()
    await eventually(lambda: not (good / "new.flv").exists())
    assert (lost / "old.flv").exists()
    hangs.set()


async def test_looks_when_it_is_told_that_there_is_something_new(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping_module, "SOON", 0.0)
    house.keeper.apply([str(house.root)])
    await eventually(lambda: str(house.root) in house.keeper.stats.files)
    put(house.root / "a.flv")
    house.keeper.wake()
    await eventually(lambda: len(house.catalog) == 1)
    house.keeper.apply([])
    await eventually(lambda: len(house.catalog) == 0)
    assert house.keeper.stats.rooms == {}
