"""Who has changed what, as it is told to those in charge."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from control_kit import Desk, FakeStored

from rtmpd.control.actor import Actor
from rtmpd.control.change_answers import AuditQuery
from rtmpd.exceptions import Conflict, NotPossible
from rtmpd.state.report import Change

ANN = Actor(name="ann")
ROWS = [
    Change(
        3, 1.8e9, "one", "ann", "192.0.2.1", "http", "kick", "7", "spam", "done", None, None, "plays", None
    ),
    Change(
        2, 1.7e9, "one", "ben", "", "signal", "reload", "", "", "refused", "settings_refused", "a", None, None
    ),
    Change(
        1, 1.6e9, "two", "ann", "192.0.2.1", "http", "ban", "192.0.2.0/24", "", "done", None, None, None, "x"
    ),
]


async def test_changes_are_told_in_parts() -> None:
    desk = Desk(stored=FakeStored(changed=ROWS))
    page = await desk.control.changes.list(AuditQuery(limit=2), ANN)
    assert ([each.id for each in page.items], page.next, page.total) == (["3", "2"], "2", 3)
    first, second = page.items
    assert first.time == datetime.fromtimestamp(1.8e9, UTC)
    assert (first.by, first.address, first.protocol, first.change) == ("ann", "192.0.2.1", "http", "kick")
    assert (first.target, first.reason, first.result, first.before) == ("7", "spam", "done", "plays")
    assert (second.problem, second.detail, second.instance) == ("settings_refused", "a", "one")
    rest = await desk.control.changes.list(AuditQuery(limit=2, after=page.next), ANN)
    assert ([each.id for each in rest.items], rest.next) == (["1"], None)
    some = await desk.control.changes.list(AuditQuery(by="ann", change="ban"), ANN)
    assert ([each.target for each in some.items], some.total) == (["192.0.2.0/24"], 1)


@pytest.mark.parametrize("after", ["x", "-1", "9223372036854775808"])
async def test_a_place_in_the_list_is_one_that_was_told(after: str) -> None:
    with pytest.raises(NotPossible, match="send what next was"):
        await Desk(stored=FakeStored(changed=ROWS)).control.changes.list(AuditQuery(after=after), ANN)


async def test_it_is_for_those_who_have_to_do_with_the_whole_server() -> None:
    desk, scoped = Desk(stored=FakeStored(changed=ROWS)), Actor(name="ben", streams=("live",))
    with pytest.raises(NotPossible, match="the whole server"):
        await desk.control.changes.list(AuditQuery(), scoped)


async def test_where_nothing_is_stored_it_is_said_where_changes_are_seen() -> None:
    with pytest.raises(Conflict, match="among the events"):
        await Desk().control.changes.list(AuditQuery(), ANN)
