"""Servers for the client's tests: the real one in this process, and one that answers as a test tells it."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from rtmpd.engine.flusher import Flusher
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import SessionIds
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import ServerStats
from rtmpd.relay.origin_map import StaticOrigins
from rtmpd.rtmp.events import ConnectRequested, LengthRequested, PlayRequested, PublishRequested, ServerEvent
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.server import ServerSession, ServerSettings
from rtmpd.serving.access import AccessRequest, Grant, PlayRules, PublishRules
from rtmpd.serving.claims import Claims
from rtmpd.serving.connection import ServerConnection
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.server import ConnectionLimits, RtmpServer
from rtmpd.serving.sweeper import Sweeper

AVC_HEADER = bytes.fromhex("170000000001640028ff")
AAC_HEADER = bytes.fromhex("af001210")


def keyframe(body: bytes = b"K") -> bytes:
    return b"\x17\x01\x00\x00\x00" + body


class OpenDoor:
    def authorize(self, request: AccessRequest) -> Grant:
        return Grant(request.key)


@asynccontextmanager
async def real_server(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """The real server on a port of its own."""
    loop = asyncio.get_running_loop()
    stats = ServerStats()
    registry = Registry(
        Flusher(loop.call_soon, loop.call_later, loop.time, loop.time), stats, EngineLimits(merge_window=0.0)
    )
    server_context = ServerContext(
        registry=registry,
        authorizer=OpenDoor(),
        claims=Claims(StaticOrigins(lambda _key: ()), loop.time),
        stats=stats,
        clock=loop.time,
        random_bytes=os.urandom,
        new_session=SessionIds(time.time, os.urandom),
        limits=Limits(),
        settings=ServerSettings(),
        play_rules=lambda _key: PlayRules(),
        publish_rules=lambda _key: PublishRules(),
        sweeper=Sweeper(loop.call_later),
    )
    server = RtmpServer(server_context, ConnectionLimits())
    listener = await loop.create_server(
        lambda: ServerConnection(server_context, server), host, 0, ssl=context
    )
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await server.close(1.0)


@asynccontextmanager
async def stranger(answer: bytes) -> AsyncIterator[str]:
    """The address of something that speaks no RTMP: it says ``answer`` and hangs up."""

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        yield f"rtmp://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"


class Peer(asyncio.Protocol):
    """One connection of a scripted server: what it has heard, and the session it answers with."""

    transport: asyncio.Transport

    def __init__(self, script: Script) -> None:
        self.session = ServerSession(random_bytes=os.urandom, now=0)
        self.heard: list[ServerEvent] = []
        self.closed = asyncio.Event()
        self._script = script

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.session.receive_data(data, 0)
        self.advance()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set()

    def advance(self) -> None:
        session = self.session
        while (events := session.events_received()) or session.take_throttle() is not None:
            if not events:
                session.resume(0)  # A test waits for nobody's turn.
            for event in events:
                self.heard.append(event)
                self._script(self, event)
        self.flush()
        if self.session.closing:
            self.transport.close()

    def flush(self) -> None:
        self.transport.write(b"".join(self.session.data_to_send()))


Script = Callable[[Peer, ServerEvent], None]


def accept(peer: Peer, event: ServerEvent) -> None:
    """A script that grants everything."""
    match event:
        case ConnectRequested():
            peer.session.accept_connect(0)
        case PublishRequested():
            peer.session.accept_publish(event.stream_id, 0)
        case PlayRequested():
            peer.session.accept_play(event.stream_id, 0)
        case LengthRequested():
            peer.session.answer_length(event.transaction_id, 0.0, 0)
        case _:
            pass


class ScriptedServer:
    def __init__(self) -> None:
        self.port = 0
        self.peers: list[Peer] = []
        self._arrival = asyncio.Event()

    @property
    def url(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live"

    async def peer(self, number: int = 0) -> Peer:
        """The connection with this number, once it is there."""
        while len(self.peers) <= number:
            self._arrival.clear()
            await self._arrival.wait()
        return self.peers[number]

    def arrived(self, peer: Peer) -> Peer:
        self.peers.append(peer)
        self._arrival.set()
        return peer


@asynccontextmanager
async def scripted_server(script: Script = accept) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: server.arrived(Peer(script)), "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for peer in server.peers:
            peer.transport.abort()
        for peer in server.peers:
            await peer.closed.wait()
