"""Following events: from where, which, and what becomes of who is slow."""

from __future__ import annotations

import asyncio
import json

import pytest
from control_kit import Desk
from events_kit import NOON, made

from rtmpd.control.actor import Actor
from rtmpd.control.control import Following, Notice
from rtmpd.control.event_answers import Event, EventQuery
from rtmpd.control.local_figures import LocalFigures
from rtmpd.engine.key import StreamKey
from rtmpd.events.model import NO_STREAM, EventKind
from rtmpd.events.wording import Mood

ALL = Actor()
SHOW = StreamKey("live", "show")


async def follow(desk: Desk, after: str = "", by: Actor = ALL, **query: str) -> Following:
    return await desk.control.events.follow(EventQuery.model_validate(query), after, by)


async def taken(following: Following) -> list[Notice]:
    """What can be taken at once."""
    try:
        async with asyncio.timeout(0.01):
            return list(await following.take())
    except TimeoutError:
        return []


def names(notices: list[Notice]) -> list[str]:
    return [json.loads(each.json)["name"] for each in notices]


def happen(desk: Desk, *names: str) -> None:
    for name in names:
        desk.ring.hear(made(EventKind.PUBLISHED, StreamKey("live", name)))


async def test_who_follows_is_told_what_happens_and_where_to_go_on() -> None:
    desk = Desk()
    happen(desk, "a")
    following = await follow(desk)
    assert await taken(following) == []
    assert following.place == "5f0c1e-1"
    happen(desk, "b", "c")
    told = await taken(following)
    assert (names(told), [each.id for each in told]) == (["b", "c"], ["5f0c1e-2", "5f0c1e-3"])
    assert Event.model_validate_json(told[0].json).session == "018bcfe5-6800-7000-8000-000000000001"
    following.close()
    happen(desk, "d")
    assert await taken(following) == []
    again = await follow(desk, "5f0c1e-2")
    assert names(await taken(again)) == ["c", "d"]
    assert names(await taken(await follow(desk, "0"))) == ["a", "b", "c", "d"]
    assert await taken(await follow(desk, "5f0c1e-4")) == []


@pytest.mark.parametrize(
    ("after", "reason", "number"),
    [
        ("5f0c1e-1", "gone", 2),
        ("5f0c1e-9", "other_start", None),
        ("0badcafe-3", "other_start", None),
        ("3", "unknown", None),
        ("5f0c1e-x", "unknown", None),
    ],
)
async def test_what_is_missed_is_said_first(after: str, reason: str, number: int | None) -> None:
    desk = Desk()
    happen(desk, *"abcdefgh")  # Five are kept, from the fourth on.
    first, *rest = await taken(await follow(desk, after))
    assert (first.name, first.id) == ("missed", "5f0c1e-3")
    told = json.loads(first.json)
    assert told == {"reason": reason, "number": number, "since": "2023-11-14T22:13:20Z"}
    assert names(rest) == ["d", "e", "f", "g", "h"]
    assert NOON == 1_700_000_000.0


async def test_nothing_is_missed_that_was_seen() -> None:
    desk = Desk()
    happen(desk, *"abcdefgh")
    assert names(await taken(await follow(desk, "5f0c1e-3"))) == ["d", "e", "f", "g", "h"]


async def test_what_is_told_can_be_chosen() -> None:
    desk = Desk()
    desk.ring.hear(made(EventKind.PUBLISHED, SHOW))
    desk.ring.hear(made(EventKind.HELD, StreamKey("live", "cam"), reason="silent", by=None))
    facts = dict.fromkeys(("target", "result", "reason", "before", "after", "problem", "detail"))
    desk.ring.hear(made(EventKind.AUDIT, NO_STREAM, change="drain", **facts))
    desk.ring.hear(made(EventKind.AUDIT, StreamKey("live", "cam"), change="end", **facts))
    for query, by, wanted in (
        ({"kinds": "held,audit"}, ALL, ["held", "audit", "audit"]),
        ({"app": "live"}, ALL, ["published", "held", "audit"]),
        ({"stream": "live/show"}, ALL, ["published"]),
        ({}, ALL, ["published", "held", "audit", "audit"]),
        # Who is in charge, and from where, is not for who has to do with some streams only.
        ({}, Actor(streams=("live/cam",)), ["held"]),
        ({"app": "other"}, ALL, []),
    ):
        told = await taken(await follow(desk, "0", by, **query))
        assert [json.loads(each.json)["event"] for each in told] == wanted, query
    with pytest.raises(ValueError, match="there is no such event"):
        EventQuery(kinds="held,nothing")


async def test_an_event_is_told_in_words_too() -> None:
    desk = Desk()
    desk.ring.hear(made(EventKind.HELD, SHOW, reason="connection_lost", by=None))
    told = Event.model_validate_json((await taken(await follow(desk, "0")))[0].json)
    assert (told.title, told.mood) == ("live/show is interrupted", Mood.BAD)
    assert told.text == "Reason: connection_lost. Its players wait for the encoder to come back."


async def test_events_are_kept_from_the_first_look_at_figures_on() -> None:
    asked: list[str] = []
    desk = Desk()
    figures = LocalFigures(
        desk.control.server, desk.control.streams, desk.wall_clock, looked_at=lambda: asked.append("ring")
    )
    following = figures.follow(ALL)
    await anext(following)
    assert asked == ["ring"]
    await following.aclose()


async def test_an_event_is_written_once_for_all_who_follow() -> None:
    desk = Desk()
    first, second = await follow(desk), await follow(desk)
    happen(desk, "a")
    assert (await taken(first))[0].json is (await taken(second))[0].json


async def test_who_is_far_behind_is_cut_off() -> None:
    desk = Desk()
    slow, fast = await follow(desk), await follow(desk, stream="live/show")
    happen(desk, *["a"] * 1000)
    assert not slow.cut_off
    happen(desk, "b")
    assert (slow.cut_off, await slow.take()) == (True, [])
    happen(desk, "show")
    assert names(await taken(fast)) == ["show"]


async def test_what_is_kept_is_charged_and_goes_when_memory_is_short() -> None:
    desk = Desk()
    budget = desk.registry.budget
    happen(desk, *"abc")
    assert budget.queue_bytes > 3 * 2048
    desk.ring.apply(1)
    assert len(desk.ring) == 1
    budget.ceiling_bytes = 1
    happen(desk, "d")
    assert (len(desk.ring), budget.queue_bytes, desk.ring.last) == (0, 0, 4)
