"""What can be asked of events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control, Following
from rtmpd.control.event_answers import Event, EventQuery
from rtmpd.reasons import Problem
from rtmpd.web.event_stream import beat, frame
from rtmpd.web.operations import Asked, Frames, Operation


async def _follow(control: Control, asked: Asked) -> Frames:
    query = asked.query_as(EventQuery)
    after = asked.last_event_id or query.after or ""
    following = await control.events.follow(query, after, asked.actor)
    return Frames(_frames(following), lambda: beat(following.place), following.close)


async def _frames(following: Following) -> AsyncIterator[bytes]:
    while notices := await following.take():
        yield b"".join([frame(each.json, place=each.id, name=each.name) for each in notices])


OPERATIONS: Final = (
    Operation(
        "followEvents",
        "GET",
        "/events",
        Role.READ,
        "What happens, as it happens: the data of each server-sent event is such an object",
        None,
        Event,
        follow=_follow,
        query=EventQuery,
        problems=(Problem.TOO_MANY_FOLLOWERS,),
    ),
)
