from __future__ import annotations

import pytest

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.congestion import Congestion
from rtmpd.engine.sink import SlowPlayerPolicy

POLICY = SlowPlayerPolicy(
    max_backlog_bytes=1000, max_backlog_seconds=10.0, resume_backlog_bytes=100, disconnect_after=30.0
)


@pytest.fixture
def budget() -> MemoryBudget:
    return MemoryBudget(1 << 40, lambda: None)


@pytest.fixture
def congestion(budget: MemoryBudget) -> Congestion:
    return Congestion(POLICY, budget, backlog=200, now=0.0)


def test_within_the_bound_there_is_room(congestion: Congestion) -> None:
    assert (congestion.room, congestion.strained, congestion.past) == (800, False, False)
    congestion.measure(1.0, 600)
    assert (congestion.room, congestion.strained, congestion.past) == (400, True, False)
    congestion.measure(1.0, 1001)
    assert congestion.past


def test_the_age_is_that_of_the_oldest_unsent_byte(congestion: Congestion) -> None:
    congestion.wrote(4.0, 100)
    congestion.wrote(8.0, 100)
    # The first 200 are gone, then 50 of those written at 4 s: the age counts from 4 s.
    congestion.measure(14.0, 150)
    assert not congestion.past
    congestion.measure(14.1, 150)
    assert congestion.past
    congestion.measure(14.2, 100)
    assert not congestion.past


def test_many_small_writes_are_remembered_as_few(congestion: Congestion) -> None:
    for step in range(10_000):
        congestion.wrote(step * 0.001, 1)
    assert len(congestion._reached) < 110


def test_being_behind_ends_only_at_the_low_mark(congestion: Congestion) -> None:
    congestion.measure(5.0, 1200)
    congestion.measure(6.0, 800)
    assert (congestion.past, congestion.may_resume) == (False, False)
    assert not congestion.overdue(34.9)
    assert congestion.overdue(35.0)
    congestion.measure(7.0, 100)
    assert congestion.may_resume
    assert not congestion.overdue(100.0)


def test_the_budget_is_charged_with_the_backlog(congestion: Congestion, budget: MemoryBudget) -> None:
    assert budget.backlog_bytes == 200
    congestion.measure(1.0, 700)
    assert budget.backlog_bytes == 700
    congestion.end()
    assert budget.used == 0
