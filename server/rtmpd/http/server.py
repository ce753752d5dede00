"""The public HTTP server: who asks for what, and who answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.http.aliases import Aliases
from rtmpd.http.answers import Origins, plain, preflight, refused
from rtmpd.http.asking import Asked
from rtmpd.http.connection import HttpConnection
from rtmpd.http.lane import Answerer, Lane
from rtmpd.http.live import answer_live
from rtmpd.http.page import PICTURE, STATUS, Pages, PagesRules
from rtmpd.http.page_rules import PictureMaker
from rtmpd.http.visit import HttpVisit
from rtmpd.http.ways import NO_ENDING, Ways
from rtmpd.http.wishes import decoded, read_wish
from rtmpd.net.address_mask import AddressMask
from rtmpd.net.addresses import UNKNOWN, is_local
from rtmpd.net.http import web
from rtmpd.net.proxy_header import ProxyHeader
from rtmpd.net.visitors import SHARED, Visitors, http_logger
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.identity import named_by
from rtmpd.serving.server import RtmpServer

_METHODS: Final = ("GET", "HEAD", "POST", "OPTIONS")
_SHUTDOWN: Final = 1.0
"""Seconds that answers have at the end, which are no plays."""
_BODY_BYTES: Final = 64 * 1024
"""Of a body may wait, and as much again, before it is read no further."""
_KEPT: Final = 365 * 86_400.0
"""Seconds for which aiohttp keeps a connection: for as long as ``HttpConnection`` does."""
_LINGERING: Final = 2.0
"""Seconds that is read on of a body nobody wants."""


@dataclass(frozen=True, slots=True)
class HttpRules:
    """What the settings say."""

    prefix: str = ""
    """Of all paths, without a slash at its end."""
    origins: Origins = field(default_factory=Origins)
    pages: PagesRules = field(default_factory=PagesRules)
    aliases: Aliases = field(default_factory=Aliases)
    """Old paths, behind ``prefix`` too."""


class HttpServer:
    """One for all addresses; connections are counted, limited and ended by ``server``, as RTMP's are."""

    def __init__(
        self, server: RtmpServer, mask: AddressMask, pictures: Callable[[], PictureMaker] | None = None
    ) -> None:
        self.rules = HttpRules()
        self._pages = pages = Pages(lambda: self.rules.pages, pictures)
        self.ways = Ways()
        """Who answers what. Streams as FLV, and their pages, are there always."""
        self.ways.offer(".flv", answer_live)
        self.ways.offer(STATUS, pages.tell_status)
        self.ways.offer(PICTURE, pages.show_picture)
        self.ways.offer(NO_ENDING, pages.answer)
        self.answerer: Answerer | None = None
        """Who answers what is asked again and again, for connections that come from now on."""
        self._server = server
        self._visitors = Visitors(lambda: server.context.proxies, mask)
        # Without a router, whose answers would cost nobody anything.
        self._http = web.Server(self._handle)
        self._handling: dict[str, Any] = {
            "access_log": None,
            "logger": http_logger(),
            "auto_decompress": False,
            "keepalive_timeout": _KEPT,
            "lingering_time": _LINGERING,
            "read_bufsize": _BODY_BYTES,
        }

    async def close(self) -> None:
        """End what is answered, but for plays."""
        self._http.pre_shutdown()
        await self._http.shutdown(_SHUTDOWN)

    def serve(self, known: Origin) -> HttpConnection:
        """What somebody will be."""
        return HttpConnection(self._server.context, self._server, known, self)

    def receive(self, connection: HttpConnection) -> HttpVisit:
        """Read what somebody asks for, and answer."""
        visit = HttpVisit(
            self._http, connection.origin.address, loop=asyncio.get_running_loop(), **self._handling
        )
        visit.connection = connection
        visit.lane = Lane(visit, self.answerer, self._server.context.registry.budget)
        return visit

    # Inside

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = request.protocol
        if not isinstance(visit, HttpVisit) or not isinstance(visit.connection, HttpConnection):
            raise TypeError("a request of another server")
        connection = visit.connection
        connection.begin_answer(request.content)
        try:
            # Before it costs anything: clients of one proxy do not pay for each other.
            obstacle = connection.rename(self._named(request, connection))
            await connection.pay()
            if connection.over:  # It is read by nobody any more.
                return web.Response()
            shared = connection.session.shared = SHARED | self.rules.origins.headers(
                request, self._visitors.host_of(request)
            )
            if obstacle is None:
                answer = await self._answer(request, connection, visit.lane)
            else:
                text = f"Your address has had its share: {obstacle}."
                refusal = Refused(StatusCode.CONNECT_REJECTED, text, obstacle)
                path = decoded(request.raw_path).removeprefix(self.rules.prefix)
                answer = self.ways.explain(request, path, connection, refusal) or refused(refusal)
            varies = answer.headers.getall("Vary", [])
            answer.headers.update(shared)
            for name in varies:
                answer.headers.add("Vary", name)
            return answer
        finally:
            connection.expect_next()

    async def _answer(
        self, request: web.BaseRequest, connection: HttpConnection, lane: Lane
    ) -> web.StreamResponse:
        if request.method not in _METHODS:
            allowed = ", ".join(_METHODS)
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {allowed}.", {"Allow": allowed})
        path, prefix, host = decoded(request.raw_path), self.rules.prefix, self._visitors.host_of(request)
        if not (self.rules.origins.admits(request, host) or self._pages.is_open(connection, path, prefix)):
            text = "This web page may not have streams of this server: http.origins does not name it."
            return plain(HTTPStatus.FORBIDDEN, text)
        if request.method == "OPTIONS":
            return preflight(request)
        if not path.startswith(f"{prefix}/"):
            return _nothing(prefix)
        scheme = "https" if connection.origin.tls or self._visitors.is_secure(request) else "http"
        server = f"{scheme}://{host}{prefix}"
        path = path.removeprefix(prefix)
        where = self.rules.aliases.find(path)
        if where is not None and request.method != "POST":
            _, mark, query = request.raw_path.partition("?")
            return plain(HTTPStatus.FOUND, "It is elsewhere.", {"Location": f"{prefix}{where}{mark}{query}"})
        ending = self.ways.ending(path)
        wish = read_wish(request, path.removesuffix(ending), server, connection.context.limits)
        if isinstance(wish, str):
            told = self.ways.explain(request, path, connection, wish)
            return told or plain(HTTPStatus.BAD_REQUEST, wish)
        answer = await self.ways.answer(ending, Asked(request, path, wish, connection, lane))
        return _nothing(prefix) if answer is None else answer

    def _named(self, request: web.BaseRequest, connection: HttpConnection) -> Origin:
        """Who asks by this request."""
        proxy = connection.proxy
        if proxy is not None:
            address = self._visitors.address_of(request)
            if address == proxy.address:  # It asks for itself, or says nothing.
                return proxy
            return named_by(proxy, ProxyHeader(0, "" if address == UNKNOWN else address))
        origin = connection.origin
        if is_local(origin.address) and self._visitors.is_forwarded(request):
            # A proxy here that nobody has named: whom it asks for is anybody.
            return replace(origin, address=UNKNOWN, nameless=True)
        return origin


def _nothing(prefix: str) -> web.Response:
    text = (
        f"There is nothing at this path. A stream has {prefix}/APP/NAME, which is its page, and "
        "/index.m3u8, .mp4 and .flv behind that, as far as they are not turned off."
    )
    return plain(HTTPStatus.NOT_FOUND, text)
