"""Real servers with relays on loopback ports, and clients to publish to them and watch them."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from client_kit import OpenDoor

import rtmpd
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.handover import Handover, HandoverRules, PullHandover
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import SessionIds
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.stream import LiveStream
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.relay.dialer import RelayDialer, RetryPolicy
from rtmpd.relay.origin_map import OriginMap, StaticOrigins
from rtmpd.relay.pull.relays import PullRelays
from rtmpd.relay.pull.rule import PullRule
from rtmpd.relay.push.relays import PushRelays
from rtmpd.relay.status import RelayStatus
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp.amf import EcmaArray, encode_values
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSettings
from rtmpd.serving.access import PlayRules, PublishRules
from rtmpd.serving.claims import Claims
from rtmpd.serving.connection import ServerConnection
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.server import ConnectionLimits, RtmpServer
from rtmpd.serving.sweeper import Sweeper
from rtmpd.serving.vod import Library, NoVod

PATIENCE = 15.0
"""Seconds after which a test that waits has failed."""
QUICK = RetryPolicy(initial=0.02, maximum=0.1, failed=0.1, steady=0.05)
KEY = StreamKey("live", "cam")

AUDIO, VIDEO, DATA = 8, 9, 18
AVC_HEADER = bytes.fromhex("170000000001640028ff")
AAC_HEADER = bytes.fromhex("af001210")
HEVC_HEADER = b"\x90hvc1" + bytes(23)
METADATA = encode_values("onMetaData", EcmaArray(width=1280.0, videocodecid="hvc1"))


async def eventually(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)


def keyframe(body: bytes) -> bytes:
    return b"\x17\x01\x00\x00\x00" + body


def inter(body: bytes) -> bytes:
    return b"\x27\x01\x00\x00\x00" + body


def sound(body: bytes) -> bytes:
    return b"\xaf\x01" + body


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Every line of this process's log, fields and all; of an enum its value, as the log writes it."""
    return "\n".join(f"{record.getMessage()} {_fields(record)}" for record in caplog.records)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = getattr(record, "fields", {})
    return {name: str(value) if isinstance(value, str) else value for name, value in fields.items()}


@dataclass
class Server:
    """One server of a chain."""

    name: str
    context: ServerContext
    push: PushRelays
    pull: PullRelays
    port: int
    rtmp: RtmpServer
    listener: asyncio.Server
    rules: dict[str, Pull]
    """By app, as they are now."""

    def url(self, path: str = "live/{name}", host: str = "127.0.0.1", scheme: str = "rtmp") -> str:
        return f"{scheme}://{host}:{self.port}/{path}"

    @property
    def registry(self) -> Registry:
        return self.context.registry

    @property
    def stream(self) -> LiveStream:
        return self.registry.streams[KEY]

    @property
    def live(self) -> bool:
        stream = self.registry.streams.get(KEY)
        return stream is not None and stream.publication is not None

    def pushes(self) -> RelayStatus:
        """The only push target."""
        (status,) = self.push.statuses()
        return status

    def pulls(self) -> RelayStatus:
        (status,) = self.pull.statuses()
        return status

    def push_is(self, state: str) -> Callable[[], bool]:
        return lambda: [status.state for status in self.push.statuses()] == [state]

    def pull_is(self, state: str) -> Callable[[], bool]:
        return lambda: [status.state for status in self.pull.statuses()] == [state]

    async def stop(self) -> None:
        """As the daemon does it."""
        self.listener.close()
        await self.rtmp.close(1.0)
        await self.push.close(1.0)
        await self.pull.close()


def templates(urls: Sequence[str]) -> tuple[RelayTemplate, ...]:
    return tuple(map(RelayTemplate.parse, urls))


@dataclass(frozen=True)
class Pull:
    """What the settings of an app say of its pull."""

    origins: tuple[RelayTemplate, ...]
    rule: PullRule


def rule(*origins: str, **settings: object) -> Pull:
    defaults: dict[str, object] = {"linger": 0.1, "timeout": 2.0}
    return Pull(templates(origins), PullRule(**{**defaults, **settings}))  # type: ignore[arg-type]


@asynccontextmanager
async def serve(
    name: str = "a",
    *,
    port: int = 0,
    push: Sequence[str] | Mapping[str, RelayTemplate] = (),
    pull: Pull | None = None,
    origins: OriginMap | None = None,
    retry: RetryPolicy = QUICK,
    tls: ssl.SSLContext | None = None,
    ca_file: str | None = None,
    max_dials: int = 50,
    grace: float = 0.0,
    slate_for: float = 0.0,
    library: Library | None = None,
) -> AsyncIterator[Server]:
    """Run a server that pushes app ``live`` to ``push`` and pulls it by ``pull``.

    ``origins`` knows from where, and who may publish; else the settings do. ``grace``: seconds for which an
    audience is kept, or ``slate_for`` where it is shown a slate. ``library`` has files to be played.
    """
    loop = asyncio.get_running_loop()
    stats = ServerStats()
    registry = Registry(
        Flusher(loop.call_soon, loop.call_later, loop.time, loop.time), stats, EngineLimits(merge_window=0.0)
    )
    handover = HandoverRules(grace=grace, slate_for=slate_for)
    rules = {} if pull is None else {"live": pull}
    if origins is None:
        origins = StaticOrigins(lambda key: rules[key.app].origins if key.app in rules else ())
    context = ServerContext(
        registry=registry,
        authorizer=OpenDoor(),
        claims=Claims(origins, loop.time),
        stats=stats,
        clock=loop.time,
        random_bytes=os.urandom,
        new_session=SessionIds(time.time, os.urandom),
        limits=Limits(),
        settings=ServerSettings(),
        play_rules=lambda _key: PlayRules(),
        publish_rules=lambda _key: PublishRules(),
        sweeper=Sweeper(loop.call_later),
        instance_id=name,
        claim_policy=Handover(lambda _key: handover),
        library=library or NoVod(),
    )
    dialer = RelayDialer(name, context.new_session, PATIENCE, ca_file)
    numbered = enumerate(push if isinstance(push, Sequence) else (), 1)
    named = {f"config-{number}": RelayTemplate.parse(url) for number, url in numbered}
    targets = push if isinstance(push, Mapping) else named
    pushes = PushRelays(registry, dialer, loop.time, lambda key: targets if key.app == "live" else {}, retry)
    names = () if pull is None or pull.rule.on_demand else pull.rule.names or ()
    always = [StreamKey("live", name) for name in names]
    pulls = PullRelays(
        registry,
        dialer,
        loop.time,
        origins,
        lambda key: rules[key.app].rule if key.app in rules else None,
        retry,
        PullHandover(lambda _key: handover),
    )
    registry.observe(pushes)
    registry.observe(pulls)
    rtmp = RtmpServer(context, ConnectionLimits())
    sock = open_listener(Address("127.0.0.1", port))
    listener = await loop.create_server(lambda: ServerConnection(context, rtmp), sock=sock, ssl=tls)
    server = Server(name, context, pushes, pulls, sock.getsockname()[1], rtmp, listener, rules)
    pulls.apply(always, max_dials)
    sampler = loop.create_task(_sample(registry))
    try:
        yield server
    finally:
        sampler.cancel()
        await server.stop()
        assert dict(registry.streams) == {}
        assert registry.budget.used == 0
        assert (pushes.statuses(), pulls.statuses()) == ([], [])
        owners = [getattr(callback, "__self__", None) for callback in pending_callbacks(loop)]
        assert not any(getattr(owner, "_context", None) is pulls.context for owner in owners)


def pending_callbacks(loop: asyncio.AbstractEventLoop) -> list[object]:
    """What asyncio's own loop has timers for."""
    timers = getattr(loop, "_scheduled", [])
    return [timer._callback for timer in timers if not timer.cancelled()]


async def _sample(registry: Registry) -> None:
    while True:
        await asyncio.sleep(0.05)
        registry.sample(asyncio.get_running_loop().time())


@asynccontextmanager
async def publishing(
    server: Server, name: str = "cam", *, headers: bool = True
) -> AsyncIterator[rtmpd.Stream]:
    """An encoder that has sent metadata, headers and a keyframe."""
    async with await rtmpd.connect(server.url("live")) as connection:
        stream = await connection.publish(name)
        if headers:
            await stream.send(DATA, METADATA, 0)
            await stream.send_audio(AAC_HEADER, 0)
            await stream.send_video(AVC_HEADER, 0)
            await stream.send_video(keyframe(b"K0"), 0)
        yield stream


@asynccontextmanager
async def crashing(server: Server, name: bytes = b"K0") -> AsyncIterator[rtmpd.Stream]:
    """An encoder that has sent headers and a keyframe, and breaks off in the end."""
    connection = await rtmpd.connect(server.url("live"))
    stream = await connection.publish("cam")
    await stream.send_audio(AAC_HEADER, 0)
    await stream.send_video(AVC_HEADER, 0)
    await stream.send_video(keyframe(name), 0)
    try:
        yield stream
    finally:
        connection.abort()
        await connection.close()


class Viewer:
    """A player that keeps what it gets."""

    def __init__(self, connection: rtmpd.Connection, stream: rtmpd.Stream) -> None:
        self.connection = connection
        self.stream = stream
        self.messages: list[Message] = []
        self.over = False
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        try:
            async for message in self.stream:
                if message.type != DATA or b"onMetaData" in message.payload[:16]:
                    self.messages.append(message)
        finally:
            self.over = True

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    def has(self, payload: bytes) -> Callable[[], bool]:
        return lambda: payload in self.payloads

    async def close(self) -> None:
        self._task.cancel()
        await self.connection.close()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def watching(server: Server, name: str = "cam") -> AsyncIterator[Viewer]:
    connection = await rtmpd.connect(server.url("live"))
    viewer = Viewer(connection, await connection.play(name))
    try:
        yield viewer
    finally:
        await viewer.close()
