"""Two encoders, one name: who waits for the answer, who gets it, and what everybody hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from engine_kit import KEY, inter, keyframe
from net_kit import HEADERS, Client, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.claim import MAIN, REFUSE
from rtmpd.engine.handover import Handover, HandoverRules, OnDuplicate
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.rtmp.url import parse_query
from rtmpd.serving.access import AccessRequest, Action, Grant
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.takeover import MAX_CLAIMANTS, await_silence

BUSY = "1: onStatus 0 error NetStream.Publish.BadName"
START = "1: onStatus 0 status NetStream.Publish.Start"
IDLE = 0.3
"""Seconds until an encoder is idle."""


class Proofs:
    """Takes the query of a publish for a proof."""

    def authorize(self, request: AccessRequest) -> Grant:
        proof = parse_query(request.query).get("who", "") if request.action is Action.PUBLISH else ""
        return Grant(request.key, identity=proof)


class Appointing(Proofs):
    """Says of whoever is not ann that it is the backup."""

    def authorize(self, request: AccessRequest) -> Grant:
        grant = super().authorize(request)
        return replace(grant, backup=grant.identity not in ("", "ann"))


@asynccontextmanager
async def contested(
    on_duplicate: OnDuplicate = OnDuplicate.AUTO, takeover_idle: float = IDLE
) -> AsyncIterator[House]:
    rules = HandoverRules(on_duplicate, takeover_idle)
    async with serve(authorizer=Proofs(), claim_policy=Handover(lambda _key: rules)) as house:
        yield house


async def ask(house: House, who: str) -> Client:
    """Somebody who wants to publish ``cam``."""
    client = await house.client()
    client.say(connect(), command("createStream", 4), command("publish", 5, f"cam?who={who}", "live", on=1))
    return client


async def begin(house: House, who: str) -> Client:
    """Somebody who publishes ``cam`` and has sent a picture, with a player of it."""
    client = await ask(house, who)
    assert await client.answer() == START
    client.send(*HEADERS, (0, keyframe("A")))
    await eventually(lambda: house.stream().stats.keyframes == 1)
    return client


async def test_an_encoder_that_is_back_waits_until_the_old_one_is_idle_and_goes_on() -> None:
    async with contested() as house:
        old = await begin(house, "ann")
        player = await (await house.client()).play()
        await player.until("1: A@0")
        began = asyncio.get_running_loop().time()
        new = await ask(house, "ann")
        await eventually(lambda: house.stats.publishes_waiting == 1)
        assert await new.answer() == START
        assert asyncio.get_running_loop().time() - began > IDLE / 2
        assert (await old.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Failed"
        new.send(*HEADERS, (0, keyframe("B")))
        lines = [await player.hear()]
        assert lines[0].startswith("1: B@")
        assert house.stats.publishes_ended == {"superseded": 1}
        assert (house.stats.refusals, house.stats.publishes_waiting) == ({}, 0)


async def test_it_is_refused_as_soon_as_the_old_one_sends_something() -> None:
    async with contested(takeover_idle=60.0) as house:
        old = await begin(house, "ann")
        new = await ask(house, "ann")
        await eventually(lambda: house.stats.publishes_waiting == 1)
        old.send((40, keyframe("B")))
        assert await new.answer() == BUSY
        assert (house.stats.refusals, house.stats.publishes_waiting) == ({"stream_busy": 1}, 0)
        assert house.stats.publishers == 1


async def test_a_crowd_that_waits_looks_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        old.closed = len(pauses) > 1

    monkeypatch.setattr("rtmpd.serving.takeover.asyncio.sleep", sleep)
    for waiting, pause in ((0, 0.05), (49, 0.05), (499, 0.5), (9_999, 2.0)):
        old = SimpleNamespace(claimants=0, closed=False, stats=SimpleNamespace(last_media_at=1.0))
        registry = SimpleNamespace(contest=lambda *_, old=old: (old, 2.0))
        stats = SimpleNamespace(publishes_waiting=waiting)
        context = SimpleNamespace(registry=registry, stats=stats, clock=lambda: 1.0)
        await await_silence(cast("ServerContext", context), KEY, Origin(), REFUSE, MAIN)
        assert pauses.pop() == pytest.approx(pause, abs=0.002)
        pauses.clear()


async def test_it_has_the_name_as_soon_as_the_old_one_has_left() -> None:
    async with contested(takeover_idle=60.0) as house:
        old = await begin(house, "ann")
        new = await ask(house, "ann")
        await eventually(lambda: house.stats.publishes_waiting == 1)
        old.reset()
        assert await new.answer() == START
        assert house.stats.publishes_ended == {"connection_lost": 1}


@pytest.mark.parametrize("who", ["", "bob"])
async def test_a_stranger_never_gets_in(who: str) -> None:
    async with contested(takeover_idle=0.01) as house:
        await begin(house, "ann")
        await asyncio.sleep(0.05)
        assert await (await ask(house, who)).answer() == BUSY
        assert house.stats.publishes_waiting == 0


async def test_without_a_proof_the_first_keeps_the_name() -> None:
    async with contested(takeover_idle=0.01) as house:
        await begin(house, "")
        await asyncio.sleep(0.05)
        assert await (await ask(house, "")).answer() == BUSY


async def test_where_it_is_said_so_the_same_address_is_enough() -> None:
    async with contested(OnDuplicate.SAME_ADDRESS) as house:
        old = await begin(house, "")
        assert await (await ask(house, "")).answer() == START
        await old.closed()


async def test_where_it_is_said_so_nobody_waits() -> None:
    async with contested(OnDuplicate.TAKEOVER, takeover_idle=60.0) as house:
        old = await begin(house, "ann")
        assert await (await ask(house, "bob")).answer() == START
        await old.closed()
        assert await (await ask(house, "")).answer() == BUSY


async def test_of_two_that_wait_the_second_finds_a_name_that_was_just_taken() -> None:
    async with contested() as house:
        await begin(house, "ann")
        both = [await ask(house, "ann"), await ask(house, "ann")]
        assert sorted([await each.answer() for each in both]) == [BUSY, START]


async def test_so_many_wait_for_a_name_and_no_more() -> None:
    async with contested(takeover_idle=60.0) as house:
        old = await begin(house, "ann")
        waiting = [await ask(house, "ann") for _ in range(MAX_CLAIMANTS)]
        await eventually(lambda: house.stats.publishes_waiting == MAX_CLAIMANTS)
        assert await (await ask(house, "ann")).answer() == BUSY
        waiting.pop().reset()
        # Nothing is read of who waits, so its end is found out with the answer.
        old.send((40, keyframe("B")))
        assert [await each.answer() for each in waiting] == [BUSY] * len(waiting)
        await eventually(lambda: house.stats.publishes_waiting == 0)


async def test_the_end_of_the_server_ends_the_waiting() -> None:
    async with contested(takeover_idle=60.0) as house:
        await begin(house, "ann")
        new = await ask(house, "ann")
        await eventually(lambda: house.stats.publishes_waiting == 1)
    assert house.stats.publishes_waiting == 0
    await new.closed()


# -- grace


async def lines_until(client: Client, begin: str) -> list[str]:
    lines = [await client.hear()]
    while not lines[-1].startswith(begin):
        lines.append(await client.hear())
    return lines


async def test_players_stay_for_an_encoder_that_was_lost_and_are_sent_what_differs_of_its_headers() -> None:
    async with contested() as house:
        old = await begin(house, "ann")
        player = await (await house.client()).play()
        await player.until("1: A@0")
        for number in range(3):
            old.reset()
            await eventually(lambda: house.stats.held_streams == 1)
            old = await ask(house, "ann")
            assert await old.answer() == START
            old.send(*HEADERS, (0, keyframe(f"B{number}")))
            (line,) = await lines_until(player, f"1: B{number}@")
            assert int(line.partition("@")[2]) > 0
        assert house.stats.holds_ended == {"resumed": 3}


async def test_a_stranger_begins_another_stream() -> None:
    async with contested() as house:
        old = await begin(house, "ann")
        player = await (await house.client()).play()
        await player.until("1: A@0")
        old.reset()
        await eventually(lambda: house.stats.held_streams == 1)
        new = await ask(house, "bob")
        assert await new.answer() == START
        new.send(*HEADERS, (0, keyframe("B")))
        lines = await player.until("1: B@0")
        assert [line for line in lines if "Notify" in line or line.startswith("Stream")] == [
            "StreamEof 1",
            "1: onStatus 0 status NetStream.Play.UnpublishNotify",
            "StreamBegin 1",
            "1: onStatus 0 status NetStream.Play.PublishNotify",
        ]


@pytest.mark.parametrize("end", ["unpublish", "kick"])
async def test_an_end_that_somebody_wanted_is_one_at_once(end: str) -> None:
    async with contested() as house:
        old = await begin(house, "ann")
        player = await (await house.client()).play()
        await player.until("1: A@0")
        if end == "kick":
            for session in house.connections:
                if session.publishes:
                    session.dismiss(CloseReason.KICKED)
        else:
            old.call("FCUnpublish", 6, "cam?who=ann")
        await player.until("1: onStatus 0 status NetStream.Play.UnpublishNotify")
        assert house.stats.held_streams == 0


# -- a backup


async def test_a_backup_stands_by_and_goes_on() -> None:
    engine = EngineLimits(backup_after=0.2, handback=0.2)
    rules = HandoverRules()
    policy = Handover(lambda _key: rules)
    async with serve(authorizer=Proofs(), claim_policy=policy, engine=engine) as house:
        main = await begin(house, "ann")
        backup = await ask(house, "ann&backup=1")
        assert await backup.answer() == START
        backup.send(*HEADERS, (5000, keyframe("B0")))
        assert await (await ask(house, "bob&backup=1")).answer() == BUSY
        player = await (await house.client()).play()
        await player.until("1: A@0")
        await asyncio.sleep(0.25)
        backup.send((5250, inter("B1")))
        lines = [await player.hear(), await player.hear()]
        names = [line.partition("@")[0] for line in lines]
        assert names == ["1: B0", "1: B1"]
        times = [int(line.partition("@")[2]) for line in lines]
        assert 0 < times[0] < times[1] < 2000
        assert times[1] > 200
        assert house.stats.switches == {"backup": 1}
        for number in range(12):
            main.send((40 * number, keyframe(f"A{number}")))
            await asyncio.sleep(0.03)
        (line,) = await lines_until(player, "1: A")
        assert int(line.partition("@")[2]) > times[1]
        assert house.stats.switches == {"backup": 1, "main": 1}


async def test_a_key_may_say_which_encoder_it_is() -> None:
    async with serve(authorizer=Appointing(), claim_policy=Handover(lambda _key: HandoverRules())) as house:
        await begin(house, "ann")
        assert await (await ask(house, "bob")).answer() == START
        assert [each.place.source for each in house.stream().publications] == ["main", "backup"]
