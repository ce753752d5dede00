"""A small HTTP backend on loopback: it writes down what it is sent, and answers byte for byte as told."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

HANG = b"(hangs)"
"""In place of an answer: none ever comes."""
RESET = b"(breaks off)"
"""In place of an answer: the connection ends."""


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    head: str
    body: bytes

    @property
    def line(self) -> str:
        return self.head.splitlines()[0]

    @property
    def path(self) -> str:
        return self.line.split()[1]

    @property
    def headers(self) -> dict[str, str]:
        pairs = (line.partition(":") for line in self.head.splitlines()[1:])
        return {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answer(status: str = "200 OK", body: str | bytes = b"", *headers: str) -> bytes:
    """A whole answer of HTTP/1.1."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content


def answer_json(value: object, status: str = "200 OK") -> bytes:
    return answer(status, json.dumps(value), "Content-Type: application/json")


OK = answer()


@dataclass
class Backend:
    """``say`` answers each request; bytes, or a pair of them with a pause between."""

    say: Callable[[Asked], bytes | tuple[bytes, ...]]
    port: int = 0
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    pause: float = 0.0
    """Seconds between the parts of an answer."""
    once: bool = False
    """Closes each connection behind its first answer, without having said that it would."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    async def wait_for(self, number: int) -> list[Asked]:
        """What it was asked, once that is ``number`` requests."""
        async with asyncio.timeout(5.0):
            while len(self.asked) < number:
                self.arrived.clear()
                await self.arrived.wait()
        return self.asked

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with suppress(EOFError, ConnectionError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode()
        asked = Asked(head, b"")
        if length := int(asked.headers.get("content-length", "0")):
            asked = Asked(head, await reader.readexactly(length))
        self.asked.append(asked)
        self.arrived.set()
        said = self.say(asked)
        if said == RESET:
            writer.transport.abort()
            return False
        if said == HANG:
            await reader.read()
            return False
        for part in (said,) if isinstance(said, bytes) else said:
            writer.write(part)
            await writer.drain()
            if isinstance(said, tuple):
                await asyncio.sleep(self.pause)
        return not self.once


@asynccontextmanager
async def backend(
    say: Callable[[Asked], bytes | tuple[bytes, ...]] | bytes = OK,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> AsyncIterator[Backend]:
    """A backend that listens; its connections end with it."""
    made = Backend((lambda _asked: say) if isinstance(say, bytes) else say)
    server = await asyncio.start_server(made.handle, "127.0.0.1", port, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    made.scheme = "http" if tls is None else "https"
    try:
        yield made
    finally:
        # Whom it has accepted gets a transport first: asyncio leaks those for whom the server closed before.
        asyncio.get_running_loop().remove_reader(server.sockets[0])
        for _ in range(10):
            for writer in list(made._writers):
                writer.transport.abort()
            await asyncio.sleep(0)
        server.close()
        await server.wait_closed()


def unused_port() -> int:
    """A port that nobody listens on."""

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
