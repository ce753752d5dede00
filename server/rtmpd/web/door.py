"""Who the admin server listens to, and for how long: it has no password, but deadlines and so many places."""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections.abc import Callable
from typing import Final

from rtmpd.net.http import Handler, Middleware, web
from rtmpd.net.visitors import Visit


def make_room(server: web.Server, max_connections: int) -> None:
    """Cut the oldest connections until one more is allowed. A request takes milliseconds: they only wait.

    Who has been let in and is answered just now goes last: strangers cut nobody off by coming in crowds. Who
    follows something does not only wait, and has a bound elsewhere.
    """
    visits = [each for each in server.connections if not (isinstance(each, Visit) and each.follows)]
    visits.sort(key=lambda each: isinstance(each, Visit) and each.is_answered)
    transports = [each.transport for each in visits]
    open_now = [each for each in transports if each is not None and not each.is_closing()]
    for transport in open_now[: max(len(open_now) - max_connections + 1, 0)]:
        transport.abort()


_LOOKS: Final = 8
"""How often a deadline is looked at within its time."""


class HeaderDeadline:
    """Cuts connections whose first request has no end of its headers within ``timeout`` seconds.

    From then on it is aiohttp's ``keepalive_timeout`` that sees to it; older versions begin only there.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._seen: dict[web.RequestHandler, float] = {}
        """When a connection was first seen, or infinity once it has asked for something."""
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, server: web.Server) -> None:
        """Begin on the running loop; once."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._seen = {handler: self._seen.get(handler, now) for handler in server.connections}
        for handler, seen_at in self._seen.items():
            if now - seen_at >= self.timeout and handler.transport is not None:
                handler.transport.abort()
        self._timer = loop.call_later(self.timeout / _LOOKS, self.watch, server)

    def stop(self) -> None:
        """Cut nobody any more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()

    def heard(self) -> Middleware:
        """Notes who has asked for something."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._seen[request.protocol] = math.inf
            return await handler(request)

        return middleware


def within(timeout: Callable[[], float]) -> Middleware:
    """A deadline for everything behind the headers."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with asyncio.timeout(timeout()) as deadline:
                if isinstance(request.protocol, Visit):
                    request.protocol.deadline = deadline
                return await handler(request)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None

    return middleware


def put_off_deadline(request: web.Request, seconds: float) -> None:
    """The answer may take so long from now on."""
    visit = request.protocol
    if isinstance(visit, Visit) and visit.deadline is not None:
        visit.deadline.reschedule(asyncio.get_running_loop().time() + seconds)


def lift_deadline(request: web.Request) -> None:
    """The answer has none."""
    visit = request.protocol
    if isinstance(visit, Visit) and visit.deadline is not None:
        visit.deadline.reschedule(None)


@web.middleware
async def local_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse names that anybody could point at this machine, to have a browser here read us to them."""
    if not _is_local(request.headers.get("Host", "")):
        text = (
            "This port answers to localhost, 127.0.0.1 and [::1] only: see admin.listen. "
            "A proxy in front of it has to send Host: localhost.\n"
        )
        raise web.HTTPMisdirectedRequest(text=text)
    return await handler(request)


def _is_local(host: str) -> bool:
    """Whether a ``Host`` header, port and all, names this machine; none does, too: that was no browser."""
    host = host.lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not host or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
