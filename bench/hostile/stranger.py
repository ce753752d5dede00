"""A peer that keeps to no rules: it writes what it is told, when it is told, and reads only if it is told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from typing import Final, Self, cast

from rtmpd.rtmp import control
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.commands import Command
from rtmpd.rtmp.constants import DEFAULT_CHUNK_SIZE, MessageType
from rtmpd.tools.load.common import encode_command

CHUNK_SIZE: Final = 65536
HANDSHAKE: Final = b"\x03" + bytes(1536 + 1536)
"""C0, C1 and C2 at once."""
AVC_HEADER: Final = bytes.fromhex(
    "17000000000142c01fffe100176742c01fda014016ec0440000003004000000f03c60ca801000468ce0fc8"
)
_TAIL: Final = 65536
_TIMEOUT: Final = 10.0
_CSID_MEDIA: Final = 6


def message(kind: MessageType, payload: bytes, timestamp: int = 0, stream_id: int = 1) -> bytes:
    """The bytes of a message, in chunks of ``CHUNK_SIZE``."""
    return encode_message(int(kind), timestamp, stream_id, payload, _CSID_MEDIA, CHUNK_SIZE)


def unfinished(kind: MessageType, length: int, csid: int) -> bytes:
    """A message of ``length`` bytes but for its last chunk, so that others may be sent meanwhile."""
    last = (length - 1) % CHUNK_SIZE + 1
    return encode_message(int(kind), 0, 1, bytes(length), csid, CHUNK_SIZE)[: -last - 1]


def keyframe(size: int, timestamp: int = 0) -> bytes:
    return message(MessageType.VIDEO, b"\x17\x01\0\0\0" + bytes(size), timestamp)


def frame(size: int, timestamp: int) -> bytes:
    return message(MessageType.VIDEO, b"\x27\x01\0\0\0" + bytes(size), timestamp)


def greeting(app: str = "live") -> bytes:
    """Handshake, our chunk size, connect and createStream in one piece."""
    announce = control.set_chunk_size(CHUNK_SIZE)
    connect = Command("connect", 1, {"app": app, "tcUrl": f"rtmp://127.0.0.1/{app}", "flashVer": "stranger"})
    return (
        HANDSHAKE
        + encode_message(announce.type, 0, 0, announce.payload, 2, DEFAULT_CHUNK_SIZE)
        + encode_command(connect, 0, CHUNK_SIZE)
        + encode_command(Command("createStream", 2), 0, CHUNK_SIZE)
    )


def request(verb: str, *arguments: str | int, stream_id: int = 1, transaction_id: int = 0) -> bytes:
    """A command such as play or publish."""
    return encode_command(Command(verb, transaction_id, None, arguments), stream_id, CHUNK_SIZE)


class Stranger(asyncio.Protocol):
    """One connection. With ``reads`` false nothing is ever taken from the socket."""

    transport: asyncio.Transport

    def __init__(self, *, reads: bool) -> None:
        self.closed = asyncio.Event()
        self.received = 0
        self._reads = reads
        self._tail = b""
        self._wanted = b""
        """What ``hear`` waits for, until it has come."""
        self._heard = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()

    @classmethod
    async def dial(cls, port: int, source: str = "127.0.0.1", *, reads: bool = True, buffer: int = 0) -> Self:
        """Connect from an address of the loopback. Raises ``OSError``."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            sock.bind((source, 0))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_TIMEOUT):
                await loop.sock_connect(sock, ("127.0.0.1", port))
                _, stranger = await loop.create_connection(lambda: cls(reads=reads), sock=sock)
        except BaseException:
            sock.close()
            raise
        return stranger

    # Asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self._reads:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        window = self._tail + data
        # Before it is cut: a burst of media may come in the same piece.
        if self._wanted and self._wanted in window:
            self._wanted = b""
        self._tail = window[-_TAIL:]
        self._heard.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set()
        self._heard.set()
        self._may_write.set()

    # What it is told

    def say(self, data: bytes) -> None:
        """Write without waiting for anybody."""
        if not self.closed.is_set():
            self.transport.write(data)

    async def send(self, data: bytes) -> None:
        """Write, and wait until the kernel has most of it. Raises ``ConnectionError`` once closed."""
        self.say(data)
        await self._may_write.wait()
        if self.closed.is_set():
            raise ConnectionResetError("the server closed the connection")

    async def hear(self, text: bytes, patience: float = _TIMEOUT) -> bool:
        """Until the server has said that; False if it does not, or closes."""
        self._wanted = b"" if text in self._tail else text
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._wanted and not self.closed.is_set():
                    self._heard.clear()
                    await self._heard.wait()
        return not self._wanted

    @property
    def heard(self) -> bytes:
        """The last that the server has said."""
        return self._tail

    async def hear_line(self) -> bytes:
        """The first line that the server says, empty if it closes or takes too long."""
        await self.hear(b"\n")
        return self._tail.partition(b"\n")[0]

    async def publish(self, name: str) -> bool:
        """Greet and publish; whether it was granted."""
        self.say(greeting() + request("publish", name, "live"))
        return await self.hear(b"NetStream.Publish.Start")

    async def play(self, name: str) -> bool:
        """Greet and play; whether it was granted."""
        self.say(greeting() + request("play", name, -2))
        return await self.hear(b"NetStream.Play.Start")

    def leave(self) -> None:
        """Close at once, with a reset: nothing lingers in our kernel."""
        if not self.closed.is_set():
            self.transport.abort()


class Crowd:
    """Strangers that leave together at the end of a block."""

    def __init__(self, port: int) -> None:
        self.members: list[Stranger] = []
        self._port = port
        self._addresses = itertools.cycle(
            f"127.0.{third}.{fourth}" for third in (1, 2) for fourth in range(1, 251)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.leave()

    def address(self) -> str:
        """Of the loopback network, another one than the last 499."""
        return next(self._addresses)

    async def join(self, source: str = "127.0.0.1", *, reads: bool = True, buffer: int = 0) -> Stranger:
        """One more. Raises ``OSError``."""
        member = await Stranger.dial(self._port, source, reads=reads, buffer=buffer)
        self.members.append(member)
        return member

    @property
    def closed(self) -> int:
        """How many the server has closed."""
        return sum(member.closed.is_set() for member in self.members)
