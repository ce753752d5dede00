"""A connection that is over is freed at once: nothing of it waits for the cyclic collector."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest
from engine_kit import keyframe
from net_kit import HEADERS, PATIENCE, Client, Doorman, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.sink import CloseReason
from rtmpd.serving.access import AccessRequest, Action, Grant
from rtmpd.serving.connection import ServerConnection

Life = Callable[[Client], Awaitable[object]]
End = Callable[[Client, ServerConnection], object]


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def silence(client: Client) -> None:
    client.writer.write(b"\x03")


async def half_a_handshake(client: Client) -> None:
    client.writer.write(b"\x03" + bytes(100))


async def a_connect(client: Client) -> None:
    await client.handshake()
    client.say(connect())
    await client.until("_result 1 status NetConnection.Connect.Success")


async def a_publish(client: Client) -> None:
    await (await client.handshake()).publish("mine")
    client.send(*HEADERS, (0, keyframe("A")))


async def a_publish_cut_in_a_message(client: Client) -> None:
    await a_publish(client)
    client.writer.write(b"\x06\0\0\0\x0f\0\0\x09\1\0\0\0" + bytes(100_000))


async def a_play(client: Client) -> None:
    await (await client.handshake()).play("cam")
    await client.until("1: A@0")


async def a_wait(client: Client) -> None:
    await (await client.handshake()).play("nobody")


async def both(client: Client) -> None:
    await a_publish(client)
    await client.play("mine", on=2)
    await client.until("2: A@0")


async def a_refusal(client: Client) -> None:
    await client.handshake()
    client.say(connect(), command("createStream", 2), command("publish", 3, "cam", on=1))


LIVES = [
    silence, half_a_handshake, a_connect, a_publish, a_publish_cut_in_a_message, a_play, a_wait, both,
    a_refusal,
]  # fmt: skip
ENDS: dict[str, End] = {
    "close": lambda client, _: client.writer.close(),
    "half-close": lambda client, _: client.writer.write_eof(),
    "reset": lambda client, _: client.reset(),
    "garbage": lambda client, _: client.writer.write(b"\xff" * 5000),
    "kicked": lambda _, connection: connection.end(CloseReason.KICKED),
    "aborted": lambda _, connection: connection.abort(CloseReason.KICKED),
    "shutdown": lambda _, connection: connection.shutdown(),
}


async def is_freed(house: House, client: Client, before: set[ServerConnection], end: End) -> None:
    (connection,) = house.connections - before or {None}
    parts = []
    if connection is not None:
        parts = [weakref.ref(connection)]
        for part in (*connection.requests.players, *connection.requests.publishers):
            parts.append(weakref.ref(part))
        end(client, connection)
    del connection
    part = None
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionError):
            while await client.reader.read(1 << 16):
                pass
    await client.close()
    await eventually(lambda: house.connections == before)
    await eventually(lambda: [part for part in parts if part() is not None] == [])


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
async def test_everything_of_a_connection_is_freed(life: Life, end: End) -> None:
    async with serve() as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await eventually(lambda: house.stream().stats.keyframes)
        before = set(house.connections)
        client = await house.dial()
        await eventually(lambda: len(house.connections) == 2)
        await life(client)
        await is_freed(house, client, before, end)


class Undecided(Doorman):
    """Thinks for ever, and keeps nothing of what it is asked."""

    async def _ask(self, request: AccessRequest) -> Grant:
        await asyncio.sleep(3600)
        raise AssertionError(request)


@pytest.mark.parametrize("action", [Action.CONNECT, Action.PUBLISH, Action.PLAY])
async def test_a_connection_whose_request_nobody_answered_is_freed(action: Action) -> None:
    async with serve(authorizer=Undecided({action})) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2))
        if action is not Action.CONNECT:
            client.call(action, 3, "cam", on=1)
        await eventually(lambda: any(each.requests._answering for each in house.connections))
        await is_freed(house, client, set(), ENDS["aborted"])


async def test_a_play_that_ended_is_freed_while_its_connection_goes_on() -> None:
    async with serve() as house:
        client = await (await house.client()).play("one")
        (connection,) = house.connections
        player = weakref.ref(connection.requests.players[0])
        client.call("deleteStream", 0, 1)
        await eventually(lambda: player() is None)
        client.say(command("createStream", 3), command("publish", 4, "two", on=1))
        await client.until("1: onStatus 0 status NetStream.Publish.Start")
        publisher = weakref.ref(connection.requests.publishers[0])
        client.call("FCUnpublish", 6, "two")
        await eventually(lambda: publisher() is None)
