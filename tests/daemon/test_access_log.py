"""The access log: written beside the loop, whatever becomes of its file."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rtmpd.daemon import access_log
from rtmpd.daemon.access_log import AccessLog, AccessLogLoss, AccessLogStats
from rtmpd.engine.origin import Origin
from rtmpd.events.records import KeptInput, SessionRecord

RECORD = SessionRecord(
    origin=Origin(session=1),
    address="192.0.2.1",
    kind="player",
    since=0.0,
    until=1.0,
    uses=(),
    more_uses=0,
    bytes_in=1,
    bytes_out=2,
    dropped=0,
    peak_backlog_bytes=0,
    reason="finished",
    detail=None,
    by=None,
    last_command="",
    tcp=None,
    introduced=True,
    input=KeptInput(),
)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "_GATHERING", 0.0)


@contextmanager
def writing(path: Path, capacity: int = 10) -> Iterator[tuple[AccessLog, AccessLogStats]]:
    stats = AccessLogStats()
    log = AccessLog(str(path), stats, capacity)
    try:
        yield log, stats
    finally:
        log.close()


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.001)
    raise TimeoutError


def say(log: AccessLog, address: str) -> None:
    log.recorded(replace(RECORD, address=address))


def addresses(path: Path) -> list[str]:
    return [json.loads(line)["address"] for line in path.read_text().splitlines()]


def test_each_session_is_a_line_also_when_the_file_was_renamed(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(json.dumps({"address": "before"}) + "\n")
    with writing(path) as (log, stats):
        say(log, "a")
        wait_for(lambda: stats.lines == 1)
        path.rename(tmp_path / "access.log.1")
        say(log, "b")
        log.recorded(replace(RECORD, introduced=False))  # A scanner.
        wait_for(lambda: stats.lines == 2)
        log.path = str(tmp_path / "other.log")
        say(log, "c")
    assert addresses(tmp_path / "access.log.1") == ["before", "a"]
    assert addresses(path) == ["b"]
    assert addresses(tmp_path / "other.log") == ["c"]
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_disk_that_is_full_is_said_once_and_tears_no_line_but_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path, write, room = tmp_path / "access.log", os.write, [0]

    def little(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    with writing(path) as (log, stats):
        monkeypatch.setattr(access_log.os, "write", little)
        room[0] = 10
        say(log, "a")
        wait_for(lambda: stats.lost[AccessLogLoss.DISK_FULL] == 1)
        say(log, "b")
        wait_for(lambda: stats.lost[AccessLogLoss.DISK_FULL] == 2)
        room[0] = 1 << 20
        say(log, "c")
        wait_for(lambda: stats.lines == 1)
    torn, whole = path.read_text().splitlines()
    assert (len(torn), json.loads(whole)["address"]) == (10, "c")
    assert caplog.messages == ["access log not written", "access log written again"]
    assert [record.__dict__["fields"].get("lost") for record in caplog.records] == [None, 2]


def test_a_file_that_cannot_be_had_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with writing(folder / "access.log") as (log, stats):
        say(log, "a")
        wait_for(lambda: stats.lost[AccessLogLoss.FAILED] == 1)
        folder.mkdir()
        say(log, "b")
    assert addresses(folder / "access.log") == ["b"]


def test_who_writes_too_slowly_loses_lines_and_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with writing(path, capacity=3) as (log, stats):
        say(log, "stuck")
        wait_for(lambda: not log._queue)
        for number in range(5):
            say(log, str(number))
        assert stats.lost[AccessLogLoss.QUEUE_FULL] == 2
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        wait_for(lambda: stats.lines == 4)
        os.close(reader)
