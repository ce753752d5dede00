"""A client's connection leaves nothing behind: the collector of cycles has no work with it.

But for the transports of the standard library's event loop, which hold themselves.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import uvloop
from client_kit import AVC_HEADER, Peer, accept, keyframe, real_server, scripted_server

import rtmpd
from rtmpd.net.socket_options import UNSENT_BYTES
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import ConnectRequested, PlayRequested, ServerEvent


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Watch:
    """Holds weakly what belongs to a connection; a compiled session cannot be held so, but its link can."""

    def __init__(self) -> None:
        self._references: dict[str, weakref.ref[object]] = {}

    def see(self, connection: rtmpd.Connection, *streams: rtmpd.Stream) -> None:
        self.hold(connection, connection.link, connection.link.session, *streams)

    def hold(self, *things: object) -> None:
        for thing in things:
            if type(thing).__weakrefoffset__:
                self._references[f"{type(thing).__name__} {len(self._references)}"] = weakref.ref(thing)

    @property
    def left(self) -> list[str]:
        return [name for name, reference in self._references.items() if reference() is not None]


async def all_gone(watch: Watch) -> None:
    """The transport's last callbacks take a few turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert watch.left == []


async def publish_and_play(watch: Watch) -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live/cam"
        async with await rtmpd.connect(url) as source, await rtmpd.connect(url) as sink:
            player = await sink.play()
            stream = await source.publish()
            await stream.send_video(AVC_HEADER, 0)
            await stream.send_video(keyframe(), 40)
            await anext(player)
            await sink.call("getStreamLength", "cam")
            watch.see(source, stream)
            watch.see(sink, player)


async def cut_off(watch: Watch) -> None:
    """By a reset, while one waits for media, one for an answer, and one for events."""

    async with scripted_server() as server:
        connection = await rtmpd.connect(f"{server.url}/cam")
        player = await connection.play()
        watch.see(connection, player)
        peer = await server.peer()
        peer.transport.pause_reading()
        waiting = [
            asyncio.create_task(attempt)
            for attempt in (
                _take(player),
                _take(connection.events()),
                connection.call("nobody_answers"),
                player.seek(5),
            )
        ]
        await asyncio.sleep(0.01)
        peer.transport.abort()
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, rtmpd.ConnectionClosed) or outcome is None
        with pytest.raises(rtmpd.ConnectionClosed):
            await connection.create_stream()
        await connection.close()


async def _take(source: AsyncIterator[object]) -> None:
    async for _ in source:
        pass


async def refused(watch: Watch) -> None:
    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PlayRequested):
            peer.session.reject_play(event.stream_id, StatusCode.PLAY_FAILED, "no", 0)
        else:
            accept(peer, event)

    async with scripted_server(script) as server, await rtmpd.connect(f"{server.url}/cam") as connection:
        watch.see(connection)
        with pytest.raises(rtmpd.PlayRejected):
            await connection.play()


async def violated(watch: Watch) -> None:
    async with scripted_server() as server, await rtmpd.connect(f"{server.url}/cam") as connection:
        watch.see(connection)
        (await server.peer()).transport.write(b"\x02" + bytes(6) + b"\x01" + bytes(40))
        await connection.wait_closed()
        assert isinstance(connection.exception, rtmpd.ConnectionLost)
        with pytest.raises(rtmpd.ConnectionLost):
            await connection.call("x")


async def aborted(watch: Watch) -> None:
    async with scripted_server() as server:
        connection = await rtmpd.connect(f"{server.url}/cam")
        watch.see(connection, await connection.publish())
        connection.abort()


STORIES = [publish_and_play, cut_off, refused, violated, aborted]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_nothing_is_left(story: Callable[[Watch], Awaitable[None]]) -> None:
    watch = Watch()
    await story(watch)
    await all_gone(watch)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_nothing_is_left_on_uvloop(story: Callable[[Watch], Awaitable[None]]) -> None:
    async def run() -> None:
        watch = Watch()
        await story(watch)
        await all_gone(watch)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("reject", [False, True], ids=["hangs up", "refuses"])
async def test_a_connect_that_fails_leaves_nothing(reject: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    attach = rtmpd.client.link.Link.connection_made

    def seen(link: rtmpd.client.link.Link, transport: asyncio.BaseTransport) -> None:
        attach(link, transport)
        watch.hold(link, link.session)

    monkeypatch.setattr(rtmpd.client.link.Link, "connection_made", seen)

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            if reject:
                peer.session.reject_connect(StatusCode.CONNECT_REJECTED, "no", 0)
            else:
                peer.transport.abort()

    async with scripted_server(script) as server:
        with pytest.raises(rtmpd.ClientError):
            await rtmpd.connect(server.url)
        assert watch.left
        await all_gone(watch)


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="asks the Linux kernel")
async def test_the_kernel_holds_little_and_finds_dead_servers() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        sock = connection.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
