"""HLS on the public HTTP listener: real packages, an encoder in step, and players that read what they get."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from engine_kit import FULL_HD
from http_kit import Browser, Site, site
from net_kit import Client, eventually

from rtmpd.engine.key import StreamKey
from rtmpd.http.hls import Hls
from rtmpd.http.hls_answers import HlsAnswers
from rtmpd.http.hls_beacons import BEACON, HlsBeacons
from rtmpd.http.hls_place import HlsTerms
from rtmpd.http.hls_quick import QuickHls
from rtmpd.http.hls_tokens import TokenMint
from rtmpd.http.server import HttpRules
from rtmpd.outputs.names import open_folder, stream_levels
from rtmpd.packaging.folder import Places
from rtmpd.packaging.packages import Packages
from rtmpd.packaging.rules import HlsRules

FRAME_MS = 40
FRAMES = 25
"""Of a second, and of a GOP."""


def picture(number: int) -> bytes:
    head = b"\x17" if number % FRAMES == 0 else b"\x27"
    return head + b"\x01\x00\x00\x00" + bytes(100)


@dataclass
class Encoder:
    """Sends frames when it is told to: how much of the stream there is does not depend on the clock."""

    client: Client
    there: HlsSite
    sent: int = 0

    async def go_on(self, frames: int) -> None:
        """Send so many, and see them arrive."""
        numbers = range(self.sent, self.sent + frames)
        self.client.send(*((number * FRAME_MS, picture(number)) for number in numbers))
        self.sent += frames
        stats = self.there.house.stream(self.name).stats
        await eventually(lambda: stats.video.messages_in == self.sent + 1)
        await asyncio.sleep(0)

    name: str = "cam"


@dataclass
class HlsSite:
    """A site with it."""

    site: Site
    hls: Hls
    packages: Packages
    terms: dict[str, HlsTerms]

    @property
    def house(self) -> Any:
        return self.site.house

    async def encoder(self, seconds: int = 2, name: str = "cam") -> Encoder:
        """One that has sent so many seconds, and most of another one."""
        client = await (await self.house.client()).publish(name)
        client.send((0, FULL_HD))
        encoder = Encoder(client, self, name=name)
        await eventually(lambda: self.house.stream(name).stats.video.messages_in == 1)
        await encoder.go_on(seconds * FRAMES + 20)
        return encoder

    async def viewer(self, name: str = "cam", query: str = "", **headers: str) -> Watcher:
        """Somebody who has read the playlist of playlists."""
        watcher = Watcher(await self.site.browser(), f"/live/{name}", "", headers)
        text = (await watcher.get(f"index.m3u8{query}")).decode()
        assert watcher.status == 200, text
        watcher.uri = next(line for line in text.splitlines() if line and line[0] != "#")
        return watcher


@dataclass
class Watcher:
    """A player, on one connection."""

    browser: Browser
    folder: str
    uri: str
    """Of its media playlist, as it was told it."""
    headers: dict[str, str]
    text: str = ""

    @property
    def token(self) -> str:
        return self.uri.partition("token=")[2]

    def ask(self, name: str, query: str = "") -> Watcher:
        """Ask for what is called so, without reading an answer."""
        joint = "&" if "?" in name else "?"
        self.browser.ask(f"{self.folder}/{name}{joint + query if query else ''}", **self.headers)
        return self

    async def read(self) -> bytes:
        """The body of the next answer."""
        await self.browser.head()
        async with asyncio.timeout(5):
            data = await self.browser.reader.readexactly(int(self.browser.headers["content-length"]))
        if self.browser.headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        return data

    async def get(self, name: str, query: str = "") -> bytes:
        return await self.ask(name, query).read()

    async def playlist(self, query: str = "") -> str:
        """The media playlist."""
        self.text = (await self.get(self.uri, query)).decode()
        return self.text

    @property
    def status(self) -> int:
        return self.browser.status

    @property
    def files(self) -> list[str]:
        """Of the last playlist, in order."""
        return re.findall(r"[\w-]+\.mp4", self.text)

    @property
    def parts(self) -> list[str]:
        """The same of parts alone."""
        return re.findall(r'EXT-X-PART:[^\n]*URI="([^"]+)"', self.text)

    @property
    def hinted(self) -> str:
        found = re.search(r'PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', self.text)
        assert found
        return found[1]

    @property
    def comes_next(self) -> tuple[int, int]:
        """Media sequence number and part, by the name of the hint."""
        *_, msn, part = self.hinted.removesuffix(".mp4").split("_")
        return int(msn), int(part)


@asynccontextmanager
async def hls_site(
    rules: HttpRules | None = None,
    hls: HlsRules | None = None,
    **settings: Any,
) -> AsyncIterator[HlsSite]:
    """Run one; ``settings`` as ``site`` takes them."""
    async with site(rules, **settings) as there:
        runs = count()
        context = there.house.context
        packages = Packages(
            context.registry,
            lambda _key: hls or HlsRules(segment=1.0),
            context.clock,
            time.time,
            lambda: f"{next(runs):08x}",
            lambda root, key: Places(root, stream_levels(key), open_folder),
        )
        terms: dict[str, HlsTerms] = {}
        service = Hls(
            lambda: there.house.server.context,
            packages,
            lambda key: terms.get(str(key), HlsTerms()),
            TokenMint(bytes(16)),
        )
        answers = HlsAnswers(service)
        there.http.ways.offer(".m3u8", answers.playlist)
        there.http.ways.offer(".mp4", answers.file)
        there.http.ways.offer(BEACON, HlsBeacons(service).answer)
        there.http.answerer = QuickHls(service)
        try:
            yield HlsSite(there, service, packages, terms)
        finally:
            service.close()
            packages.close()


def key(name: str = "cam") -> StreamKey:
    return StreamKey("live", name)
