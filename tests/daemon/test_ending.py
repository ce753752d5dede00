"""The end of a server that waits for its publishers: who is asked to leave, who stays, who is told what."""

from __future__ import annotations

import asyncio
import signal
import urllib.error
import urllib.request

import pytest
from evening_kit import evening, order
from rtmpd_process import rtmpd

import rtmpd as library
from rtmpd.daemon.ending import EX_CUT

WAITS = ("shutdown.wait_for_publishers=1m", "shutdown.drain_timeout=500ms")


async def test_who_publishes_goes_on_and_so_does_their_audience_and_nobody_else() -> None:
    with rtmpd(*WAITS, "shutdown.reconnect_to=rtmp://other.example") as server:
        async with evening(server) as live, await library.connect(server.url("later")) as waiting:
            nothing = await waiting.play()
            server.send_signal(signal.SIGTERM)
            assert await live.asked() == "rtmp://other.example/live"
            assert [message async for message in nothing if message.type == 9] == []  # Soon.
            assert await live.goes_on()
            with pytest.raises(library.ConnectFailed):
                await library.connect(server.url("show"))
            assert server.metric("rtmpd_draining") == 1
            with pytest.raises(urllib.error.HTTPError) as unready:
                server.get("/readyz")
            assert unready.value.code == 503
            words = unready.value.read().decode()
            assert words.startswith("draining for up to ")
            assert words.endswith(" s: publishers 1, players 1\n")
            await live.stream.close()
            assert [message async for message in live.player] == []
        assert server.wait() == 0
        assert server.log.find({"event": "draining; once more ends at once", "publishers": 1})
        assert server.log.find({"event": "asked to reconnect", "connections": 1})


async def test_a_wait_that_is_over_ends_in_order_and_is_told_by_the_exit_code() -> None:
    with rtmpd("shutdown.wait_for_publishers=300ms", "shutdown.drain_timeout=5s") as server:
        url = f"http://127.0.0.1:{server.port('admin')}/api/v1/events?kinds=audit"
        events = await asyncio.to_thread(urllib.request.urlopen, url, timeout=10.0)
        async with evening(server) as live:
            server.send_signal(signal.SIGTERM)
            assert await live.asked() == server.url("show").rpartition("/")[0]
            assert [message async for message in live.player] == []
            await live.source.wait_closed()
            with pytest.raises(library.StreamFailed, match="shutting down"):
                live.stream.check()
        assert server.wait() == EX_CUT
        told = (await asyncio.to_thread(events.read)).decode()
        assert '"protocol":"signal"' in told
        assert '"change":"drain"' in told
        assert told.endswith('event: end\ndata: {"reason":"closed"}\n\n')


async def test_the_end_by_the_api_is_that_of_a_signal_which_then_is_when_to_give_up() -> None:
    with rtmpd("shutdown.drain_timeout=5s", "apps.live.handover.grace=60s") as server:
        async with evening(server) as live:
            code, told = await asyncio.to_thread(
                order, server, "drain", "--wait", "1h", "--to", "rtmp://b.example:1"
            )
            assert code == 0
            assert told.startswith("the server waits for publishers 1, players 1, until 20")
            assert await live.asked() == "rtmp://b.example:1/live"
            assert await live.goes_on()
            code, told = await asyncio.to_thread(order, server, "drain", "--to", "http://b.example")
            assert (code, "reconnect_to: " in told) == (1, True)
            # An encoder that is lost cannot come back, so nobody is kept for it.
            live.source.abort()
            assert [message async for message in live.player] == []
        assert server.wait() == 0


async def test_a_signal_during_a_drain_ends_it_in_order() -> None:
    with rtmpd() as server:
        async with evening(server) as live:
            await asyncio.to_thread(order, server, "drain", "--wait", "1h")
            server.log.wait_for({"event": "draining; once more ends at once"})
            server.send_signal(signal.SIGTERM)
            assert [message async for message in live.player] == []
        assert server.wait() == EX_CUT
        assert not server.log.find({"event": "connections cut off"})
