"""A relay is asked by its server to connect anew."""

from __future__ import annotations

import asyncio
import logging

import pytest
from relay_kit import eventually, keyframe, publishing, rule, serve, watching

from rtmpd.relay.moving import MAX_MOVES


async def test_a_pull_connects_anew_before_it_leaves_and_its_players_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rtmpd")
    async with serve("origin") as a, serve("edge", pull=rule(a.url()), grace=5.0) as b:
        async with publishing(a) as encoder, watching(b) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            assert a.rtmp.request_reconnect("rtmp://elsewhere.example") == 1
            await eventually(lambda: a.context.stats.plays_total == 2 and a.context.stats.players == 1)
            await encoder.send_video(keyframe(b"K1"), 40)
            await eventually(viewer.has(keyframe(b"K1")))
            assert not viewer.over
            assert b.pulls().retries == 0
        assert "pull connects anew" in caplog.messages
        assert "pull ended" not in caplog.messages


async def test_a_push_connects_anew_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rtmpd")
    async with serve("b", grace=5.0) as b, serve("a", push=[b.url("live/there")]) as a:
        async with publishing(a) as encoder, watching(b, "there") as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            await encoder.send_video(keyframe(b"K1"), 40)
            await eventually(viewer.has(keyframe(b"K1")))
            b.rtmp.request_reconnect()
            await eventually(lambda: b.context.stats.publishes_total == 2)
            await encoder.send_video(keyframe(b"K2"), 80)
            await eventually(viewer.has(keyframe(b"K2")))
            assert not viewer.over
            assert (a.pushes().state, a.pushes().retries) == ("live", 0)
        assert "push failed" not in caplog.messages


async def test_who_is_asked_stays_while_nobody_answers_elsewhere() -> None:
    async with (
        serve("origin") as a,
        serve("edge", pull=rule(a.url())) as b,
        publishing(a) as encoder,
        watching(b) as viewer,
    ):
        await eventually(viewer.has(keyframe(b"K0")))
        a.listener.close()
        a.rtmp.request_reconnect()
        await asyncio.sleep(0.05)
        await encoder.send_video(keyframe(b"K1"), 40)
        await eventually(viewer.has(keyframe(b"K1")))


async def test_servers_that_send_a_relay_to_each_other_do_not_keep_it_busy() -> None:
    async with (
        serve("origin") as a,
        serve("edge", pull=rule(a.url()), grace=5.0) as b,
        publishing(a) as encoder,
        watching(b) as viewer,
    ):
        for number in range(1, MAX_MOVES + 1):
            await eventually(lambda: b.pull_is("live")() and a.context.stats.players == 1)
            a.rtmp.request_reconnect()
            await eventually(lambda number=number: a.context.stats.plays_total == 1 + number)
            await encoder.send_video(keyframe(b"%d" % number), 40 * number)
            await eventually(viewer.has(keyframe(b"%d" % number)))
        a.rtmp.request_reconnect()
        await asyncio.sleep(0.05)
        assert a.context.stats.plays_total == 1 + MAX_MOVES
