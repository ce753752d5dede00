"""Load on a server: what synthetic players and publishers share.

They are leaner than the client library, so that one process can hold thousands and the server is what gets
tired: requests are encoded once for all connections, and answers are recognized by their first bytes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final, Protocol

from rtmpd.exceptions import ConnectionClosed, RequestRejected, RtmpdError, UsageError
from rtmpd.net.resolver import RESOLVER
from rtmpd.rtmp import control
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.command_scan import parse_command
from rtmpd.rtmp.commands import Command, Status, serialize_command
from rtmpd.rtmp.constants import (
    CSID_COMMAND,
    CSID_CONTROL,
    CSID_DATA,
    DEFAULT_CHUNK_SIZE,
    DEFAULT_WINDOW_SIZE,
    MessageType,
)
from rtmpd.rtmp.handshake import ClientHandshake
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl

DIAL_TIMEOUT: Final = 30.0
"""Seconds from the first SYN to the last answer."""
NUMBER_FIELD: Final = "{i}"
"""Stands for the number of the stream in a stream name."""

_DIALS_AT_ONCE: Final = 64
_HOPELESS: Final = 10
"""Failures without a success after which no more connections are tried."""
_READ_BYTES: Final = 256 * 1024
_CONNECT_ID: Final = 1
_CREATE_STREAM_ID: Final = 2
_FLASH_VERSION: Final = "FMLE/3.0 (compatible; rtmpd bench)"
_COMMANDS: Final = frozenset({int(MessageType.COMMAND_AMF0), int(MessageType.COMMAND_AMF3)})
_ERROR_LEVEL: Final = b"\x02\x00\x05error"
_read_number = Struct(">d").unpack
_LIMITS: Final = Limits(min_chunk_size=1)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Percentiles of a set of measurements; all 0 when there are none."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float], scale: float = 1.0) -> Distribution:
        """Percentiles of ``values``, each multiplied by ``scale``."""
        if not values:
            return cls()
        ordered = sorted(values)
        last = len(ordered) - 1
        picks = (ordered[round(last * share)] for share in (0.5, 0.9, 0.99, 1.0))
        return cls(len(ordered), *(round(pick * scale, 3) for pick in picks))


class MessageReader(Protocol):
    """Makes messages of bytes in pieces of any size."""

    def receive_data(self, data: bytes, /) -> list[Message]:
        """Raises ``ProtocolError``."""
        ...


@dataclass(frozen=True, slots=True)
class Dialled:
    """A connection on which media may flow. ``reader`` holds what has begun to arrive."""

    sock: socket.socket
    reader: MessageReader
    stream_id: int
    early: list[Message]
    """Messages that came along with the last answer."""
    started_at: float
    """Loop time of the first SYN."""
    connected_at: float
    """Loop time of the answer to connect."""
    acknowledge_every: float = DEFAULT_WINDOW_SIZE // 2
    """Bytes after which the server is told how many have come; ``inf`` where nobody tells."""


class Dialler:
    """Opens connections to one server and application.

    Raises ``UsageError`` for a URL that cannot be used, ``ConnectFailed`` for a host that cannot be found.
    """

    def __init__(self, url: RtmpUrl, address: tuple[str, int], family: int, chunk_size: int) -> None:
        self._address = address
        self._family = family
        properties: dict[str, AmfValue] = {
            "app": url.app,
            "type": "nonprivate",
            "flashVer": _FLASH_VERSION,
            "tcUrl": url.tc_url,
        }
        announce = _encode(control.set_chunk_size(chunk_size), CSID_CONTROL, DEFAULT_CHUNK_SIZE)
        connect = Command("connect", _CONNECT_ID, properties)
        create_stream = Command("createStream", _CREATE_STREAM_ID)
        self._connect = announce + encode_command(connect, 0, chunk_size)
        self._create_stream = encode_command(create_stream, 0, chunk_size)
        self._request = lru_cache(maxsize=4096)(_encode_request)
        self._query = f"?{url.query}" if url.query else ""
        self._chunk_size = chunk_size

    @classmethod
    async def resolve(cls, url: RtmpUrl, chunk_size: int) -> Dialler:
        """Look up the host of ``url``."""
        if url.scheme != "rtmp":
            raise UsageError("bench speaks plain rtmp:// only")
        if not url.name:
            raise UsageError("the URL names no stream: rtmp://host/app/name is expected")
        family, _, _, _, address = (await RESOLVER.resolve(url.host, url.port))[0]
        return cls(url, (str(address[0]), int(address[1])), family, chunk_size)

    async def play(self, name: str) -> Dialled:
        """Connect and send play; the answer to it is left to the reader of the media.

        Raises ``OSError``, ``ProtocolError``, ``ClientError`` or ``TimeoutError``.
        """
        return await self._dial(("play", name + self._query, -2))

    async def publish(self, name: str) -> Dialled:
        """Connect and publish; the server has said Publish.Start. Raises as ``play`` does."""
        return await self._dial(("publish", name + self._query, "live"))

    async def _dial(self, request: tuple[str, str, int | str]) -> Dialled:
        loop = asyncio.get_running_loop()
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            started_at = loop.time()
            async with asyncio.timeout(DIAL_TIMEOUT):
                await loop.sock_connect(sock, self._address)
                talk = _Talk(sock)
                await talk.shake_hands()
                await talk.send(self._connect)
                await talk.result(_CONNECT_ID)
                connected_at = loop.time()
                await talk.send(self._create_stream)
                stream_id = int(_read_number((await talk.result(_CREATE_STREAM_ID))[-8:])[0])
                await talk.send(self._request(*request, stream_id, self._chunk_size))
                if request[0] == "publish":
                    await talk.status(b"NetStream.Publish.Start")
        except BaseException:
            sock.close()
            raise
        return Dialled(sock, talk.reader, stream_id, talk.take_messages(), started_at, connected_at)


async def dial_all(
    number: int, rate: float, open_one: Callable[[int], Awaitable[None]], failures: dict[str, int]
) -> None:
    """Open connections 0..``number``-1, ``rate`` a second (0: as fast as they are answered).

    ``failures`` counts what went wrong by its text. Where the first ten fail, the rest is not tried.
    """
    slots = asyncio.Semaphore(_DIALS_AT_ONCE)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    succeeded = 0

    async def open_counted(index: int) -> None:
        nonlocal succeeded
        try:
            await open_one(index)
            succeeded += 1
        except (OSError, RtmpdError) as error:
            text = _reason(error)
            failures[text] = failures.get(text, 0) + 1
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        for index in range(number):
            if rate:
                await asyncio.sleep(begin + index / rate - loop.time())
            await slots.acquire()
            if not succeeded and sum(failures.values()) >= _HOPELESS:
                return
            group.create_task(open_counted(index))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not error.errno:
        return f"no answer within {DIAL_TIMEOUT:g} s"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def stream_name(pattern: str, index: int, streams: int) -> str:
    """The name of stream ``index`` (modulo ``streams``) of a ``pattern`` that may hold ``{i}``."""
    if NUMBER_FIELD in pattern:
        return pattern.replace(NUMBER_FIELD, str(index % streams))
    return pattern if streams == 1 else f"{pattern}{index % streams}"


def refusal(message: Message) -> RequestRejected | None:
    """What the server says in a command, if it is an error."""
    if message.type not in _COMMANDS or _ERROR_LEVEL not in message.payload:
        return None
    status = Status.from_command(parse_command(message, _LIMITS))
    text = f"{status.code}: {status.description}"
    return RequestRejected(text, code=status.code, description=status.description)


def encode_command(command: Command, stream_id: int, chunk_size: int) -> bytes:
    """The bytes of a command on its usual chunk stream."""
    message = Message(int(MessageType.COMMAND_AMF0), 0, stream_id, serialize_command(command))
    return _encode(message, CSID_DATA if stream_id else CSID_COMMAND, chunk_size)


def _encode_request(verb: str, name: str, argument: int | str, stream_id: int, chunk_size: int) -> bytes:
    return encode_command(Command(verb, 0, None, (name, argument)), stream_id, chunk_size)


def _encode(message: Message, csid: int, chunk_size: int) -> bytes:
    return encode_message(
        message.type, message.timestamp, message.stream_id, message.payload, csid, chunk_size
    )


class _Talk:
    """Questions and answers on one connection, up to the media."""

    def __init__(self, sock: socket.socket) -> None:
        self.reader = ChunkReader(_LIMITS)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._messages: list[Message] = []

    def take_messages(self) -> list[Message]:
        messages, self._messages = self._messages, []
        return messages

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    async def shake_hands(self) -> None:
        # Nobody compares the random part of a simple handshake, and dice cost time.
        handshake = ClientHandshake(bytes)
        await self.send(handshake.initial())
        while not handshake.done:
            reply = handshake.receive_data(await self._receive())
            if reply:
                await self.send(reply)
        self._messages += self.reader.receive_data(handshake.leftover())

    async def result(self, transaction_id: int) -> bytes:
        """The payload of the ``_result`` of a call."""
        number = Struct(">d").pack(transaction_id)
        return await self._answer(lambda payload: payload.startswith(b"\x02\x00\x07_result\x00" + number))

    async def status(self, code: bytes) -> bytes:
        """The payload of the onStatus with ``code``."""
        return await self._answer(lambda payload: code in payload)

    async def _answer(self, is_it: Callable[[bytes], bool]) -> bytes:
        while True:
            while self._messages:
                message = self._messages.pop(0)
                refused = refusal(message)
                if refused is not None:
                    raise refused
                if message.type in _COMMANDS and is_it(message.payload):
                    return message.payload
            self._messages += self.reader.receive_data(await self._receive())

    async def _receive(self) -> bytes:
        data = await self._loop.sock_recv(self._sock, _READ_BYTES)
        if not data:
            raise ConnectionClosed("the server closed the connection")
        return data
