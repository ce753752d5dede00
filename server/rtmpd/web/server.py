"""The admin HTTP server: metrics and health, meant for the machine's own network."""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

from rtmpd import __version__
from rtmpd.control.actor import Actor
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.http import web
from rtmpd.net.listeners import Listener, Place
from rtmpd.net.proxies import NO_PROXIES, TrustedProxies
from rtmpd.rtmp.form import form
from rtmpd.web.api import Api, check_sender
from rtmpd.web.compat import Mounted, speak
from rtmpd.web.console_files import ConsoleFiles
from rtmpd.web.door import HeaderDeadline, http_logger, local_names_only, make_room, within
from rtmpd.web.health import Readiness, healthz, readyz
from rtmpd.web.limits import AdminLimits
from rtmpd.web.page import SharedPage
from rtmpd.web.problems import tell_problems
from rtmpd.web.visitors import Hall, Visit, Visitors

_SHUTDOWN_TIMEOUT = 1.0
_BACKLOG = 16
"""Connections that may wait to be accepted: all of them are, in one turn, before the oldest are cut."""
_MAX_REQUEST_BYTES = 64 * 1024

_CONSOLE = ConsoleFiles()
"""Of all addresses."""


class AdminServer:
    """``/metrics``, ``/healthz``, ``/readyz``, ``/version``, the API and the console on one address.

    ``local`` tells that only this machine reaches it: then something can be changed too.
    """

    def __init__(
        self,
        page: SharedPage,
        readiness: Readiness,
        api: Api,
        limits: AdminLimits | None = None,
        proxies: Callable[[], TrustedProxies] = lambda: NO_PROXIES,
        *,
        local: bool,
        mounted: Callable[[], Sequence[Mounted]] = tuple,
        alone: bool = False,
    ) -> None:
        self._limits = limits or AdminLimits()
        self._proxies = proxies
        self._local = local
        self._visitors = Visitors(proxies)
        self._hall: Hall | None = None
        self._header_deadline = HeaderDeadline(self._limits.request_timeout)
        middlewares = [
            self._header_deadline.heard(),
            tell_problems("/api/"),
            within(lambda: self._limits.request_timeout),
        ]
        if local:
            middlewares.append(local_names_only)
        middlewares.append(speak(mounted, self._check_change))
        application = web.Application(client_max_size=_MAX_REQUEST_BYTES, middlewares=middlewares)
        if not alone:
            _CONSOLE.add_routes(application.router)
            application.router.add_get("/metrics", page.handle)
            application.router.add_get("/healthz", healthz)
            application.router.add_get("/readyz", readyz(readiness))
            application.router.add_get("/version", _version)
            api.add_routes(application.router, self._find_obstacle, self._visitors.address_of)
        api.streams.watch(application)
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
                self._hall = Hall(proxy, self._proxies, str(self._listener.address))
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

    def _check_change(self, request: web.Request) -> Actor:
        check_sender(request, self._find_obstacle)
        return Actor(address=self._visitors.address_of(request))

    def _find_obstacle(self, request: web.Request) -> str | None:
        if not self._local:
            return "changes are taken on loopback addresses only: see admin.listen"
        return self._visitors.find_obstacle(request)

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


async def _version(_request: web.Request) -> web.Response:
    return web.json_response({"rtmpd": __version__, "form": form(), "python": platform.python_version()})
