"""The public HTTP listener of a server of real parts, and raw clients that read what it says."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine_kit import name_of
from net_kit import PATIENCE, House, eventually, serve

from rtmpd.events.records import Recorder, SessionRecord
from rtmpd.http.connection import HttpConnection
from rtmpd.http.server import HttpRules, HttpServer
from rtmpd.media.flv import FlvReader, FlvTag
from rtmpd.net.address_mask import AddressMask
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener

WS_KEY = base64.b64encode(bytes(16)).decode()
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": WS_KEY,
}


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = b"\1\2\3\4") -> bytes:
    """As a browser sends one, of less than 64 KiB."""
    size = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes((0x80 * fin | opcode,)) + size + mask + body


def named(tag: FlvTag) -> str:
    return f"{name_of(tag.type, tag.payload)}@{tag.timestamp}"


@dataclass
class Browser:
    """One connection to the listener. Nothing is read but by its methods."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """In lower case."""
    _flv: FlvReader = field(default_factory=FlvReader)
    _tags: list[FlvTag] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET", version: str = "1.1", **headers: str) -> Browser:
        """Send a request without a body; headers are written with ``_`` for ``-``."""
        return self.ask_with(
            path, {name.replace("_", "-"): value for name, value in headers.items()}, method, version
        )

    def ask_with(
        self, path: str, headers: Mapping[str, str], method: str = "GET", version: str = "1.1"
    ) -> Browser:
        lines = [f"{method} {path} HTTP/{version}", "Host: tv.example:8935"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return self

    async def head(self) -> int:
        """Read status line and headers; the status."""
        async with asyncio.timeout(PATIENCE):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = text.split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {}
        for line in filter(None, lines):
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        return self.status

    async def body(self) -> str:
        """Of an answer with a length."""
        async with asyncio.timeout(PATIENCE):
            return (await self.reader.readexactly(int(self.headers["content-length"]))).decode()

    async def tag(self) -> FlvTag:
        """The next tag of an answer that is FLV. EOFError at the end."""
        async with asyncio.timeout(PATIENCE):
            while not self._tags:
                data = await self.reader.read(1 << 16)
                if not data:
                    raise EOFError
                self._tags += self._flv.receive_data(data)
        return self._tags.pop(0)

    @property
    def media(self) -> tuple[bool, bool]:
        """Audio and video, as the file's header has it."""
        return self._flv.has_audio, self._flv.has_video

    async def until(self, last: str) -> list[str]:
        """Names of tags up to the one called so."""
        names = [named(await self.tag())]
        while names[-1] != last:
            names.append(named(await self.tag()))
        return names

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame from the server, which masks none."""
        async with asyncio.timeout(PATIENCE):
            first, second = await self.reader.readexactly(2)
            size = second
            if extra := {126: 2, 127: 8}.get(second, 0):
                size = int.from_bytes(await self.reader.readexactly(extra), "big")
            return first, await self.reader.readexactly(size)

    async def closed(self) -> bytes:
        """What is left until the orderly end."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


@dataclass
class Site:
    """The listener under test beside the RTMP one of ``house``."""

    house: House
    http: HttpServer
    port: int
    browsers: list[Browser] = field(default_factory=list)

    async def browser(self, limit: int = 1 << 16) -> Browser:
        browser = Browser(*await asyncio.open_connection("127.0.0.1", self.port, limit=limit))
        self.browsers.append(browser)
        return browser

    async def get(self, path: str, method: str = "GET", **headers: str) -> Browser:
        """With the head of the answer."""
        browser = (await self.browser()).ask(path, method, **headers)
        await browser.head()
        return browser

    async def socket(self, path: str, **headers: str) -> Browser:
        """A WebSocket that is open."""
        browser = (await self.browser()).ask_with(path, UPGRADE | headers)
        assert await browser.head() == 101
        return browser


class Archive:
    """The records of a site."""

    def __init__(self, house: House) -> None:
        self.records: list[SessionRecord] = []
        loop = asyncio.get_running_loop()
        recorder = Recorder(loop.call_soon, house.context.clock, time.time, house.registry.budget)
        house.registry.observe(recorder)
        house.registry.sessions.observer = recorder
        recorder.add_listener(self)

    def recorded(self, record: SessionRecord) -> None:
        self.records.append(record)


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.told.append(logging.Formatter().format(record))


@contextmanager
def no_tracebacks() -> Iterator[None]:
    """Whatever peers do is no bug of ours."""
    listener = _Listener()
    logging.getLogger().addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(listener)
    assert listener.told == []


@asynccontextmanager
async def site(rules: HttpRules | None = None, **settings: Any) -> AsyncIterator[Site]:
    """Run both; ``settings`` as ``serve`` takes them. They must leave nothing behind."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(serve(**settings))
        http = HttpServer(house.server, AddressMask(house.context.clock, bytes))
        http.rules = rules or HttpRules()
        http._handling["lingering_time"] = 0.05  # Or who is refused a POST is waited for.
        listener = await house.server.listen(open_listener(Address("127.0.0.1", 0)), serve=http.serve)
        there = Site(house, http, listener.address.port)
        stack.enter_context(no_tracebacks())
        try:
            yield there
        finally:
            for browser in there.browsers:
                browser.writer.close()
            await eventually(lambda: not any(isinstance(each, HttpConnection) for each in house.connections))
            await http.close()
