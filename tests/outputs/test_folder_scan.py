from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from shelf_kit import NOW, put

from rtmpd.outputs.afterwork_words import RemovalFailure
from rtmpd.outputs.folder_scan import open_to_read, remove, scan


def names(root: Path, **options: int) -> list[str]:
    return sorted(Path(each.path).name for each in scan(str(root), NOW, **options).files)


def test_finds_finished_files_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    put(tmp_path / "live" / "show" / "a.flv", 11, age=5)
    for other in ("b.mp4", "c.flv.part", "d.mp4.tmp", "notes.txt"):
        put(tmp_path / other)
    (tmp_path / "link.flv").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "folder.flv").mkdir()
    found = scan(str(tmp_path), NOW)
    assert names(tmp_path) == ["a.flv", "b.mp4"]
    (show,) = (each for each in found.files if each.path.endswith("a.flv"))
    assert (show.size, show.changed_at) == (11, NOW - 5)
    assert found.is_whole
    assert found.room is not None
    assert 0 < found.room.free <= found.room.total


def test_a_folder_that_is_not_there_yet_has_nothing_and_room(tmp_path: Path) -> None:
    found = scan(str(tmp_path / "not" / "yet"), NOW)
    assert (found.files, found.problem) == ((), "")
    assert found.room is not None


def test_says_when_it_has_not_seen_all(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path / f"{number}.flv")
    assert len(names(tmp_path, most=3)) == 3
    assert not scan(str(tmp_path), NOW, most=3).is_whole
    assert scan(str(put(tmp_path / "file.flv")), NOW).problem == "Not a directory"


def test_sweeps_what_an_attempt_at_an_mp4_file_has_left_a_day_ago(tmp_path: Path) -> None:
    old, new = put(tmp_path / "a.mp4.tmp", age=90_000), put(tmp_path / "b.mp4.tmp", age=80_000)
    scan(str(tmp_path), NOW)
    assert (old.exists(), new.exists()) == (False, True)


def test_removes_a_file_and_the_folders_that_are_empty_then(tmp_path: Path) -> None:
    file, other = put(tmp_path / "live" / "show" / "a.flv"), put(tmp_path / "live" / "b.flv")
    assert remove(str(file), str(tmp_path)) is None
    assert not file.parent.exists()
    assert remove(str(other), str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []
    assert remove(str(other), str(tmp_path)) is None


@pytest.mark.parametrize("kind", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_leaves_alone_what_somebody_has_locked(tmp_path: Path, kind: int) -> None:
    file = put(tmp_path / "a.flv")
    with file.open("rb") as held:
        fcntl.flock(held, kind)
        assert remove(str(file), str(tmp_path)) is RemovalFailure.IN_USE
    assert file.exists()
    assert remove(str(file), str(tmp_path)) is None


def test_who_reads_a_file_keeps_it(tmp_path: Path) -> None:
    file = put(tmp_path / "a.flv")
    first, second = open_to_read(str(file)), open_to_read(str(file))
    os.close(first)
    assert remove(str(file), str(tmp_path)) is RemovalFailure.IN_USE
    os.close(second)
    assert remove(str(file), str(tmp_path)) is None


def test_a_drive_without_locks_is_tidied_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _kind: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    file = put(tmp_path / "a.flv")
    os.close(open_to_read(str(file)))
    assert remove(str(file), str(tmp_path)) is None
    assert not file.exists()


def test_removes_and_reads_no_link(tmp_path: Path) -> None:
    target = put(tmp_path / "elsewhere" / "a.flv")
    link = tmp_path / "link.flv"
    link.symlink_to(target)
    assert remove(str(link), str(tmp_path)) is RemovalFailure.IO
    with pytest.raises(OSError):
        open_to_read(str(link))
    os.mkfifo(tmp_path / "pipe.flv")
    assert remove(str(tmp_path / "pipe.flv"), str(tmp_path)) is RemovalFailure.DENIED
    assert target.exists()
