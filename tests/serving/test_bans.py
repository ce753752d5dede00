"""Who is banned is turned away before a byte is said; who may be soon waits for the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from net_kit import eventually, serve
from rtmp_dialogue import connect

from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Grant

PAUSE = 0.1


@dataclass
class Bouncer:
    """A guard that bans whom a test names."""

    pause: float = 0.0
    banned: set[str] = field(default_factory=set)
    heard: list[tuple[Action, Refusal]] = field(default_factory=list)

    def turns_away(self, network: str) -> bool:
        return network in self.banned

    def remaining(self, network: str) -> float:
        return 41.5 if network in self.banned else 0.0

    def refused(self, request: AccessRequest, reason: Refusal) -> float:
        self.heard.append((request.action, reason))
        return self.pause


class NoKeyIsRight:
    """Refuses to publish; counts whom it was asked about."""

    def __init__(self) -> None:
        self.asked = 0

    def authorize(self, request: AccessRequest) -> Grant:
        self.asked += 1
        if request.action is Action.PUBLISH:
            raise Refused(StatusCode.PUBLISH_REJECTED, "Wrong.", Refusal.KEY_WRONG)
        return Grant(request.key)


async def test_who_is_banned_is_turned_away_at_the_door() -> None:
    async with serve(guard=Bouncer(banned={"127.0.0.1"})) as house:
        with pytest.raises((EOFError, ConnectionError, asyncio.IncompleteReadError)):
            await house.client()
        assert house.stats.refusals == {Refusal.BANNED: 1}
        assert house.stats.connections_total == 0


async def test_who_came_in_before_is_not_asked_about_any_more() -> None:
    bouncer, door = Bouncer(), NoKeyIsRight()
    async with serve(guard=bouncer, authorizer=door) as house:
        client = await house.client()
        client.say(connect())
        await client.until("_result 1 status NetConnection.Connect.Success")
        bouncer.banned.add("127.0.0.1")
        client.call("createStream", 2)
        client.call("publish", 0, "cam", "live", on=1)
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Rejected"
        assert (door.asked, house.stats.refusals) == (1, {Refusal.BANNED: 1})
        assert bouncer.heard == []


async def test_the_answer_to_a_failed_attempt_waits() -> None:
    bouncer = Bouncer(PAUSE)
    async with serve(guard=bouncer, authorizer=NoKeyIsRight()) as house:
        loop = asyncio.get_running_loop()
        client = await house.client()
        asked_at = loop.time()
        client.say(connect())
        client.call("createStream", 2)
        client.call("publish", 0, "cam", "live", on=1)
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Rejected"
        assert loop.time() - asked_at >= PAUSE * 0.9
        assert bouncer.heard == [(Action.PUBLISH, Refusal.KEY_WRONG)]
        assert house.stats.refusals == {Refusal.KEY_WRONG: 1}


async def test_who_leaves_meanwhile_leaves_nothing_behind() -> None:
    bouncer = Bouncer(pause=60.0)
    async with serve(guard=bouncer, authorizer=NoKeyIsRight()) as house:
        client = await house.client()
        client.say(connect())
        client.call("createStream", 2)
        client.call("publish", 0, "cam", "live", on=1)
        await eventually(lambda: bouncer.heard)
        client.reset()
    assert house.stats.refusals == {}
