"""HLS and MSE without a network: what packaging a stream costs, and what answers to those who watch it do.

Time is that of the media. It goes on from run to run, so that each has as much to do as the one before.
"""

from __future__ import annotations

import asyncio
import atexit
import gzip
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, Final, TypeVar, cast

from stand_ins import EmptyTransport, NullPublisher, NullSink, Unplanned

from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.mp4_wire import Mp4Wire, Mp4Wish
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import PlayOptions
from rtmpd.engine.stats import ServerStats
from rtmpd.http.hls import Hls
from rtmpd.http.hls_answers import HlsAnswers
from rtmpd.http.hls_place import HlsTerms
from rtmpd.http.hls_quick import QuickHls
from rtmpd.http.hls_tokens import TokenMint
from rtmpd.http.server import HttpServer
from rtmpd.net.address_mask import AddressMask
from rtmpd.packaging.fragments import Fragments
from rtmpd.packaging.package import Package
from rtmpd.packaging.packages import Packages
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.rules import HlsRules
from rtmpd.relay.origin_map import StaticOrigins
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSettings
from rtmpd.serving.access import AccessRequest, Grant, PlayRules, PublishRules
from rtmpd.serving.claims import Claims
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.server import ConnectionLimits, RtmpServer
from rtmpd.serving.sweeper import Sweeper

T = TypeVar("T")

_KEY: Final = StreamKey("live", "cam")
_HEADERS: Final = 3
"""Of the programme: metadata, and what both decoders need."""
_UNIX: Final = 1_800_000_000.0
_WINDOW: Final = 12.0
"""Seconds that playlists list."""
_GROUPS_TO_KNOW: Final = 3
_ROUNDS_BEFORE: Final = 8
"""Runs until a playlist is as long as it gets."""
_TURNS: Final = 10
"""Of the loop, until aiohttp has answered."""
_OK: Final = b"HTTP/1.1 200 OK"
_MEDIA_PLAYLIST: Final = re.compile(rb"^[^#\r\n]+\.m3u8\?\S*", re.MULTILINE)
_AGENT: Final = (
    "Host: localhost:8935\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
    "Accept-Language: en-US,en;q=0.9\r\nReferer: http://localhost:8935/live/cam\r\n\r\n"
)


class Studio:
    """An encoder that sends the same group of pictures again and again, in its own time."""

    def __init__(self, gop: list[Message], seconds: float, packets_per_flush: int) -> None:
        self.now = 1.0
        self._seconds = seconds
        self._sent = 0.0
        self._packets_per_flush = packets_per_flush
        self._media = gop[_HEADERS:]
        self._flusher = Flusher(lambda _: Unplanned(), lambda _, __: Unplanned(), self.clock, self.clock)
        self.stats = ServerStats()
        self.registry = Registry(self._flusher, self.stats, EngineLimits(merge_window=0.0))
        self._publication = self.registry.claim(_KEY, NullPublisher(), NOBODY, self.now)
        for message in gop[:_HEADERS]:
            self._publication.receive(_copy(message, 0), self.now)

    def clock(self) -> float:
        """That of the media."""
        return self.now

    def go_on(self, flushed: Callable[[], object] = lambda: None) -> None:
        """Send one group of pictures more; ``flushed`` is called behind each flush."""
        begin, start = round(self._sent * 1000), 1.0 + self._sent
        receive, flush, each = self._publication.receive, self._flusher.flush, self._packets_per_flush
        for number, message in enumerate(self._media):
            self.now = start + message.timestamp / 1000
            receive(_copy(message, begin), self.now)
            if number % each == 0:
                flush()
                flushed()
        self._sent += self._seconds

    def begin(self) -> None:
        """Send what it takes until a stream is packaged: by its key frames it is known how."""
        for _ in range(_GROUPS_TO_KNOW):
            self.go_on()

    def packages(self, part: float) -> Packages:
        """What is packaged with parts of that length (s)."""
        runs = count()
        rules = HlsRules(part=part, window=_WINDOW)
        return Packages(
            self.registry,
            lambda _key: rules,
            self.clock,
            lambda: _UNIX + self.now,
            lambda: f"{next(runs):08x}",
        )


def _rendition(package: Package) -> Rendition:
    """The one there is."""
    told = package.multivariant()
    assert told is not None
    found = package.rendition(told.plain.decode().splitlines()[-1])
    assert found is not None
    return found


def packaging(studio: Studio, part: float) -> Callable[[], object]:
    """From a publisher's message to playlists and parts, each made for the first who asks."""
    package = studio.packages(part).find(_KEY, studio.now)
    assert package is not None
    studio.begin()
    rendition = _rendition(package)

    def ask() -> None:
        for skip in (False, True):
            rendition.playlist(skip)
        assert package.file(rendition.names.part(*rendition.newest()))

    rendition.on_change(ask)
    return _settled(studio.go_on)


def fragments(studio: Studio) -> Callable[[], object]:
    """From a publisher's message to what one page is written by WebSocket, frame by frame."""
    studio.go_on()
    numbers = count()
    options = PlayOptions()
    made = Fragments(studio.registry, studio.clock, lambda: f"t{next(numbers)}").find(
        _KEY, Mp4Wish(), options
    )
    page = _Page()
    outlet = Outlet(studio.registry.outlets, page)
    studio.registry.attach(_KEY, page, outlet, options._replace(apart=made.number), studio.now).join(
        studio.now
    )
    run = _settled(studio.go_on)
    assert page.written
    return run


class _Page(NullSink, EmptyTransport):
    """Is written fragments, and always ready for more."""

    def __init__(self) -> None:
        super().__init__(Mp4Wire(framed=True))
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def write_all(self, images: Sequence[bytes]) -> None:
        self.written += sum(map(len, images))


def answers(studio: Studio, part: float, viewers: int) -> tuple[Callable[[], object], int]:
    """All that a stream costs which is watched by so many: each asks for the playlist with the next part in
    it, waits, and fetches the part. Also how many answers that are.
    """
    site = _Site(studio, part)
    studio.begin()
    browsers = [_Browser(site, f"203.0.113.{number}") for number in range(1, viewers + 1)]
    for browser in browsers:
        browser.open()
    rendition = site.rendition()
    last = (0, 0)

    def look() -> None:
        nonlocal last
        newest = rendition.newest()
        if newest != last:
            last = newest
            name, position = rendition.names.part(*newest), rendition.position()
            for browser in browsers:
                browser.follow(name, position)

    run = _settled(lambda: studio.go_on(look))
    before = sum(browser.answered for browser in browsers)
    run()
    return run, sum(browser.answered for browser in browsers) - before


class _Site:
    """The public HTTP server, as far as HLS needs it."""

    def __init__(self, studio: Studio, part: float) -> None:
        self._loop = loop = asyncio.new_event_loop()
        atexit.register(self._close)
        numbers = count(1)
        limits = Limits()
        context = ServerContext(
            registry=studio.registry,
            authorizer=_OpenDoor(),
            claims=Claims(StaticOrigins(lambda _key: ()), studio.clock),
            stats=studio.stats,
            clock=studio.clock,
            random_bytes=bytes,
            new_session=lambda: next(numbers),
            limits=limits,
            settings=ServerSettings(),
            play_rules=lambda _key: PlayRules(),
            publish_rules=lambda _key: PublishRules(),
            sweeper=Sweeper(loop.call_later),
        )
        self._hls = Hls(
            lambda: context,
            studio.packages(part),
            lambda _key: HlsTerms(),
            TokenMint(bytes(16)),
        )
        server, mask = RtmpServer(context, ConnectionLimits()), AddressMask(studio.clock, bytes)
        self.http = self.turn(lambda: HttpServer(server, mask))
        offered = HlsAnswers(self._hls)
        self.http.ways.offer(".m3u8", offered.playlist)
        self.http.ways.offer(".mp4", offered.file)
        self.http.answerer = QuickHls(self._hls)

    def rendition(self) -> Rendition:
        """What is watched."""
        place = self._hls.find(_KEY)
        assert place is not None
        return _rendition(place.package)

    def turn(self, call: Callable[[], T]) -> T:
        """What ``call`` returns, once aiohttp has done what it does then."""

        async def run() -> T:
            returned = call()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            return returned

        return self._loop.run_until_complete(run())

    def _close(self) -> None:
        """aiohttp waits for requests, which asyncio would complain of at the end."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()


class _OpenDoor:
    def authorize(self, request: AccessRequest) -> Grant:
        return Grant(request.key)


class _Browser(asyncio.Transport):
    """A player, and its connection: the server's end of it, by which nothing goes."""

    def __init__(self, site: _Site, address: str) -> None:
        super().__init__({"socket": socket.socket(), "peername": (address, 50000)})
        self.answered = 0
        self._site = site
        self._said = b""
        self._protocol: asyncio.Protocol | None = None
        self._playlist = ""
        origin = Origin(address=address, network=address)
        site.turn(lambda: site.http.serve(origin).connection_made(self))

    def open(self) -> None:
        """Find the media playlist, and ask for it once as it is: aiohttp reads the first of a kind."""
        self._site.turn(lambda: self._ask("index.m3u8"))
        found = _MEDIA_PLAYLIST.search(gzip.decompress(self._said.partition(b"\r\n\r\n")[2]))
        assert found is not None, self._said
        self._playlist = found[0].decode()
        self._site.turn(lambda: self._ask(self._playlist))

    def follow(self, part: str, position: tuple[int, int]) -> None:
        """Fetch a part, and ask for the playlist that has the one at ``position``."""
        self._ask(part)
        number, which = position
        self._ask(f"{self._playlist}&_HLS_msn={number}&_HLS_part={which}")

    def _ask(self, name: str) -> None:
        assert self._protocol is not None
        self._protocol.data_received(f"GET /live/cam/{name} HTTP/1.1\r\n{_AGENT}".encode())

    # The transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.Protocol", protocol)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        raise AssertionError(f"closed: {self._said!r}")

    def write(self, data: Any) -> None:
        self.writelines((data,))

    def writelines(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            self.answered += piece[: len(_OK)] == _OK
            self._said = piece


def _copy(message: Message, later: int) -> Message:
    return Message(message.type, message.timestamp + later, message.stream_id, message.payload)


def _settled(run: Callable[[], object]) -> Callable[[], object]:
    """``run``, from which on it does the same each time."""
    for _ in range(_ROUNDS_BEFORE):
        run()
    return run
