"""The last file of a stream, opened again: which one it is, and when it is left alone."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from engine_kit import KEY
from outputs_kit import HEADERS, cut_off, frames, open_files, repaired

from rtmpd.outputs import appending, repair
from rtmpd.outputs.appending import open_last
from rtmpd.outputs.record_rules import Fsync

LEVELS = ["next.flv"]


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """The later of two files of a stream."""
    for number, name in enumerate(("first", "last")):
        cut_off(tmp_path / f"{name}.flv.part", *HEADERS, *frames(50))
        repaired(tmp_path)
        os.utime(tmp_path / f"{name}.flv", (number, number))
    return tmp_path / "last.flv"


def opened(root: Path) -> str | None:
    """What is opened of it to be appended to, which is left as it is."""
    before = open_files(root)
    file = open_last(str(root), LEVELS, KEY, Fsync.NEVER)
    name = None
    if file is not None:
        name = Path(file.path).name
        file.finish()
    assert open_files(root) == before
    return name


def test_the_last_file_is_gone_on_with(last: Path) -> None:
    data = last.read_bytes()
    assert opened(last.parent) == "last.flv.part"
    assert len(last.read_bytes()) == len(data)


@pytest.mark.parametrize("kind", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_nothing_is_put_behind_an_older_one_while_somebody_has_the_last(last: Path, kind: int) -> None:
    with last.open("rb") as file:
        fcntl.flock(file, kind)
        assert opened(last.parent) is None
    assert opened(last.parent) == "last.flv.part"


@pytest.mark.parametrize("tail", [b"junk", b"".join(frames(5, 50))])
def test_what_somebody_has_changed_is_left_alone(last: Path, tail: bytes) -> None:
    with last.open("ab") as file:
        file.write(tail)
    data = last.read_bytes()
    assert opened(last.parent) is None
    assert last.read_bytes() == data


def test_what_is_not_ours_to_open_is_passed_over(last: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (last.parent / "theirs.flv").write_bytes(last.read_bytes())
    os.mkfifo(last.parent / "fifo.flv")
    (last.parent / "link.flv").symlink_to(last)
    real = os.open

    def guarded(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "theirs.flv":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(appending.os, "open", guarded)
    assert opened(last.parent) == "last.flv.part"


def test_where_there_are_no_locks_nobody_appends(last: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_fd: int, _kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(repair.fcntl, "flock", flock)
    assert opened(last.parent) is None


def test_what_is_in_it_is_what_was_in_it_when_it_was_ours(
    last: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = appending.lock

    def slow(fd: int, path: str) -> None:
        # Another process has appended to it, and let go of it just now.
        other = open_last(str(last.parent), LEVELS, KEY, Fsync.NEVER)
        assert other is not None
        other.add(9, 2000, b"\x27\x01" + bytes(100), keyframe=False)
        other.flush()
        other.finish()
        lock(fd, path)

    size = last.stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(appending, "lock", lambda fd, path: patch.undo() or slow(fd, path))
        assert opened(last.parent) == "last.flv.part"
    assert last.stat().st_size == size + 117
