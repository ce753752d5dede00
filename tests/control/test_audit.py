"""What is noted of a change, once, whatever comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest

from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change, spell_settings
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.events.model import NO_STREAM, Fact
from rtmpd.exceptions import ConfigError, NotFound
from rtmpd.reasons import Problem

ANN = Actor("ann", "192.0.2.7")
CAM = StreamKey("live", "cam")


class Book:
    def __init__(self) -> None:
        self.told: list[tuple[Origin, StreamKey, Mapping[str, Fact]]] = []
        self.audit = Audit(lambda *told: self.told.append(told))


@pytest.mark.parametrize(
    ("error", "result", "problem", "detail"),
    [
        (None, "done", None, None),
        (NotFound(Problem.STREAM_NOT_FOUND, "not here"), "refused", "stream_not_found", "not here"),
        (ConfigError(["a: wrong", "b: wrong"]), "refused", "settings_refused", "a: wrong; b: wrong"),
        (ZeroDivisionError(), "failed", "internal_error", "the log may say more"),
        (KeyboardInterrupt(), "failed", "internal_error", "the log may say more"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_whatever_comes_of_it_is_noted_once(
    error: BaseException | None, result: str, problem: str | None, detail: str | None
) -> None:
    book = Book()
    with contextlib.suppress(BaseException), book.audit.attempt(ANN, Change.END, CAM, "late") as attempt:
        attempt.before = "held"
        if error is not None:
            raise error
        attempt.after = 1
    ((by, key, facts),) = book.told
    assert (by, key) == (Origin(protocol="http", address="192.0.2.7", account="ann"), CAM)
    assert facts == {
        "change": "end",
        "target": "live/cam",
        "result": result,
        "reason": "late",
        "before": "held",
        "after": None if error else 1,
        "problem": problem,
        "detail": detail,
    }


def test_texts_of_any_length_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    book = Book()
    book.audit.note(Actor("SIGHUP", protocol="signal"), Change.RELOAD, "x" * 5000, after="y" * 5000)
    ((by, key, facts),) = book.told
    assert (by.who, key, len(str(facts["target"])), len(str(facts["after"]))) == (
        "SIGHUP",
        NO_STREAM,
        1000,
        1000,
    )
    assert caplog.records == []  # It is information, and a refusal is a warning.


def test_many_settings_are_told_in_short() -> None:
    assert spell_settings([]) is None
    assert spell_settings([["a"], ["b", "c"]]) == "a, b, c"
    assert str(spell_settings([[str(number) for number in range(30)]])).endswith("18, 19, and 10 more")


def test_what_is_refused_is_still_raised() -> None:
    with pytest.raises(NotFound), Book().audit.attempt(ANN, Change.END, CAM):
        raise NotFound(Problem.STREAM_NOT_FOUND, "not here")
