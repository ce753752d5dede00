"""Servers that relay to each other in circles."""

from __future__ import annotations

import pytest
from relay_kit import KEY, eventually, keyframe, logged, publishing, rule, serve, watching

import rtmpd

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
        a.pull._rules = {"live": rule(b.url(), timeout=0.5)}
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
            a.pull._rules = {"live": rule(b.url())}
            async with watching(a) as viewer:
                await eventually(viewer.has(keyframe(b"K0")))
            await eventually(lambda: not a.pull.statuses() and not b.pull.statuses())


async def test_a_way_that_is_too_long() -> None:
    async with serve("a") as a:
        params = rtmpd.ConnectParams(connect_object={"rtmpdVia": [f"hop{number}" for number in range(17)]})
        with pytest.raises(rtmpd.ConnectRejected, match="17 servers"):
            await rtmpd.connect(a.url("live"), params=params)


@pytest.mark.parametrize("odd", ["a", 7.0, {"0": "a"}, [7.0, "", "x" * 65, ["a"]], None])
async def test_an_odd_list_counts_as_none(odd: rtmpd.AmfValue) -> None:
    async with serve("a") as a:
        params = rtmpd.ConnectParams(connect_object={"rtmpdVia": odd})
        async with await rtmpd.connect(a.url("live"), params=params) as connection:
            await connection.publish("cam")
            assert a.stream.publication is not None
            assert a.stream.publication.via == ()
