from __future__ import annotations

import logging
import math

from rtmpd.daemon.log_folding import WINDOW, Folding


def record(
    message: str,
    client: str | None = "192.0.2.1",
    *,
    at: float = 0.0,
    level: int = logging.INFO,
    **more: object,
) -> logging.LogRecord:
    fields = {"connection": 7} | more | ({} if client is None else {"client": client})
    made = logging.makeLogRecord({"msg": message, "levelno": level, "fields": fields, "created": at})
    made.levelname = logging.getLevelName(level)
    return made


def lines(records: list[logging.LogRecord]) -> list[tuple[str, object]]:
    return [(each.msg, each.fields.get("lines")) for each in records]  # type: ignore[attr-defined]


def test_a_few_lines_of_an_event_and_then_how_many_more() -> None:
    folding = Folding(2)
    written = [lines(folding.admit(record("connected", at=n / 100))) for n in range(10)]
    assert written == [[("connected", None)]] * 2 + [[]] * 8
    assert folding.pending
    (summary, line) = folding.admit(record("connected", at=WINDOW))
    assert (summary.levelname, summary.msg) == ("INFO", "log lines folded")
    assert summary.fields == {"client": "192.0.2.1", "backend": None, "repeated": "connected", "lines": 8}
    assert line.msg == "connected"
    assert not folding.pending


def test_lines_left_out_are_told_whatever_the_limit_is_then() -> None:
    for limit in (0, 1, 5):
        folding = Folding(2)
        for _ in range(4):
            folding.admit(record("connected"))
        folding.limit = limit
        assert lines(folding.finish(math.inf)) == [("log lines folded", 2)]


def test_other_events_and_other_addresses_are_counted_apart() -> None:
    folding = Folding(1)
    for message in ("connected", "closed"):
        for client in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:1::1"):
            assert lines(folding.admit(record(message, client))) == [(message, None)]
    # A subscriber has as many addresses of one network as it wants, and a site as many networks.
    assert folding.admit(record("closed", "2001:db8::2")) == []
    assert folding.admit(record("closed", "2001:db8:0:ffff::2")) == []


def test_a_backend_that_fails_is_a_few_lines_however_many_wait_for_it() -> None:
    folding = Folding(1)
    for number in range(3):
        made = record("backend failed", None, level=logging.WARNING, backend="live", detail=str(number))
        assert len(folding.admit(made)) == (number == 0)
    # An app may be called like an address.
    assert lines(folding.admit(record("backend failed", "live"))) == [("backend failed", None)]
    (summary,) = folding.finish(WINDOW)
    assert summary.fields == {"client": None, "backend": "live", "repeated": "backend failed", "lines": 2}


def test_errors_and_what_no_address_did_are_always_written() -> None:
    folding = Folding(1)
    for _ in range(5):
        assert lines(folding.admit(record("bug", level=logging.ERROR))) == [("bug", None)]
        assert lines(folding.admit(record("stopping", None))) == [("stopping", None)]
    assert not folding.pending


def test_everything_is_written_if_told_so() -> None:
    folding = Folding(0)
    assert [lines(folding.admit(record("closed"))) for _ in range(50)] == [[("closed", None)]] * 50


def test_a_wall_clock_that_is_set_back_silences_nobody() -> None:
    folding = Folding(1)
    for _ in range(4):
        folding.admit(record("closed", at=7200.0))
    assert lines(folding.admit(record("closed", at=3600.0))) == [("log lines folded", 3), ("closed", None)]
    for _ in range(2):
        folding.admit(record("closed", at=3600.0))
    assert lines(folding.finish(10.0)) == [("log lines folded", 2)]


def test_the_end_of_a_window_tells_without_a_further_line() -> None:
    folding = Folding(1)
    for _ in range(4):
        folding.admit(record("closed"))
    assert folding.finish(WINDOW / 2) == []
    assert lines(folding.finish(WINDOW)) == [("log lines folded", 3)]
    assert folding.finish(WINDOW) == []


def test_what_is_kept_of_addresses_is_bounded() -> None:
    folding = Folding(1)
    written = sum(len(folding.admit(record("closed", f"192.0.{n // 256}.{n % 256}"))) for n in range(3000))
    assert written == 1001
    assert len(folding._events) == 1001
    assert lines(folding.finish(WINDOW)) == [("log lines folded", 1999)]
