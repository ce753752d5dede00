"""Who asks over HTTP, behind whatever proxies: PROXY headers, Forwarded (RFC 7239) and X-Forwarded-For."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

from rtmpd.net.address_mask import OPEN, AddressMask
from rtmpd.net.addresses import UNIX, UNKNOWN, peer_ip
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.http import HttpProcessingError, web
from rtmpd.net.proxies import TrustedProxies, hear
from rtmpd.net.proxy_header import ProxyHeaderError
from rtmpd.net.tasks import TaskSet

_logger = logging.getLogger(__name__)

_CHAINS: Final = ("Forwarded", "X-Forwarded-For")
"""Headers by which proxies say for whom they ask."""
_SINGLE: Final = ("X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP")
"""Headers in which others say whom they asked for; there is one address in them."""
_HINTS: Final = (
    *_CHAINS,
    *_SINGLE,
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "Via",
)
"""Headers that none but a proxy adds."""


class Visit(web.RequestHandler):
    """One connection, of whom a PROXY header may have told."""

    __slots__ = ("_following", "address", "deadline", "is_answered")

    def __init__(self, server: web.Server, address: str = "", **handling: Any) -> None:
        super().__init__(server, **handling)
        self.address = address
        """What the PROXY header said; empty without one."""
        self.deadline: asyncio.Timeout | None = None
        """Of the request that is answered just now."""
        self.is_answered = False
        """It is given an answer just now that not everybody may have."""
        self._following: asyncio.Task[object] | None = None

    @property
    def follows(self) -> bool:
        """It is given an answer that does not end."""
        return self._following is not None

    def follow(self, task: asyncio.Task[object] | None) -> None:
        """``task`` gives it one, which is to be cancelled when the connection is lost; or it is over."""
        self._following = task

    def handle_error(self, *about: Any, **more: Any) -> web.StreamResponse:
        """What is said to who speaks no HTTP."""
        response = super().handle_error(*about, **more)
        complete(response)
        return response

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._following is not None:
            self._following.cancel()
        super().connection_lost(exc)


def http_logger() -> logging.Logger:
    """What aiohttp logs, but for requests that were no HTTP, each of which would be a traceback."""
    logger = logging.getLogger(__name__)
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


SHARED: Final = {"Server": "rtmpd", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer: strangers are not told of what the server is made, and browsers make nothing else
of what they get."""


def complete(response: web.StreamResponse) -> None:
    """Add them."""
    response.headers.update(SHARED)


class Visitors:
    """Knows them."""

    def __init__(self, proxies: Callable[[], TrustedProxies], mask: AddressMask = OPEN) -> None:
        self.proxies = proxies
        """Who is believed now."""
        self.mask = mask
        """How much of addresses is shown."""

    def address_of(self, request: web.BaseRequest) -> str:
        """The address that a request comes from, as ``peer_ip`` gives it; of the way of one, the last that is
        no trusted proxy's.

        UNKNOWN where a proxy has not said it in a way that can be relied on.
        """
        address = self._came_from(request)
        if address not in self.proxies():
            return address
        said = [chain for chain in (_forwarded(request), _forwarded_for(request)) if chain]
        found = {self._first_stranger(address, chain) for chain in said}
        if not found:
            return address
        # A client may have sent the header that the proxy leaves alone.
        return found.pop() if len(found) == 1 else UNKNOWN

    def shown_address_of(self, request: web.BaseRequest) -> str:
        """The same, as far as it may be shown."""
        return self.mask.show(self.address_of(request))

    def find_obstacle(self, request: web.BaseRequest) -> str | None:
        """Why whoever asks is not on this machine, as far as is known, on a listener that only it reaches."""
        if self.is_forwarded(request):
            sender = self._came_from(request)
            if sender not in self.proxies():
                return f"this came through a proxy, {sender}, which network.trusted_proxies does not name"
            if not (_forwarded_for(request) or any(_forwarded(request))):
                return f"this came through a proxy, {sender}, which does not say for whom: X-Forwarded-For"
            for name in _SINGLE:
                # The proxy adds this one, and the client may have sent the other.
                if not all(map(_is_here, map(_as_address, request.headers.getall(name, [])))):
                    return f"this came through a proxy, {sender}, which says {name} of somebody else"
        address = self.address_of(request)
        return None if _is_here(address) else f"this came from {address}"

    def is_forwarded(self, request: web.BaseRequest) -> bool:
        """Whether it shows that it came through a proxy, as far as that one adds anything."""
        return any(name in request.headers for name in _HINTS)

    def by_file(self, request: web.BaseRequest) -> bool:
        """Whether it came by a Unix socket: whoever did may open its file."""
        return request.transport is not None and isinstance(
            request.transport.get_extra_info("peername"), str | bytes
        )

    def host_of(self, request: web.BaseRequest) -> str:
        """The name, with its port, by which a browser knows this server; a trusted proxy may tell it."""
        if self._came_from(request) in self.proxies():
            said = [each["host"] for each in request.forwarded if "host" in each]
            said += request.headers.getall("X-Forwarded-Host", [])
            if said:
                return said[0].strip()
        return request.headers.get("Host", "")

    def is_secure(self, request: web.BaseRequest) -> bool:
        """Whether a browser asks by https, as far as a trusted proxy says so: there is no TLS here."""
        if self._came_from(request) not in self.proxies():
            return False
        said = [each["proto"] for each in request.forwarded if "proto" in each]
        said += request.headers.getall("X-Forwarded-Proto", [])
        return "https" in [each.strip().lower() for each in said]

    def _came_from(self, request: web.BaseRequest) -> str:
        visit = request.protocol
        if isinstance(visit, Visit) and visit.address:
            return visit.address
        return UNKNOWN if request.transport is None else peer_ip(request.transport.get_extra_info("peername"))

    def _first_stranger(self, address: str, chain: list[str]) -> str:
        """``chain``: the client first, then the proxies, each as the next one saw it."""
        proxies = self.proxies()
        for before in reversed(chain):
            if address not in proxies:
                break
            address = _as_address(before)
        return address


class Hall:
    """Where those wait who have been accepted, until their PROXY header is read."""

    def __init__(self, proxy: ProxyUse, visitors: Visitors, listener: str) -> None:
        self._proxy = proxy
        self._visitors = visitors
        self._listener = listener
        self._tasks = TaskSet()
        self._waiting: dict[asyncio.Task[None], None] = {}
        """The oldest first."""

    def arrive(
        self,
        sock: socket.socket,
        name: object,
        limits: tuple[int, float],
        serve: Callable[[str], web.RequestHandler],
    ) -> None:
        """Serve somebody with what ``serve`` makes for an address, once it is known.

        ``limits``: so many wait at most, one more costs the oldest its place; seconds that each may wait.
        """
        most, patience = limits
        while len(self._waiting) >= most:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.cancel()
        task = self._tasks.start(
            self._receive(sock, peer_ip(name), patience, serve), name="admin-proxy-header"
        )
        self._waiting[task] = None

        def done(task: asyncio.Task[None]) -> None:
            self._waiting.pop(task, None)
            if task.cancelled():  # Before it began, perhaps.
                sock.close()

        task.add_done_callback(done)

    async def close(self) -> None:
        """Send everybody away."""
        await self._tasks.wait_closed()

    async def _receive(
        self,
        sock: socket.socket,
        sender: str,
        patience: float,
        serve: Callable[[str], web.RequestHandler],
    ) -> None:
        try:
            async with asyncio.timeout(patience):
                header = await hear(sock, sender, self._proxy, self._visitors.proxies())
            address = sender if header is None or header.own else header.address or UNKNOWN
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(lambda: serve(address), sock)
        except ProxyHeaderError as error:
            sock.close()
            fields = {
                "client": self._visitors.mask.show(sender),
                "listener": self._listener,
                "reason": error.reason,
                "detail": str(error),
            }
            _logger.info("PROXY header refused", extra={"fields": fields})
        except (TimeoutError, EOFError, OSError):
            sock.close()  # As health checks do.
        except BaseException:
            sock.close()
            raise


def _is_here(address: str) -> bool:
    if address == UNIX:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _forwarded(request: web.BaseRequest) -> list[str]:
    return [each.get("for", "") for each in request.forwarded]


def _forwarded_for(request: web.BaseRequest) -> list[str]:
    lines = request.headers.getall("X-Forwarded-For", [])
    return [each for line in lines for each in line.split(",")]


def _as_address(text: str) -> str:
    """An address out of a header, where it may have brackets and a port; else UNKNOWN."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return peer_ip((str(ipaddress.ip_address(text)), 0))
    except ValueError:
        return UNKNOWN
