"""Servers that relay to each other in circles."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from relay_kit import (
    KEY,
    PATIENCE,
    QUICK,
    eventually,
    keyframe,
    logged,
    publishing,
    rule,
    serve,
    watching,
)

import rtmpd
from rtmpd.rtmp.via import NO_VIA

LOOP = "This relay is a loop"


async def test_a_server_that_pushes_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    async with serve("a") as a, publishing(a):
        a.push.add(KEY, a.url("live/{name}_copy"))
        await eventually(a.push_is("failed"))
        assert LOOP in a.pushes().reason
        assert a.context.stats.refusals == {"relay_loop": 1}
    assert "'reason': 'relay_loop'" in logged(caplog)


async def test_a_pushes_to_b_pushes_to_a() -> None:
    async with serve("a") as a, serve("b") as b:
        a.push.add(KEY, b.url())
        b.push.add(KEY, a.url("live/{name}_2"))
        async with publishing(a), watching(b) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            await eventually(b.push_is("failed"))
            assert LOOP in b.pushes().reason
            assert a.push_is("live")()
            assert [key.name for key in a.registry.streams] == ["cam"]


async def test_a_circle_of_three_pushes() -> None:
    async with serve("a") as a, serve("b") as b, serve("c") as c:
        a.push.add(KEY, b.url())
        b.push.add(KEY, c.url())
        c.push.add(KEY, a.url("live/back"))
        async with publishing(a), watching(c) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            await eventually(c.push_is("failed"))
            assert LOOP in c.pushes().reason


async def test_a_server_that_pulls_from_itself(caplog: pytest.LogCaptureFixture) -> None:
    async with serve("seed") as seed:
        port = seed.port
    async with serve("a", port=port, pull=rule(f"rtmp://127.0.0.1:{port}/live/cam", timeout=0.3)) as a:
        async with watching(a) as viewer:
            await eventually(lambda: a.pulls().reason)
            assert LOOP in a.pulls().reason
            await eventually(lambda: viewer.over)
        assert a.context.stats.plays_total == 1
    assert "'reason': 'relay_loop'" in logged(caplog)


async def test_a_pulls_from_b_pulls_from_a() -> None:
    async with serve("seed") as seed:
        port = seed.port
    async with serve("a", port=port) as a, serve("b", pull=rule(f"rtmp://127.0.0.1:{port}/live/cam")) as b:
        # The address of b is known only now.
        a.rules["live"] = rule(b.url(), timeout=0.5)
        async with watching(a) as viewer:
            await eventually(lambda: b.pull.statuses() and b.pulls().reason)
            assert LOOP in b.pulls().reason
            await eventually(lambda: viewer.over)
        await eventually(lambda: not a.pull.statuses() and not b.pull.statuses())


async def test_an_origin_behind_the_circle_is_found() -> None:
    """a asks b, b asks a and then c, which has the stream: the circle is refused, the rest works."""
    async with serve("seed") as seed:
        port = seed.port
    async with serve("c") as c, publishing(c), serve("a", port=port) as a:
        back = f"rtmp://127.0.0.1:{port}/live/cam"
        async with serve("b", pull=rule(back, c.url())) as b:
            a.rules["live"] = rule(b.url())
            async with watching(a) as viewer:
                await eventually(viewer.has(keyframe(b"K0")))
            await eventually(lambda: not a.pull.statuses() and not b.pull.statuses())


async def test_a_way_that_is_too_long() -> None:
    async with serve("a") as a:
        params = rtmpd.ConnectParams(connect_object={"rtmpdVia": ["x"], "rtmpdHops": 17.0})
        with pytest.raises(rtmpd.ConnectRejected, match="more than 16 servers"):
            await rtmpd.connect(a.url("live"), params=params)
        assert a.context.stats.refusals == {"relay_hops": 1}


@pytest.mark.parametrize("odd", ["a", 7.0, {"0": "a"}, [7.0, "", "x" * 65, ["a"]], None])
async def test_an_odd_list_counts_as_none(odd: rtmpd.AmfValue) -> None:
    async with serve("a") as a:
        params = rtmpd.ConnectParams(connect_object={"rtmpdVia": odd})
        async with await rtmpd.connect(a.url("live"), params=params) as connection:
            await connection.publish("cam")
            assert a.stream.publication is not None
            assert a.stream.publication.origin.via == NO_VIA


# -- many behind one


async def test_forty_edges_behind_one_pull_survive_a_restart_of_the_origin() -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        async with serve("origin") as origin, publishing(origin):
            hub = await enter(serve("hub", pull=rule(origin.url(), timeout=60.0)))
            edges = [
                await enter(serve(f"edge{number:02}", pull=rule(hub.url(), timeout=60.0)))
                for number in range(40)
            ]
            for edge in edges:
                await enter(watching(edge))
            await eventually(lambda: all(edge.live for edge in edges))
        await eventually(lambda: not any(edge.live for edge in edges))
        # All of them ask again, and the hub asks for all of them.
        await eventually(lambda: hub.context.stats.plays_total >= 80 and hub.stream.players == 40)
        async with serve("origin", port=origin.port) as origin, publishing(origin):
            await eventually(lambda: all(edge.live for edge in edges))
            assert origin.context.stats.refusals == {}
            (waiting,) = origin.stream.subscriptions
            assert waiting.origin.via.hops == 2
            assert len(waiting.origin.via.servers) == 41
        assert hub.context.stats.players_closed == {}


async def test_a_refusal_for_the_sake_of_another_edge_ends_when_that_has_left() -> None:
    once = replace(QUICK, failed=60.0)
    async with (
        serve("origin") as origin,
        publishing(origin),
        serve("hub", pull=rule(origin.url(), timeout=PATIENCE), retry=once) as hub,
    ):
        params = rtmpd.ConnectParams(connect_object={"rtmpdVia": ["origin"], "rtmpdHops": 1.0})
        edge = await rtmpd.connect(hub.url("live"), params=params)
        await edge.play("cam")
        await eventually(lambda: hub.pull.statuses() and hub.pulls().retries)
        assert LOOP in hub.pulls().reason
        async with watching(hub) as viewer:
            await edge.close()
            await eventually(viewer.has(keyframe(b"K0")))


async def test_a_way_that_can_be_no_longer_costs_only_who_claims_it() -> None:
    async with serve("origin") as origin, serve("edge", pull=rule(origin.url())) as edge:
        params = rtmpd.ConnectParams(connect_object={"rtmpdVia": ["x"], "rtmpdHops": 16.0})
        async with await rtmpd.connect(edge.url("live"), params=params) as stranger:
            await stranger.play("cam")
            await eventually(lambda: edge.context.stats.plays_total == 1)
            async with watching(edge) as viewer:
                await eventually(lambda: origin.context.stats.players == 1)
                async with publishing(origin):
                    await eventually(viewer.has(keyframe(b"K0")))
        assert edge.context.stats.players_closed == {"not_found": 1}
        assert origin.context.stats.refusals == {}


async def test_what_is_pulled_is_not_pushed_back_to_where_it_came_from() -> None:
    async with serve("origin") as origin, publishing(origin), serve("edge", pull=rule(origin.url())) as edge:
        # Under another name: the same one is busy there.
        edge.push.add(KEY, origin.url("live/copy"))
        async with watching(edge) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            await eventually(edge.push_is("failed"))
            assert LOOP in edge.pushes().reason
        assert origin.context.stats.refusals == {"relay_loop": 1}
