"""A backend that fails is left alone for a while, and answers are kept for the same question alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rtmpd.engine.origin import Origin
from rtmpd.hooks import decision_cache
from rtmpd.hooks.breaker import Breaker
from rtmpd.hooks.decision_cache import DecisionCache
from rtmpd.hooks.model import Verdict, Visit
from rtmpd.hooks.rules import Moment

WHO = Origin(address="192.0.2.1")
VISIT = Visit("publish", "live", "show", query="key=secret", origin=WHO)
YES, NO = Verdict(allow=True), Verdict(allow=False)


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(2, 10.0)
    breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(1.0)
    assert breaker.allows(1.0)
    breaker.failed(2.0)
    assert breaker.is_open
    assert not breaker.allows(11.9)


def test_one_at_a_time_tries_an_open_one() -> None:
    breaker = Breaker(1, 10.0)
    breaker.failed(0.0)
    assert [breaker.allows(10.0), breaker.allows(10.0), breaker.allows(19.9)] == [True, False, False]
    breaker.failed(10.5)
    assert [breaker.allows(20.4), breaker.allows(20.5)] == [False, True]
    breaker.succeeded()
    assert breaker.allows(20.6)


def test_an_answer_is_fresh_for_a_while_and_the_last_for_ever() -> None:
    cache = DecisionCache()
    assert cache.fresh(Moment.PUBLISH, VISIT, 0.0) is None
    cache.put(Moment.PUBLISH, VISIT, NO, 10.0)
    assert cache.fresh(Moment.PUBLISH, VISIT, 9.9) is NO
    assert cache.fresh(Moment.PUBLISH, VISIT, 10.0) is None
    assert cache.last(Moment.PUBLISH, VISIT) is NO
    cache.put(Moment.PUBLISH, VISIT, YES, 20.0)
    assert cache.last(Moment.PUBLISH, VISIT) is YES
    assert len(cache) == 1


def test_connections_and_sessions_make_no_other_question() -> None:
    cache = DecisionCache()
    cache.put(Moment.PUBLISH, VISIT, YES, 10.0)
    assert (
        cache.fresh(Moment.PUBLISH, replace(VISIT, origin=replace(WHO, connection=9, session=1)), 0.0) is YES
    )


@pytest.mark.parametrize(
    "other",
    [
        {"name": "other"},
        {"app": "other"},
        {"query": "key=wrong"},
        {"origin": replace(WHO, address="192.0.2.2")},
        {"origin": replace(WHO, account="mia")},
        {"origin": replace(WHO, identity="key:1")},
        {"origin": replace(WHO, tls=True)},
        {"page_url": "http://other"},
        {"connect_query": "token=wrong"},
        {"name": "sho", "query": "wkey=secret"},
    ],
)
def test_all_else_does(other: dict[str, object]) -> None:
    cache = DecisionCache()
    cache.put(Moment.PUBLISH, VISIT, YES, 10.0)
    assert cache.fresh(Moment.PUBLISH, replace(VISIT, **other), 0.0) is None
    assert cache.fresh(Moment.PLAY, VISIT, 0.0) is None


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_cache, "MAX_ALLOWED", 2)
    cache = DecisionCache()
    for name in "abc":
        cache.put(Moment.PUBLISH, replace(VISIT, name=name), YES, 10.0)
    assert [cache.last(Moment.PUBLISH, replace(VISIT, name=name)) for name in "abc"] == [None, YES, YES]
    cache.put(Moment.PUBLISH, replace(VISIT, name="c"), Verdict(allow=True, push=("x" * 3000,)), 10.0)
    assert cache.last(Moment.PUBLISH, replace(VISIT, name="c")) is None


def test_what_strangers_ask_pushes_out_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither refusals, however many, nor yeses to whoever plays."""
    monkeypatch.setattr(decision_cache, "MAX_ALLOWED", 2)
    monkeypatch.setattr(decision_cache, "MAX_REFUSED", 2)
    cache = DecisionCache()
    cache.put(Moment.PUBLISH, VISIT, YES, 10.0)
    for number in range(3):
        stranger = replace(VISIT, query=f"key={number}")
        cache.put(Moment.PUBLISH, stranger, NO, 10.0)
        cache.put(Moment.PLAY, stranger, YES, 10.0)
    assert cache.last(Moment.PUBLISH, VISIT) is YES
    assert len(cache) == 5
    assert cache.last(Moment.PUBLISH, replace(VISIT, query="key=0")) is None


def test_no_secret_is_kept() -> None:
    cache = DecisionCache()
    cache.put(Moment.PUBLISH, VISIT, YES, 10.0)
    (kept,) = cache._answers.values()
    assert b"secret" not in b"".join(kept)
