"""Who watched how much, as it is told: days, sums, parts, and to whom."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from control_kit import Desk, FakeStored

from rtmpd.control.actor import Actor
from rtmpd.control.report_answers import UsageQuery
from rtmpd.exceptions import Conflict, NotPossible, StateUnusable
from rtmpd.state.report import DayUsage, UsagePart
from rtmpd.state.words import StateFailure

ANN = Actor(name="ann")
MONDAY = date(2026, 11, 23)
TODAY = date(2027, 1, 15)
"""On the desk's clock."""


def day(name: str, peak: int, hours: float, live: float, later: int = 0, app: str = "live") -> DayUsage:
    app = app if name else ""
    when = MONDAY + timedelta(days=later)
    return DayUsage(when, app, name, peak, hours * 3600, live * 3600, 1000, 2000)


ROWS = [
    day("", 12, 20.0, 4.0),
    day("a", 8, 12.0, 4.0),
    day("b", 7, 8.0, 3.0),
    day("", 5, 4.0, 4.0, later=1),
    day("a", 5, 4.0, 4.0, later=1),
]


async def test_days_and_streams_are_told_with_their_sums() -> None:
    desk = Desk(stored=FakeStored(days=ROWS))
    page = await desk.control.reports.usage(UsageQuery(first_day=MONDAY, last_day=MONDAY), ANN)
    assert [(each.day.day, f"{each.app}/{each.name}") for each in page.items] == [
        (23, "live/a"),
        (23, "live/b"),
        (24, "live/a"),
    ]
    first = page.items[0]
    assert (first.peak_players, first.average_players, first.player_minutes) == (8, 3.0, 720.0)
    assert (first.publish_minutes, first.bytes_in, first.bytes_out) == (240.0, 1000, 2000)
    total = page.totals
    # 12 at a time in the whole server; of streams no more than 8. 24 hours were watched in 8 on air.
    assert (total.peak_players, total.average_players, total.player_minutes) == (12, 3.0, 24 * 60.0)
    assert (total.publish_minutes, total.bytes_in, total.bytes_out) == (11 * 60.0, 3000, 6000)
    assert (page.total, page.next, page.first_day, page.last_day) == (3, None, MONDAY, MONDAY)
    assert page.time_zone


async def test_a_part_of_the_list_has_the_sums_of_all() -> None:
    desk = Desk(stored=FakeStored(days=ROWS))
    page = await desk.control.reports.usage(UsageQuery(limit=2), ANN)
    rest = await desk.control.reports.usage(UsageQuery(limit=2, after=page.next), ANN)
    assert [each.name for each in (*page.items, *rest.items)] == ["a", "b", "a"]
    assert (page.totals, rest.next) == (rest.totals, None)


@pytest.mark.parametrize(
    ("query", "by", "names", "peak"),
    [
        (UsageQuery(stream="live/b"), ANN, ["b"], 7),
        (UsageQuery(app="live"), ANN, ["a", "b", "a"], 8),
        (UsageQuery(app="other"), ANN, [], 0),
        (UsageQuery(), Actor(name="ben", streams=("live/b",)), ["b"], 7),
        (UsageQuery(stream="live/a"), Actor(name="ben", streams=("live/b",)), [], 0),
    ],
)
async def test_who_asks_for_some_streams_or_sees_some_is_told_of_those(
    query: UsageQuery, by: Actor, names: list[str], peak: int
) -> None:
    page = await Desk(stored=FakeStored(days=ROWS)).control.reports.usage(query, by)
    assert [each.name for each in page.items] == names
    assert (page.totals.peak_players, page.totals.bytes_in) == (peak, 1000 * len(names))


@pytest.mark.parametrize(
    ("query", "days"),
    [
        (UsageQuery(), (TODAY - timedelta(days=6), TODAY)),
        (UsageQuery(last_day=MONDAY), (MONDAY - timedelta(days=6), MONDAY)),
        (UsageQuery(first_day=MONDAY), (MONDAY, TODAY)),
        (UsageQuery(first_day=date(2027, 2, 1)), (date(2027, 2, 1), date(2027, 2, 1))),
    ],
)
async def test_a_week_is_told_of_until_today_if_nothing_else_is_said(
    query: UsageQuery, days: tuple[date, date]
) -> None:
    desk = Desk(stored=FakeStored(days=[]), clock=lambda: 0.0)
    page = await desk.control.reports.usage(query, ANN)
    assert desk.stored.asked == [days]
    assert (page.first_day, page.last_day, page.items, page.totals.average_players) == (*days, (), 0.0)


@pytest.mark.parametrize(
    "query",
    [
        UsageQuery(first_day=MONDAY, last_day=MONDAY - timedelta(days=1)),
        UsageQuery(first_day=date.min, last_day=MONDAY),
        UsageQuery(last_day=date.min),
        UsageQuery(last_day=date.max),
    ],
)
async def test_days_that_are_none_are_refused(query: UsageQuery) -> None:
    with pytest.raises(NotPossible, match="days"):
        await Desk(stored=FakeStored(days=[])).control.reports.usage(query, ANN)


class BrokenStored(FakeStored):
    """A file that nobody can read."""

    async def usage(self, *_asked: object) -> UsagePart:
        raise StateUnusable(StateFailure.CORRUPT, "it is damaged: move it away")


async def test_where_nothing_is_stored_nothing_is_made_up() -> None:
    with pytest.raises(Conflict, match=r"name one in state\.dir"):
        await Desk().control.reports.usage(UsageQuery(), ANN)
    with pytest.raises(Conflict, match="it is damaged"):
        await Desk(stored=BrokenStored()).control.reports.usage(UsageQuery(), ANN)
