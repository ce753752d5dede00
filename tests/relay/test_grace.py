"""An encoder or an origin is lost: what relays, and whoever is behind them, notice of it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest
from client_kit import accept, scripted_server
from relay_kit import (
    AVC_HEADER,
    KEY,
    Server,
    crashing,
    eventually,
    keyframe,
    logged,
    publishing,
    rule,
    serve,
    watching,
)

from rtmpd.engine.sources import Life


def held(server: Server) -> bool:
    return KEY in server.registry.streams and server.stream.life is Life.HOLDING


async def test_a_push_keeps_its_connection_while_its_encoder_is_away() -> None:
    async with serve("b") as b, serve("a", push=[b.url()], grace=5.0) as a, watching(b) as viewer:
        async with crashing(a):
            await eventually(viewer.has(keyframe(b"K0")))
        await eventually(lambda: held(a))
        there = b.stream.publication
        assert a.push_is("live")()
        async with crashing(a, b"K1"):
            await eventually(viewer.has(keyframe(b"K1")))
            assert b.stream.publication is there
            assert viewer.payloads.count(AVC_HEADER) == 1
            times = [message.timestamp for message in viewer.messages]
            assert times == sorted(times)
            assert a.pushes().retries == 0
        await eventually(lambda: held(a))
        assert a.registry.end_hold(KEY)
        await eventually(lambda: not b.live)
        assert b.context.stats.publishes_ended == {"finished": 1}


@pytest.mark.parametrize("watched", [True, False])
async def test_a_server_that_does_not_wait_with_us_is_no_failure(
    watched: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        scripted_server(accept) as remote,
        serve("a", push=[f"{remote.url}/x"], grace=5.0) as a,
        AsyncExitStack() as stack,
    ):
        if watched:
            await stack.enter_async_context(watching(a))
        async with crashing(a):
            await eventually(a.push_is("live"))
        await eventually(lambda: held(a))
        (await remote.peer()).transport.abort()
        await eventually(lambda: a.push.statuses() == [])
        assert held(a) is watched
        assert "push failed" not in logged(caplog)
        assert "push waits for its encoder" in logged(caplog)
        async with crashing(a, b"K1"):
            await eventually(a.push_is("live"))
            assert a.pushes().retries == 0


async def test_the_players_of_an_origin_that_was_lost_wait_for_it_and_are_not_told_meanwhile() -> None:
    async with serve("b") as b, publishing(b):
        port = b.port
        async with serve("a", pull=rule(b.url(), timeout=0.3), grace=5.0) as a, watching(a) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            b.listener.close()
            for connection in list(b.rtmp._connections.values()):
                if connection.requests.players:
                    connection.transport.abort()
            await eventually(lambda: held(a))
            await asyncio.sleep(0.5)
            assert (held(a), viewer.over) == (True, False)
            async with serve("b", port=port) as again, publishing(again) as encoder:
                await eventually(a.pull_is("live"))
                await encoder.send_video(keyframe(b"K1"), 40)
                await eventually(viewer.has(keyframe(b"K1")))
                assert not viewer.over
                assert a.context.stats.holds_ended == {"resumed": 1}


async def test_an_origin_that_ends_the_stream_in_order_ends_it_here_too() -> None:
    async with serve("b") as b, serve("a", pull=rule(b.url()), grace=60.0) as a, watching(a) as viewer:
        async with publishing(b):
            await eventually(viewer.has(keyframe(b"K0")))
        await eventually(lambda: not a.live)
        assert not held(a)


async def test_an_origin_that_keeps_its_players_is_waited_for() -> None:
    patient = 0.5
    async with (
        serve("b", grace=5.0) as b,
        serve("a", pull=rule(b.url(), timeout=patient, grace=5.0)) as a,
        AsyncExitStack() as stack,
    ):
        async with crashing(b):
            viewer = await stack.enter_async_context(watching(a))
            await eventually(viewer.has(keyframe(b"K0")))
        await eventually(lambda: held(b))
        await asyncio.sleep(patient + 0.2)
        assert a.live
        async with crashing(b, b"K1"):
            await eventually(viewer.has(keyframe(b"K1")))
        assert a.pulls().retries == 0


async def test_a_pull_does_not_take_the_name_of_an_encoder_that_may_be_back() -> None:
    async with (
        serve("b") as b,
        publishing(b),
        serve("a", pull=rule(b.url()), grace=5.0) as a,
        AsyncExitStack() as stack,
    ):
        async with crashing(a, b"A0"):
            viewer = await stack.enter_async_context(watching(a))
            await eventually(viewer.has(keyframe(b"A0")))
        await eventually(lambda: held(a))
        await asyncio.sleep(0.1)
        assert (a.pull.statuses(), held(a)) == ([], True)
        assert a.registry.end_hold(KEY)
        await eventually(a.pull_is("live"))
