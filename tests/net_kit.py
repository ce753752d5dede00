"""A server of real parts on a port of its own, and raw clients that say messages and hear lines."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Container, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import rtmp_dialogue as dialogue
from engine_kit import AAC_HEADER, AVC_HEADER, message, name_of
from rtmp_dialogue import HANDSHAKE, command, connect

from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.media_limits import MediaRules
from rtmpd.engine.origin import SessionIds
from rtmpd.engine.packet import DATA
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import PlayOptions
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.stream import LiveStream
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.relay.origin_map import StaticOrigins
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSettings
from rtmpd.serving.access import AccessRequest, Action, Grant, PlayRules, PublishRules
from rtmpd.serving.claims import Claims
from rtmpd.serving.connection import ServerConnection
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.server import ConnectionLimits, RtmpServer
from rtmpd.serving.sweeper import Sweeper

PATIENCE = 15.0
"""Seconds after which a test that waits has failed."""
HEADERS = ((0, AVC_HEADER), (0, AAC_HEADER))
_CHATTER = ("Acknowledgement", "WindowAckSize", "SetPeerBandwidth", "SetChunkSize", "|RtmpSampleAccess")


async def eventually(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


class OpenDoor:
    def authorize(self, request: AccessRequest) -> Grant:
        return Grant(request.key)


@dataclass
class Doorman:
    """An authorizer that a test answers: each request waits until ``grant`` or ``fail``."""

    minds: Container[Action] = (Action.PUBLISH, Action.PLAY)
    """What else somebody wants is granted at once."""
    requests: list[AccessRequest] = field(default_factory=list)
    cancelled: int = 0
    swallow: bool = False
    """Grants when it is cancelled, as a careless one would."""
    _answers: list[asyncio.Future[None]] = field(default_factory=list)

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        return self._ask(request) if request.action in self.minds else Grant(request.key)

    async def _ask(self, request: AccessRequest) -> Grant:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.requests.append(request)
        self._answers.append(answer)
        try:
            await answer
        except asyncio.CancelledError:
            self.cancelled += 1
            if not self.swallow:
                raise
        return Grant(request.key)

    def grant(self) -> None:
        self._answers.pop(0).set_result(None)

    def fail(self, error: BaseException) -> None:
        self._answers.pop(0).set_exception(error)


class Client:
    """A connection to the server under test. Nothing is read but in ``hear`` and what is built on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._in = ChunkReader(Limits(min_chunk_size=1, max_message_bytes=0xFFFFFF))
        self._out = ChunkWriter()
        self._heard: deque[Message] = deque()
        self.bytes_said = self.bytes_heard = 0

    async def handshake(self) -> Client:
        self.writer.write(HANDSHAKE)
        async with asyncio.timeout(PATIENCE):
            await self.reader.readexactly(len(HANDSHAKE))
        self.bytes_said = self.bytes_heard = len(HANDSHAKE)
        return self

    # Saying

    def say(self, *messages: Message) -> None:
        data = self.encode(*messages)
        self.bytes_said += len(data)
        self.writer.write(data)

    def encode(self, *messages: Message) -> bytes:
        return b"".join(self._out.write(message, csid=4) for message in messages)

    def call(self, name: str, transaction_id: float = 0, *args: AmfValue, on: int = 0) -> None:
        self.say(command(name, transaction_id, *args, on=on))

    def send(self, *media: tuple[int, bytes], on: int = 1) -> None:
        """Media of a publish, each with its timestamp."""
        self.say(*media_messages(*media, on=on))

    async def publish(self, name: str = "cam", *, on: int = 1) -> Client:
        """From wherever this connection is to a publish on its next stream, which must be ``on``."""
        self._prepare(on)
        self.call("publish", 0, name, "live", on=on)
        await self.until(f"{on}: onStatus 0 status NetStream.Publish.Start")
        return self

    async def play(self, name: str = "cam", *, on: int = 1) -> Client:
        self._prepare(on)
        self.call("play", 0, name, on=on)
        await self.until(f"{on}: onStatus 0 status NetStream.Play.Start")
        return self

    def _prepare(self, on: int) -> None:
        if on == 1:
            self.say(connect())
        self.call("createStream", 1 + on)

    # Hearing

    async def hear_message(self) -> Message:
        """The next message; EOFError after an orderly close, ConnectionResetError after another one."""
        async with asyncio.timeout(PATIENCE):
            while not self._heard:
                data = await self.reader.read(1 << 16)
                if not data:
                    raise EOFError
                self.bytes_heard += len(data)
                self._heard += self._in.receive_data(data)
        return self._heard.popleft()

    async def hear(self) -> str:
        """The next message as a line, protocol control and the like left out."""
        while True:
            if (line := describe(await self.hear_message())) is not None:
                return line

    async def until(self, last: str) -> list[str]:
        """The lines up to the one that is ``last``."""
        lines = [await self.hear()]
        while lines[-1] != last:
            try:
                lines.append(await self.hear())
            except (EOFError, TimeoutError) as error:
                raise AssertionError(f"{last!r} never came after {lines}") from error
        return lines

    async def answer(self) -> str:
        """The first status of the publish or play on message stream 1 that says how it went."""
        while True:
            line = await self.hear()
            if line.startswith("1: onStatus") and not line.endswith("Play.Reset"):
                return line

    async def rest(self) -> list[str]:
        """The lines up to the orderly close."""
        lines = []
        while True:
            try:
                lines.append(await self.hear())
            except EOFError:
                return lines

    async def closed(self) -> None:
        """Wait for the end, orderly or not."""
        with suppress(EOFError, ConnectionError):
            while True:
                await self.hear_message()

    async def close(self) -> None:
        self.writer.close()
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                await self.writer.wait_closed()

    def reset(self) -> None:
        """Break the connection, as a crash of the machine in between would."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


def describe(message: Message) -> str | None:
    """A word for media, a line for a command, None for what every dialogue is full of."""
    if message.type in (MessageType.AUDIO, MessageType.VIDEO):
        line = f"{name_of(message.type, message.payload)}@{message.timestamp}"
    elif message.type == MessageType.DATA_AMF0 and name_of(DATA, message.payload) == "meta":
        line = f"meta@{message.timestamp}"
    else:
        line = dialogue.describe(message)
    if line.startswith(_CHATTER):
        return None
    return f"{message.stream_id}: {line}" if message.stream_id else line


def media_messages(*media: tuple[int, bytes], on: int = 1) -> list[Message]:
    plain = [message(timestamp, payload) for timestamp, payload in media]
    return [Message(each.type, each.timestamp, on, each.payload) for each in plain]


@dataclass
class House:
    """The server under test with its surroundings."""

    context: ServerContext
    server: RtmpServer
    listener: socket.socket
    port: int
    clients: list[Client] = field(default_factory=list)

    @property
    def stats(self) -> ServerStats:
        return self.context.stats

    @property
    def registry(self) -> Registry:
        return self.context.registry

    def stream(self, name: str = "cam") -> LiveStream:
        return self.registry.streams[StreamKey("live", name)]

    async def dial(self, receive_buffer: int = 0) -> Client:
        """A connection that has said nothing yet."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        client = Client(*await asyncio.open_connection(sock=sock, limit=1 << 14))
        self.clients.append(client)
        return client

    async def client(self, receive_buffer: int = 0) -> Client:
        """A connection that has done its handshake."""
        return await (await self.dial(receive_buffer)).handshake()

    @property
    def connections(self) -> set[ServerConnection]:
        """All that are open, in no order."""
        return set(self.server._connections.values())

    @property
    def open_connections(self) -> int:
        return sum(self.stats.connections.values())


async def _sample(house: House, interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        house.registry.sample(house.context.clock())


@asynccontextmanager
async def serve(
    *,
    connections: ConnectionLimits | None = None,
    engine: EngineLimits | None = None,
    play_options: PlayOptions | None = None,
    wait_timeout: float = 0.0,
    media: MediaRules | None = None,
    send_buffer: int = 0,
    sample_every: float = 0.0,
    **settings: object,
) -> AsyncIterator[House]:
    """Run a server; ``settings`` are fields of its ServerContext. It must leave nothing behind.

    ``sample_every``: seconds from one ``Registry.sample`` to the next, 0 is never.
    """
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    stats = ServerStats()
    registry = Registry(Flusher(loop.call_soon, loop.call_later, loop.time, loop.time), stats, engine)
    defaults = ServerContext(
        registry=registry,
        authorizer=OpenDoor(),
        claims=Claims(StaticOrigins(lambda _key: ()), loop.time),
        stats=stats,
        clock=loop.time,
        random_bytes=os.urandom,
        new_session=SessionIds(time.time, os.urandom),
        limits=Limits(),
        settings=ServerSettings(),
        play_rules=lambda _key: PlayRules(play_options or PlayOptions(), wait_timeout),
        publish_rules=lambda _key: PublishRules(media=media or MediaRules()),
        sweeper=Sweeper(loop.call_later),
    )
    context = replace(defaults, **settings)  # type: ignore[arg-type]
    server = RtmpServer(context, connections or ConnectionLimits())
    sock = open_listener(Address("127.0.0.1", 0))
    if send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    listener = await server.listen(sock)
    house = House(context, server, sock, listener.address.port)
    sampling = loop.create_task(_sample(house, sample_every)) if sample_every else None
    try:
        yield house
    finally:
        if sampling is not None:
            sampling.cancel()
        for client in house.clients:
            await client.close()
        await server.close(PATIENCE)
    await eventually(lambda: asyncio.all_tasks() == before)
    assert dict(registry.streams) == {}
    assert (house.open_connections, stats.publishers, stats.players) == (0, 0, 0)
    assert registry.budget.used == 0
    assert sock.fileno() == -1
    for rounds in (context.sweeper.watched, context.sweeper.unwatched):
        assert (rounds._timer, rounds._between, rounds.members) == (None, None, {})
    # A last flush may still be due, within the merge window.
    assert [timer for timer in pending_timers(loop) if timer.when() > loop.time() + 0.1] == []


def pending_timers(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """Timers that still run; of asyncio's own loop, as uvloop does not tell."""
    return [timer for timer in getattr(loop, "_scheduled", []) if not timer.cancelled()]
