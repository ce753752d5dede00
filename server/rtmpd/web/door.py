"""Who the admin server listens to, and for how long: it has no password, but deadlines and so many places."""

from __future__ import annotations

import asyncio
import ipaddress
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware


def http_logger() -> logging.Logger:
    """What aiohttp logs, but for requests that were no HTTP, each of which would be a traceback."""
    logger = logging.getLogger(__name__)
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def make_room(server: web.Server, max_connections: int) -> None:
    """Cut the oldest connections until one more is allowed. A request takes milliseconds: they only wait."""
    transports = [handler.transport for handler in server.connections]
    open_now = [each for each in transports if each is not None and not each.is_closing()]
    for transport in open_now[: max(len(open_now) - max_connections + 1, 0)]:
        transport.abort()


def within(timeout: float) -> Middleware:
    """A deadline for everything behind the headers."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with asyncio.timeout(timeout):
                return await handler(request)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None

    return middleware


@web.middleware
async def local_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse names that anybody could point at this machine, to have a browser here read us to them."""
    if not _is_local(request.headers.get("Host", "")):
        text = "This port answers to localhost, 127.0.0.1 and [::1] only: see admin.listen.\n"
        raise web.HTTPMisdirectedRequest(text=text)
    return await handler(request)


def _is_local(host: str) -> bool:
    """Whether a ``Host`` header, port and all, names this machine; none does, too: that was no browser."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not host or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
