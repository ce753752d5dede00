"""Every connection is in the table of sessions from its first byte to its end, and is ended by its number.

Somebody at the controls is a throw-away user: takes a number out of the log, and throws its owner out.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from engine_kit import keyframe
from net_kit import HEADERS, Client, Doorman, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.rtmp.limits import Limits
from rtmpd.serving.access import Action
from rtmpd.serving.requests import Requests
from rtmpd.serving.server import ConnectionLimits

ADMIN = Origin(protocol="http", address="192.0.2.7", account="ann")


def fields(caplog: pytest.LogCaptureFixture, message: str) -> dict[str, Any]:
    """Of the only line of that message."""
    (record,) = [record for record in caplog.records if record.msg == message]
    return record.__dict__["fields"]


def kick(house: House, session: str) -> None:
    """Throw out whoever has that number in the log."""
    handle = house.registry.sessions.find(uuid.UUID(session).int)
    assert handle is not None
    handle.dismiss(CloseReason.KICKED, by=ADMIN)


async def test_a_publisher_is_found_by_the_number_in_the_log_and_kicked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "rtmpd")
    async with serve() as house:
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        publication = house.stream().publication
        assert publication is not None
        kick(house, fields(caplog, "publish started")["session"])
        assert await encoder.rest() == ["1: onStatus 0 error NetStream.Publish.Failed"]
        assert publication.ending == Ending(CloseReason.KICKED, ADMIN)
        assert house.stats.publishes_ended == {"kicked": 1}
        assert (await player.until("1: onStatus 0 status NetStream.Play.UnpublishNotify")) != []
        await encoder.close()
        await eventually(lambda: len(house.registry.sessions) == 1)
    ended = fields(caplog, "publish ended")
    assert (ended["reason"], ended["by"]) == ("kicked", "ann")


async def test_a_player_is_kicked_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "rtmpd")
    async with serve() as house:
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        session = fields(caplog, "play started")["session"]
        other = await (await house.client()).play()
        kick(house, session)
        assert await player.rest() == ["1: onStatus 0 error NetStream.Play.Failed"]
        assert house.stats.players_closed == {"kicked": 1}
        await eventually(lambda: house.stream().players == 1)
        encoder.send(*HEADERS, (0, keyframe("A")))
        await other.until("1: A@0")
        await player.close()
        await eventually(lambda: len(house.connections) == 2)
        for message in ("play ended", "closed"):
            ended = fields(caplog, message)
            assert (ended["reason"], ended["by"]) == ("kicked", "ann")


async def test_all_that_a_connection_does_is_told_and_ends_once() -> None:
    async with serve() as house:
        client = await (await house.client()).publish("one")
        await client.play("one", on=2)
        client.say(command("createStream", 4), command("publish", 5, "three", on=3))
        await client.until("3: onStatus 0 status NetStream.Publish.Start")
        (handle,) = house.registry.sessions
        handle.dismiss(CloseReason.KICKED, ADMIN)
        handle.dismiss(CloseReason.KICKED, ADMIN)
        assert await client.rest() == [
            "2: onStatus 0 error NetStream.Play.Failed",
            "1: onStatus 0 error NetStream.Publish.Failed",
            "3: onStatus 0 error NetStream.Publish.Failed",
        ]
        assert (house.stats.publishes_ended, house.stats.players_closed) == ({"kicked": 2}, {"kicked": 1})


async def nothing(_client: Client) -> None:
    """Not even a handshake."""


async def shaken_hands(client: Client) -> None:
    await client.handshake()


async def connecting(client: Client) -> None:
    """It waits for the answer to its connect."""
    (await client.handshake()).say(connect("waiting"))


async def playing(client: Client) -> None:
    await (await client.handshake()).play()


STAGES = (nothing, shaken_hands, connecting, playing)
Stage = Callable[[Client], Awaitable[None]]


async def kicked(house: House, _client: Client) -> None:
    for handle in house.registry.sessions:
        handle.dismiss(CloseReason.KICKED, ADMIN)


async def gone(_house: House, client: Client) -> None:
    await client.close()


async def reset(_house: House, client: Client) -> None:
    client.reset()


async def aborted(house: House, _client: Client) -> None:
    for connection in house.connections:
        connection.abort(CloseReason.MEMORY)


async def outlawed(house: House, client: Client) -> None:
    """It breaks the protocol; what is not listened to yet breaks off in the handshake."""
    client.writer.write(bytes([9]) * 100_000)
    client.writer.write_eof()


@pytest.mark.parametrize("end", [kicked, gone, reset, aborted, outlawed])
@pytest.mark.parametrize("stage", STAGES)
async def test_who_is_there_is_in_the_table_and_who_is_gone_is_not(
    stage: Stage, end: Callable[[House, Client], Awaitable[None]]
) -> None:
    doorman = Doorman({Action.CONNECT} if stage is connecting else ())
    async with serve(authorizer=doorman) as house:
        client = await house.dial()
        await stage(client)
        if stage is connecting:
            await eventually(lambda: doorman.requests)
        await eventually(lambda: len(house.registry.sessions) == 1)
        (handle,) = house.registry.sessions
        session = handle.origin.session
        assert house.registry.sessions.find(session) is handle
        await end(house, client)
        await client.close()
        if doorman.requests and end in (gone, reset, outlawed):
            doorman.grant()  # Nothing is read meanwhile, so that who has left is found out about now.
        await eventually(lambda: not house.connections)
        assert (house.registry.sessions.find(session), len(house.registry.sessions)) == (None, 0)


async def test_an_end_that_fails_leaves_nothing_in_the_table(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("a bug")

    async with serve() as house:
        client = await (await house.client()).play()
        with monkeypatch.context() as patch:
            patch.setattr(Requests, "release", broken)
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
            await client.close()
            await eventually(lambda: not house.connections)
        assert len(house.registry.sessions) == 0
        # What the bug left behind is not what this is about.
        for subscription in list(house.stream().subscriptions):
            subscription.detach()


async def test_who_is_turned_away_is_not_in_the_table() -> None:
    async with serve(connections=ConnectionLimits(max_connections=1)) as house:
        await house.client()
        turned_away = await house.dial()
        await turned_away.closed()
        assert len(house.registry.sessions) == 1


async def test_a_deadline_takes_a_session_out_of_the_table() -> None:
    async with serve(limits=Limits(handshake_timeout=0.1)) as house:
        client = await house.dial()
        await eventually(lambda: len(house.registry.sessions) == 1)
        await client.closed()
        await client.close()
        await eventually(lambda: len(house.registry.sessions) == 0)
