"""What becomes of finished recordings, as the daemon puts it together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from engine_kit import House
from net_kit import eventually
from shelf_kit import SHOW, known, put, recording

from rtmpd.daemon.events_side import EventsSide
from rtmpd.daemon.settings import load
from rtmpd.daemon.shelf_side import ShelfSide
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.outputs.afterwork import _Trouble
from rtmpd.outputs.afterwork_words import Step
from rtmpd.outputs.recording import Recording


class Backends:
    """Those of all streams."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Origin]] = []

    def recorded(self, recording: Recording, origin: Origin) -> None:
        self.told.append((recording.path, origin))


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[ShelfSide]:
    registry = House().registry
    backends: Any = Backends()
    shelf = ShelfSide(registry, EventsSide(registry, lambda: 1, lambda: 0.0, "x"), backends, lambda: 0.0)
    yield shelf
    await shelf.close()


def apply(shelf: ShelfSide, root: Path, *more: str) -> None:
    shelf.apply(load((), {}, [f"apps.live.record.root={root}", *more]).config, None)


async def test_a_finished_file_is_told_of_and_known(shelf: ShelfSide, tmp_path: Path) -> None:
    assert shelf.shelf is None
    apply(shelf, tmp_path)
    assert shelf.shelf is shelf
    file = put(tmp_path / "a.flv")
    shelf.recording_started(SHOW, f"{file}.part", 0.0)
    shelf.recording_finished(recording(file, tmp_path))
    assert shelf._hooks.told == [(str(file), NOBODY)]
    assert [each.key for each in shelf.catalog.entries()] == [SHOW]
    assert shelf.catalog.waiting() == []
    assert shelf._origins == {}
    await eventually(lambda: shelf.housekeeping.stats.files.get(str(tmp_path)) == 1)


async def test_who_is_replaced_leaves_it_to_the_next_process_where_that_finds_it(
    shelf: ShelfSide, tmp_path: Path
) -> None:
    bucket = "apps.live.record.upload.bucket=rec"
    apply(shelf, tmp_path, bucket)
    shelf.catalog.add(known(put(tmp_path / "a.flv"), tmp_path, Step.UPLOAD))
    shelf.afterwork._trouble[str(tmp_path / "a.flv")] = _Trouble(until=1e9)
    shelf.look(leaving=True)
    assert len(shelf.catalog.waiting()) == 1
    store: Any = _Store()
    shelf.kept.follow(store)
    shelf.look(leaving=False)
    assert len(shelf.catalog.waiting()) == 1
    shelf.look(leaving=True)
    assert shelf.catalog.waiting() == []
    await eventually(lambda: not len(shelf.housekeeping._tasks))


class _Store:
    def keep(self, _row: Any) -> None:
        raise AssertionError("it is the next one's")
