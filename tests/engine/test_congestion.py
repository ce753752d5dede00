from __future__ import annotations

import pytest

from rtmpd.engine.congestion import Congestion
from rtmpd.engine.sink import SlowPlayerPolicy

POLICY = SlowPlayerPolicy(
    max_backlog_bytes=1000, max_backlog_seconds=10.0, resume_backlog_bytes=100, disconnect_after=30.0
)


@pytest.fixture
def congestion() -> Congestion:
    return Congestion(POLICY, backlog=200, now=0.0)


def test_within_the_bound_there_is_room(congestion: Congestion) -> None:
    assert (congestion.room, congestion.strained, congestion.past) == (800, False, False)
    assert (congestion.takes(800), congestion.takes(801)) == (True, False)
    congestion.measure(1.0, 600)
    assert (congestion.room, congestion.strained, congestion.past) == (400, True, False)
    assert not congestion.takes(1)
    congestion.measure(1.0, 1001)
    assert congestion.past


def test_the_age_is_that_of_the_oldest_unsent_byte(congestion: Congestion) -> None:
    congestion.wrote(4.0, 100, 0)
    congestion.wrote(8.0, 100, 0)
    # The first 200 are gone, then 50 of those written at 4 s: the age counts from 4 s.
    congestion.measure(14.0, 150)
    assert not congestion.past
    congestion.measure(14.1, 150)
    assert congestion.past
    congestion.measure(14.2, 100)
    assert not congestion.past


def test_many_small_writes_are_remembered_as_few(congestion: Congestion) -> None:
    for step in range(10_000):
        congestion.wrote(step * 0.001, 1, 0)
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


def test_being_behind_began_when_the_oldest_byte_became_too_old_and_not_when_somebody_looked(
    congestion: Congestion,
) -> None:
    congestion.measure(39.9, 200)
    assert congestion.behind_since == pytest.approx(10.0)
    assert not congestion.overdue(39.9)
    assert congestion.overdue(40.0)


def test_the_bound_begins_behind_a_burst_that_we_owed() -> None:
    congestion = Congestion(POLICY, backlog=5000, now=0.0, owed=4900)
    assert (congestion.room, congestion.strained, congestion.past) == (900, False, False)
    congestion.wrote(1.0, 400, 0)
    congestion.measure(1.0, 5300)
    assert (congestion.room, congestion.past) == (600, False)
    # It reads: first what waited before the burst, then the burst, then what came after.
    congestion.measure(2.0, 5200)
    assert congestion.room == 600
    congestion.measure(9.0, 1000)
    assert (congestion.room, congestion.past) == (600, False)
    congestion.measure(9.5, 300)
    assert (congestion.room, congestion.past) == (700, False)


def test_a_burst_that_nobody_reads_is_no_excuse_for_what_comes_after_it() -> None:
    congestion = Congestion(POLICY, backlog=5000, now=0.0, owed=5000)
    congestion.measure(100.0, 5000)
    assert not congestion.past
    congestion.wrote(100.0, 50, 0)
    congestion.measure(110.0, 5050)
    assert not congestion.past
    congestion.measure(110.1, 5050)
    assert congestion.past


def test_private_bytes_are_counted_until_they_are_sent(congestion: Congestion) -> None:
    congestion.wrote(1.0, 100, 40)
    congestion.wrote(2.0, 100, 0)
    congestion.wrote(3.0, 100, 5)
    assert congestion.private_bytes == 45
    congestion.measure(4.0, 150)
    assert congestion.private_bytes == 5
    congestion.measure(4.0, 0)
    assert congestion.private_bytes == 0
