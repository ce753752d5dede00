from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shelf_kit import NOW, SHOW, known, put

from rtmpd.outputs import catalog as catalog_module
from rtmpd.outputs.afterwork_words import Step
from rtmpd.outputs.catalog import Catalog, Known, difference
from rtmpd.outputs.folder_scan import FoundFile, Scan, scan


class Memory:
    def __init__(self) -> None:
        self.rows: dict[str, Known] = {}

    def noted(self, known: Known) -> None:
        self.rows[known.recording.path] = known

    def forgotten(self, path: str) -> None:
        self.rows.pop(path, None)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def catalog(memory: Memory) -> Catalog:
    return Catalog(memory)


def follow(catalog: Catalog, root: Path, found: Scan | None = None) -> None:
    changes = difference(catalog.snapshot(), str(root), found or scan(str(root), NOW))
    for file in changes.seen:
        catalog.see(str(root), file)
    for path in changes.gone:
        catalog.miss(path)


def test_knows_what_lies_there_and_what_was_recorded(catalog: Catalog, tmp_path: Path) -> None:
    other, mine = put(tmp_path / "other.mp4", 7), put(tmp_path / "live" / "mine.flv", 9, age=3)
    catalog.add(known(mine, tmp_path, Step.UPLOAD, age=3, size=9))
    follow(catalog, tmp_path)
    found = {each.relative: each for each in catalog.entries()}
    assert found.keys() == {"other.mp4", "live/mine.flv"}
    assert found["other.mp4"].key is None
    assert (found["live/mine.flv"].key, found["live/mine.flv"].waits) == (SHOW, True)
    assert [each.path for each in catalog.waiting()] == [str(mine)]
    assert catalog.find(found["other.mp4"].id) is found["other.mp4"]
    assert catalog.at(str(other)) is found["other.mp4"]
    assert catalog.find("0" * 16) is None


def test_follows_what_comes_goes_and_changes(catalog: Catalog, memory: Memory, tmp_path: Path) -> None:
    mine, other = put(tmp_path / "mine.flv"), put(tmp_path / "other.flv")
    catalog.add(known(mine, tmp_path, Step.UPLOAD))
    follow(catalog, tmp_path)
    put(other, 99)
    mine.unlink()
    catalog.scan_begins(str(tmp_path))
    follow(catalog, tmp_path)
    assert [(each.relative, each.size) for each in catalog.entries()] == [("other.flv", 99)]
    assert catalog.waiting() == []
    assert memory.rows == {}


@pytest.mark.parametrize("found", [Scan(is_whole=False), Scan(is_whole=False, problem="Stale file handle")])
def test_forgets_nothing_that_it_could_not_look_at(catalog: Catalog, tmp_path: Path, found: Scan) -> None:
    catalog.add(known(tmp_path / "a.flv", tmp_path))
    catalog.scan_begins(str(tmp_path))
    follow(catalog, tmp_path, found)
    assert len(catalog) == 1


def test_a_scan_that_began_before_a_file_was_finished_takes_it_not_for_gone(
    catalog: Catalog, tmp_path: Path
) -> None:
    catalog.scan_begins(str(tmp_path))
    found = scan(str(tmp_path), NOW)
    catalog.add(known(tmp_path / "a.flv", tmp_path))
    catalog.scan_begins(str(tmp_path / "another"))
    follow(catalog, tmp_path, found)
    assert len(catalog) == 1
    catalog.scan_begins(str(tmp_path))
    follow(catalog, tmp_path)
    assert len(catalog) == 0


def test_what_an_earlier_process_knew_is_known_again(
    catalog: Catalog, memory: Memory, tmp_path: Path
) -> None:
    file = put(tmp_path / "a.flv")
    follow(catalog, tmp_path)
    about = known(file, tmp_path, Step.UPLOAD)
    catalog.restore(about)
    assert [each.path for each in catalog.waiting()] == [str(file)]
    catalog.note(str(file), replace(about, step=Step.NONE, uploaded="s3://b/a.flv"))
    catalog.restore(about)
    assert catalog.waiting() == []
    assert memory.rows[str(file)].uploaded == "s3://b/a.flv"


def test_keeps_of_other_folders_what_still_waits(catalog: Catalog, memory: Memory, tmp_path: Path) -> None:
    done, waits = tmp_path / "done.flv", tmp_path / "waits.flv"
    catalog.add(known(done, tmp_path))
    catalog.add(known(waits, tmp_path, Step.UPLOAD))
    catalog.keep_roots(["/elsewhere"])
    assert [each.relative for each in catalog.entries()] == ["waits.flv"]
    assert memory.rows.keys() == {str(done), str(waits)}
    catalog.restore(known(done, tmp_path))
    catalog.restore(known(tmp_path / "more.flv", tmp_path, Step.UPLOAD))
    assert [each.relative for each in catalog.waiting()] == ["waits.flv", "more.flv"]
    assert len(catalog) == 2


def test_is_bounded(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "MAX_KNOWN", 2)
    for name in "abc":
        catalog.add(known(tmp_path / f"{name}.flv", tmp_path))
    catalog.see(str(tmp_path), FoundFile(str(tmp_path / "d.flv"), 1, NOW))
    catalog.restore(known(tmp_path / "e.flv", tmp_path))
    assert (len(catalog), catalog.left_out) == (2, 1)
