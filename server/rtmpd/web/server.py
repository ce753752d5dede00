"""The admin HTTP server: metrics, health and the API, for whom its gate lets in."""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from rtmpd import __version__
from rtmpd.control.server_answers import PublicHttp
from rtmpd.net.address_mask import OPEN, AddressMask
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.http import web
from rtmpd.net.listeners import Listener, Place
from rtmpd.net.proxies import NO_PROXIES, TrustedProxies
from rtmpd.net.visitors import Hall, Visit, Visitors, complete, http_logger
from rtmpd.rtmp.form import form
from rtmpd.web.admission import Admission
from rtmpd.web.api import Api
from rtmpd.web.compat import Mounted, Mounts
from rtmpd.web.console_files import ConsoleFiles
from rtmpd.web.door import HeaderDeadline, local_names_only, make_room, within
from rtmpd.web.gate import Gate, Refusals
from rtmpd.web.health import Readiness, healthz, readyz
from rtmpd.web.limits import AdminLimits
from rtmpd.web.login_handlers import LoginHandlers
from rtmpd.web.logins import Logins
from rtmpd.web.openapi import PREFIX
from rtmpd.web.page import SharedPage
from rtmpd.web.problems import tell_problems

_SHUTDOWN_TIMEOUT = 1.0
_BACKLOG = 16
"""Connections that may wait to be accepted: all of them are, in one turn, before the oldest are cut."""
_MAX_REQUEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class OpenPages:
    """What may be open to everybody: ``/metrics``, ``/healthz`` and ``/readyz``."""

    page: SharedPage
    readiness: Readiness

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve them on one address."""
        router.add_get("/metrics", self.page.handle)
        router.add_get("/healthz", healthz)
        router.add_get("/readyz", readyz(self.readiness))


@dataclass(frozen=True, slots=True)
class GuardedPages:
    """What those see whom a gate lets in: ``/version`` and the API; and the console, where they log in."""

    api: Api
    admission: Admission
    logins: Logins
    refusals: Refusals
    public_http: Callable[[], PublicHttp | None]
    """Where the console plays streams."""

    def gate(self, visitors: Visitors, word_of: Callable[[web.Request], str | None], *, local: bool) -> Gate:
        """That of one address; ``word_of`` as there."""
        return Gate(self.admission, visitors, self.logins, self.refusals, word_of, local=local)

    def add_routes(self, router: web.UrlDispatcher, gate: Gate, visitors: Visitors) -> None:
        """Serve them on one address, behind its gate."""
        ConsoleFiles(self.public_http).add_routes(router)
        router.add_get("/version", _version)
        self.api.add_routes(router, gate)
        LoginHandlers(gate, self.logins, visitors).add_routes(router, PREFIX)


class AdminServer:
    """``open_pages`` on one address, and ``guarded`` ones, if that is more than an address for metrics.

    ``local`` tells that only this machine reaches it. What is ``mounted`` is behind the same gate, be it
    ``alone`` there or not.
    """

    def __init__(
        self,
        open_pages: OpenPages,
        guarded: GuardedPages | None,
        limits: AdminLimits | None = None,
        proxies: Callable[[], TrustedProxies] = lambda: NO_PROXIES,
        mask: AddressMask = OPEN,
        *,
        local: bool,
        mounted: Callable[[], Sequence[Mounted]] = tuple,
        alone: bool = False,
    ) -> None:
        self._limits = limits or AdminLimits()
        self._proxies = proxies
        self._hall: Hall | None = None
        self._header_deadline = HeaderDeadline(self._limits.request_timeout)
        mounts = Mounts(mounted)
        middlewares = [
            self._header_deadline.heard(),
            tell_problems("/api/", mounts.refuse),
            within(lambda: self._limits.request_timeout),
        ]
        if local:
            middlewares.append(local_names_only)
        self._visitors = Visitors(proxies, mask)
        self._gate: Gate | None = None
        if guarded is not None:
            self._gate = gate = guarded.gate(self._visitors, mounts.word_of, local=local)
            middlewares += [gate.middleware(), mounts.answering(gate.check_change)]
        application = web.Application(client_max_size=_MAX_REQUEST_BYTES, middlewares=middlewares)
        application.on_response_prepare.append(_completed)
        if not alone:
            open_pages.add_routes(application.router)
        if guarded is not None and self._gate is not None:
            guarded.api.streams.watch(application)
            if not alone:
                guarded.add_routes(application.router, self._gate, self._visitors)
        self._listener: Listener | None = None
        # Nobody need pack what we read, and what is packed may be broken.
        self._handling: dict[str, Any] = {
            "access_log": None,
            "logger": http_logger(),
            "auto_decompress": False,
        }
        self._runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=_SHUTDOWN_TIMEOUT)

    def apply(self, limits: AdminLimits) -> None:
        """Other limits for those who come from now on."""
        self._limits = limits
        self._header_deadline.timeout = limits.request_timeout

    def review(self) -> None:
        """Cut off who may not ask any more; to be called when rules change, and every second or so."""
        if self._gate is not None:
            self._gate.review()

    async def start(self, place: Place, proxy: ProxyUse = ProxyUse.OFF) -> Listener:
        """Serve there, once, behind PROXY headers if they are used. A socket is the server's from now on."""
        try:
            await self._runner.setup()
            http = cast("web.Server", self._runner.server)
            self._header_deadline.watch(http)
            if proxy is ProxyUse.OFF:
                self._listener = await Listener.start(place, lambda: self._admit(http), _BACKLOG)
            else:
                self._listener = Listener.accept(place, lambda sock, name: self._receive(http, sock, name))
                self._hall = Hall(proxy, self._visitors, str(self._listener.address))
        except BaseException:
            if isinstance(place, socket.socket):
                place.close()
            raise
        return self._listener

    async def close(self) -> None:
        """Stop listening and end open requests within about a second; may be called more than once."""
        if self._listener is not None:
            self._listener.close()
        self._header_deadline.stop()
        if self._hall is not None:
            await self._hall.close()
        await self._runner.cleanup()

    def _receive(self, http: web.Server, sock: socket.socket, name: object) -> None:
        if self._hall is not None:
            limits = self._limits.max_connections, self._limits.request_timeout
            self._hall.arrive(sock, name, limits, lambda address: self._admit(http, address))

    def _admit(self, http: web.Server, address: str = "") -> web.RequestHandler:
        make_room(http, self._limits.max_connections)
        # What the server would make, but with the limits of now.
        return Visit(
            http,
            address,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._limits.request_timeout,
            **self._handling,
        )


async def _completed(_request: web.Request, response: web.StreamResponse) -> None:
    complete(response)


async def _version(_request: web.Request) -> web.Response:
    return web.json_response({"rtmpd": __version__, "form": form(), "python": platform.python_version()})
