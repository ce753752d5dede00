"""One map behind several servers: where a stream is pulled from, and who may publish it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from origin_map_kit import ServerMap, SharedMap, hang, nothing
from relay_kit import (
    KEY,
    PATIENCE,
    Pull,
    Server,
    eventually,
    inter,
    keyframe,
    publishing,
    rule,
    serve,
    templates,
    watching,
)

import rtmpd
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY
from rtmpd.exceptions import OriginMapUnavailable
from rtmpd.relay.origin_map import StaticOrigins

DYNAMIC = rule(timeout=2.0)
"""The settings name no origin: the map knows."""


@asynccontextmanager
async def serving(
    shared: SharedMap, name: str, pull: Pull | None = None
) -> AsyncIterator[tuple[Server, ServerMap]]:
    """A server that asks the map."""
    origins = shared.of(name)
    async with serve(name, pull=pull, origins=origins) as server:
        shared.urls[name] = server.url()
        yield server, origins


async def test_the_static_map_knows_what_the_settings_say_and_grants_everything() -> None:
    origins = StaticOrigins({KEY: templates(["rtmp://one/{app}/{name}", "rtmp://two/live/x"])}.__getitem__)
    assert [target.url.host for target in await origins.locate(KEY)] == ["one", "two"]
    assert [target.stream for target in await origins.locate(KEY)] == ["cam", "x"]
    first, second = origins.claim(KEY, NOBODY), origins.claim(KEY, NOBODY)
    assert first.key == KEY
    assert first != second
    origins.release(first)
    origins.release(second)


# -- one name, one publisher


async def test_a_name_is_published_on_one_server() -> None:
    shared = SharedMap()
    async with serving(shared, "a") as (a, _), serving(shared, "b") as (b, _), AsyncExitStack() as first:
        await first.enter_async_context(publishing(a))
        async with await rtmpd.connect(b.url("live")) as connection:
            with pytest.raises(
                rtmpd.PublishRejected, match="cam is being published on another server"
            ) as refused:
                await connection.publish("cam")
        assert refused.value.code == "NetStream.Publish.BadName"
        assert b.context.stats.refusals == {"stream_busy": 1}
        assert not b.registry.streams
        async with publishing(b, "other"):
            assert shared.holders == {KEY: "a", StreamKey("live", "other"): "b"}
        await first.aclose()
        await eventually(lambda: not shared.holders)
        async with publishing(b):
            assert shared.holders == {KEY: "b"}


async def test_a_second_publisher_on_one_server_is_for_that_server_to_refuse() -> None:
    shared = SharedMap()
    async with serving(shared, "a") as (a, _), publishing(a):
        async with await rtmpd.connect(a.url("live")) as connection:
            with pytest.raises(rtmpd.PublishRejected, match="If that was you"):
                await connection.publish("cam")
        await eventually(lambda: len(shared.leases[KEY]) == 1)
        assert shared.holders == {KEY: "a"}


async def test_who_leaves_late_does_not_free_what_another_server_has_by_then() -> None:
    shared = SharedMap()
    async with serving(shared, "a") as (a, _), serving(shared, "b") as (b, _), AsyncExitStack() as first:
        await first.enter_async_context(publishing(a))
        shared.lapse(KEY)
        async with publishing(b):
            await first.aclose()
            await eventually(lambda: not a.registry.streams)
            assert shared.holders == {KEY: "b"}
            assert len(shared.leases[KEY]) == 1
        await eventually(lambda: not shared.holders)


# -- where a stream is


async def test_a_pull_follows_a_stream_from_server_to_server() -> None:
    shared = SharedMap()
    async with (
        serving(shared, "a") as (a, _),
        serving(shared, "b") as (b, _),
        serving(shared, "edge", DYNAMIC) as (edge, _),
        AsyncExitStack() as first,
    ):
        await first.enter_async_context(publishing(a))
        async with watching(edge) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            assert edge.pulls().remote == a.url("live")
            await first.aclose()
            async with publishing(b) as encoder:
                await eventually(edge.pull_is("live"))
                assert edge.pulls().remote == b.url("live")
                await encoder.send_video(inter(b"P1"), 40)
                async with watching(edge) as late:
                    await eventually(late.has(inter(b"P1")))


async def test_a_stream_that_nobody_has_yet_is_found_when_somebody_does() -> None:
    shared = SharedMap()
    async with (
        serving(shared, "a") as (a, _),
        serving(shared, "edge", DYNAMIC) as (edge, origins),
        watching(edge) as viewer,
    ):
        await eventually(edge.pull_is("backoff"))
        await eventually(lambda: edge.pulls().retries >= 2)
        assert edge.pulls().remote == ""
        assert edge.pulls().reason == "no server is known to have this stream"
        assert origins.located >= 2
        async with publishing(a):
            await eventually(viewer.has(keyframe(b"K0")))
            assert edge.pulls().reason == ""


async def test_a_map_that_answers_late_is_waited_for() -> None:
    shared = SharedMap()
    async with (
        serving(shared, "a") as (a, _),
        publishing(a),
        serving(shared, "edge", DYNAMIC) as (edge, origins),
    ):
        known = asyncio.Event()

        async def until_known() -> None:
            await known.wait()

        origins.before = until_known
        async with watching(edge) as viewer:
            await eventually(lambda: origins.located)
            assert edge.pull_is("connecting")()
            known.set()
            await eventually(viewer.has(keyframe(b"K0")))
            assert (origins.located, edge.pulls().retries) == (1, 0)


async def test_a_map_that_hangs_costs_an_attempt_and_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedMap()
    async with (
        serving(shared, "a") as (a, _),
        publishing(a),
        serving(shared, "edge", rule(timeout=0.8)) as (edge, origins),
    ):
        origins.before = hang
        async with watching(edge) as viewer:
            await eventually(lambda: edge.pull.statuses() and edge.pulls().retries)
            reason = "could not find out which server has this stream: no answer within 0.2 s"
            assert edge.pulls().reason == reason
            assert origins.cancelled == 1
            origins.before = nothing
            await eventually(viewer.has(keyframe(b"K0")))
    assert lines(caplog, "origins unknown") == [
        {"app": "live", "stream": "cam", "reason": "no answer within 0.2 s"}
    ]


async def test_players_are_told_in_time_though_the_map_hangs() -> None:
    async with serving(SharedMap(), "edge", rule(timeout=0.2)) as (edge, origins):
        origins.before = hang
        async with watching(edge) as viewer, asyncio.timeout(PATIENCE):
            async for event in viewer.connection.events():
                if isinstance(event, rtmpd.StatusReceived) and event.status.code.endswith("StreamNotFound"):
                    break
        await eventually(lambda: edge.pull.statuses() == [])


async def test_a_map_that_is_down_is_told_once_for_all_streams(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedMap()

    async def refused() -> None:
        raise OriginMapUnavailable("connection refused by the store")

    async with (
        serving(shared, "a") as (a, _),
        publishing(a),
        serving(shared, "edge", DYNAMIC) as (edge, origins),
    ):
        origins.before = refused
        async with watching(edge) as viewer, watching(edge, "other"):
            await eventually(lambda: all(status.retries >= 2 for status in edge.pull.statuses()))
            assert edge.pull.statuses()[0].reason.endswith("has this stream: connection refused by the store")
            origins.before = nothing
            await eventually(viewer.has(keyframe(b"K0")))
    (fields,) = lines(caplog, "origins unknown")
    assert fields["reason"] == "connection refused by the store"
    assert not any(record.exc_info for record in caplog.records)


async def test_a_question_that_somebody_else_ends_costs_an_attempt(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedMap()
    ends = [asyncio.CancelledError()]

    async def ended_once() -> None:
        if ends:
            raise ends.pop()

    async with (
        serving(shared, "a") as (a, _),
        publishing(a),
        serving(shared, "edge", DYNAMIC) as (edge, origins),
    ):
        origins.before = ended_once
        async with watching(edge) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            assert edge.pulls().retries == 1
    (fields,) = lines(caplog, "origins unknown")
    assert fields["reason"] == "what was waited for was cancelled"


async def test_what_the_map_says_is_cut_short() -> None:
    shared = SharedMap()

    async def refused() -> None:
        raise OriginMapUnavailable("no\n" * 100_000)

    async with serving(shared, "edge", DYNAMIC) as (edge, origins), AsyncExitStack() as viewers:
        origins.before = refused
        await viewers.enter_async_context(watching(edge))
        await eventually(lambda: edge.pull.statuses() and edge.pulls().retries)
        assert len(edge.pulls().reason) < 300
        assert edge.pulls().reason.endswith("has this stream: " + "no " * 66 + "no")


async def test_a_bug_of_the_map_costs_an_attempt_and_is_told_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared = SharedMap()
    bugs = [LookupError("a bug")]

    async def broken() -> None:
        if bugs:
            raise bugs.pop()

    async with (
        serving(shared, "a") as (a, _),
        publishing(a),
        serving(shared, "edge", DYNAMIC) as (edge, origins),
    ):
        origins.before = broken
        async with watching(edge) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            assert edge.pulls().retries == 1
    (record,) = [record for record in caplog.records if record.message == "pull broke"]
    assert record.exc_info is not None
    assert record.fields == {"app": "live", "stream": "cam", "origin": ""}


async def test_another_configuration_has_pulls_begin_anew_only_where_the_map_says_so() -> None:
    shared = SharedMap()

    async def refused() -> None:
        raise OriginMapUnavailable("connection refused by the store")

    async with (
        serving(shared, "a") as (a, _),
        publishing(a),
        serving(shared, "b") as (b, _),
        serving(shared, "edge", DYNAMIC) as (edge, origins),
        watching(edge),
    ):
        await eventually(edge.pull_is("live"))
        before = edge.stream.publication
        for before_answer, holder in ((refused, "b"), (nothing, None), (nothing, "a")):
            shared.lapse(KEY)
            if holder is not None:
                shared.grant(holder, KEY)
            origins.before = before_answer
            edge.pull.apply([], 50)
            await eventually(lambda: len(edge.pull._tasks) == 1)
            assert edge.stream.publication is before
        shared.lapse(KEY)
        async with publishing(b):
            edge.pull.apply([], 50)
            await eventually(lambda: edge.live and edge.stream.publication is not before)
            assert edge.pulls().remote == b.url("live")


@pytest.mark.parametrize("swallow", [False, True])
async def test_who_leaves_ends_the_question_where_the_stream_is(swallow: bool) -> None:
    shared = SharedMap()
    async with (
        serving(shared, "a") as (a, _),
        publishing(a),
        serving(shared, "edge", DYNAMIC) as (edge, origins),
    ):
        ended = asyncio.Event()

        async def hang_on() -> None:
            try:
                await hang()
            except asyncio.CancelledError:
                ended.set()
                if not swallow:
                    raise

        origins.before = hang_on
        async with watching(edge):
            await eventually(lambda: origins.located)
        await eventually(ended.is_set)
        await eventually(lambda: len(edge.pull._tasks) == 0)
        assert edge.pull.statuses() == []
        assert a.context.stats.plays_total == 0


def lines(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records if record.message == message]
