from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.daemon import logs
from rtmpd.engine.sink import CloseReason

logger = logging.getLogger("rtmpd.test_logs")


def make_record(message="publish started", level=logging.INFO, exc_info=None, **fields) -> logging.LogRecord:
    record = logging.LogRecord("rtmpd.net", level, __file__, 1, message, None, exc_info)
    record.created = 1738324800.25
    record.fields = fields
    return record


def text(**fields) -> str:
    return logs.TextFormatter().format(make_record(**fields))


def parse(**fields) -> dict[str, object]:
    return json.loads(logs.JsonFormatter().format(make_record(**fields)))


@pytest.fixture
def caught():
    """An exception as logging passes it."""
    try:
        unicodedata.lookup("bad \x1b[31mname\nforged line")
    except KeyError:
        return sys.exc_info()


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_a_line_for_people():
    line = text(
        app="live", name="my stream", client="192.0.2.1:5000", seconds=1.5, bytes=7, hevc=True, key=None
    )
    assert line == (
        '2025-01-31T12:00:00.250Z INFO    publish started app=live name="my stream" client=192.0.2.1:5000 '
        "seconds=1.5 bytes=7 hevc=true"
    )


@pytest.mark.parametrize(
    ("level", "prefix"),
    [("DEBUG", "<7>"), ("INFO", "<6>"), ("WARNING", "<4>"), ("ERROR", "<3>"), ("CRITICAL", "<2>")],
)
def test_a_line_for_the_journal_has_its_priority_and_no_time(level, prefix):
    formatter = logs.JournalFormatter(logs.TextFormatter(timed=False))
    record = make_record(level=getattr(logging, level), app="live")
    assert formatter.format(record) == f"{prefix}{level:7} publish started app=live"


def test_every_line_of_a_traceback_has_the_priority(caught):
    formatter = logs.JournalFormatter(logs.TextFormatter(timed=False))
    lines = formatter.format(make_record(level=logging.ERROR, exc_info=caught)).splitlines()
    assert len(lines) > 2
    assert all(line.startswith("<3>") for line in lines)


def test_only_the_stream_that_the_journal_made_is_the_journal(pipe):
    _, writer = pipe
    file = os.fstat(writer)
    environ = {"JOURNAL_STREAM": f"{file.st_dev}:{file.st_ino}"}
    assert logs.is_journal(environ, writer)
    assert not logs.is_journal(environ, 0), "led elsewhere"
    assert not logs.is_journal({}, writer)
    assert not logs.is_journal(environ, 9999)


def test_what_goes_to_the_journal_is_marked_even_that_lines_were_dropped(pipe):
    reader, writer = pipe
    with logs.configured("info", "text", journal=True, fd=writer, capacity=1):
        for _ in range(3):
            logger.warning("publish refused")
    text = os.read(reader, 10_000).decode()
    assert re.findall(r"^(<\d>\w+) +(\w+ \w+)", text, re.MULTILINE) == [
        ("<4>WARNING", "publish refused"),
        ("<4>WARNING", "log lines"),
    ]


def test_a_line_for_machines():
    assert parse(
        app="live", seconds=1.5, bytes=7, hevc=True, key=None, reason=CloseReason.SLOW, n=float("nan")
    ) == {
        "time": "2025-01-31T12:00:00.250Z",
        "level": "info",
        "logger": "rtmpd.net",
        "event": "publish started",
        "app": "live",
        "seconds": 1.5,
        "bytes": 7,
        "hevc": True,
        "key": None,
        "reason": "slow",
        "n": "nan",
    }


def test_fields_do_not_hide_what_every_line_has():
    entry = parse(time=1, level="x", event="y")
    assert (entry["event"], entry["event_"], entry["time_"]) == ("publish started", "y", 1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("a=b", '"a=b"'),
        ("x\ny", '"x\\\\ny"'),
        ("\x1b[2J", '"\\\\x1b[2J"'),
        ("\x9b2J", '"\\\\x9b2J"'),
        ("\u202egnp.exe", '"\\\\u202egnp.exe"'),
        ("\udc80", '"\\\\udc80"'),
        ("Übertragung", "Übertragung"),
        (("a", "b"), "a,b"),
        (b"\x00", "\"b'\\\\x00'\""),
    ],
)
def test_values_from_a_peer_are_neutralised(value, shown):
    assert text(name=value).removeprefix("2025-01-31T12:00:00.250Z INFO    publish started name=") == shown


def test_long_values_are_cut():
    assert parse(name="x" * 1000)["name"] == "x" * 200 + "..."


@given(st.text(), st.text())
def test_a_line_stays_a_line_whatever_it_holds(message, value):
    for formatter in (logs.TextFormatter(), logs.JsonFormatter()):
        line = formatter.format(make_record(message, name=value))
        assert line.isprintable()


def test_tracebacks_only_with_exc_info_and_neutralised(caught):
    lines = logs.TextFormatter().format(make_record("task failed", exc_info=caught)).split("\n")
    assert lines[1] == "Traceback (most recent call last):"
    assert all(line.isprintable() for line in lines)
    entry = json.loads(logs.JsonFormatter().format(make_record("task failed", exc_info=caught)))
    assert "KeyError: " in entry["exception"]
    assert "exception" not in parse()


@pytest.mark.parametrize(("style", "start"), [("text", b"20"), ("json", b'{"time":"20')])
def test_everything_logged_inside_is_written_on_leaving(pipe, style, start):
    reader, writer = pipe
    with logs.configured("info", style, fd=writer):
        logger.debug("too detailed")
        logger.info("connected", extra={"fields": {"client": "192.0.2.1:5000"}})
    logger.error("after the end")
    output = os.read(reader, 65536)
    assert output.startswith(start)
    assert output.count(b"\n") == 1
    assert b"192.0.2.1:5000" in output


def test_a_reader_that_stops_costs_lines_and_is_told_how_many(pipe):
    reader, writer = pipe
    handler = logs.BackgroundHandler(writer, capacity=10)
    handler.setFormatter(logs.JsonFormatter())
    done = threading.Event()

    def flood() -> None:
        for number in range(5000):
            handler.handle(make_record("x" * 100, number=number))
        done.set()

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    assert done.wait(30), "logging blocked on a full pipe"
    thread.join()

    received: list[dict[str, object]] = []

    def read() -> None:
        with os.fdopen(os.dup(reader)) as stream:
            for line in stream:
                received.append(json.loads(line))
                if received[-1]["event"] == "end":
                    return

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    handler.close(timeout=30)
    os.write(writer, b'{"event":"end"}\n')
    reading.join(30)
    assert not reading.is_alive()
    dropped = sum(entry["lines"] for entry in received if entry["event"] == "log lines dropped")
    kept = [entry for entry in received if "number" in entry]
    assert dropped > 0
    assert dropped + len(kept) == 5000


def test_leaving_does_not_wait_for_a_reader_that_never_reads(pipe):
    _, writer = pipe
    handler = logs.BackgroundHandler(writer, capacity=3)
    handler.setFormatter(logs.TextFormatter())
    for _ in range(3000):
        handler.handle(make_record("x" * 100))
    closing = threading.Thread(target=handler.close, kwargs={"timeout": 0.01}, daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()
    # The fixture closes the pipe; a thread stuck in write() then ends with an error.


def test_a_full_descriptor_that_does_not_block_is_waited_for(pipe, monkeypatch):
    reader, writer = pipe
    os.set_blocking(writer, False)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(writer, b"\n" * 4096)
    waiting = threading.Event()
    select_ready = logs.select.select

    def select(*arguments):
        waiting.set()
        return select_ready(*arguments)

    monkeypatch.setattr(logs.select, "select", select)
    handler = logs.BackgroundHandler(writer)
    handler.setFormatter(logs.TextFormatter())
    handler.handle(make_record())
    assert waiting.wait(30)
    while filled:
        filled -= len(os.read(reader, filled))
    handler.close()
    assert os.read(reader, 4096).endswith(b"publish started\n")


def test_a_closed_pipe_stops_nobody(pipe):
    reader, writer = os.pipe()
    os.close(reader)
    with logs.configured("info", "text", fd=writer):
        logger.info("into the void")
    os.close(writer)


def test_lines_of_one_address_are_folded_and_told_when_it_is_quiet(tmp_path):
    path = tmp_path / "log"
    with path.open("w") as file, logs.configured("info", "text", fd=file.fileno(), max_repeats=2):
        for number in range(5):
            logging.getLogger("a").info("closed", extra={"fields": {"client": "192.0.2.1", "n": number}})
        deadline = time.monotonic() + 5.0
        while "folded" not in path.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
    *written, folded = [line.split(maxsplit=2)[2] for line in path.read_text().splitlines()]
    assert written == ["closed client=192.0.2.1 n=0", "closed client=192.0.2.1 n=1"]
    assert folded == "log lines folded client=192.0.2.1 repeated=closed lines=3"


def test_what_was_folded_is_told_at_the_end(tmp_path):
    path = tmp_path / "log"
    with path.open("w") as file, logs.configured("info", "text", fd=file.fileno(), max_repeats=1):
        for _ in range(3):
            logging.getLogger("a").info("closed", extra={"fields": {"client": "192.0.2.1"}})
    assert path.read_text().endswith("log lines folded client=192.0.2.1 repeated=closed lines=2\n")
