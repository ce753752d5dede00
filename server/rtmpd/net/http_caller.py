"""HTTP requests that this server makes: connections kept for the next one, and bounds on all that comes back.

Imported once there is somebody to call: aiohttp costs a start time and memory.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from rtmpd.exceptions import ConnectFailed, HttpFailed
from rtmpd.net.answer_guard import AnswerGuard
from rtmpd.net.dial import tls_failure
from rtmpd.net.http import (
    AbstractResolver,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    Connection,
    DummyCookieJar,
    ResolveResult,
    ServerDisconnectedError,
    TCPConnector,
)
from rtmpd.net.http_message import HttpAnswer, HttpRequest, is_tls, shown_url
from rtmpd.net.resolver import RESOLVER, Resolver
from rtmpd.net.trust import TRUST
from rtmpd.reasons import HttpFailure

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Of a body; what is longer is no answer that anybody has a use for."""
MAX_CONNECTIONS: Final = 64
"""To one server at a time, 0 for any number; who finds none free waits for one, as long as the whole
request may take."""
_MAX_HEARD_BYTES: Final = 2 * MAX_ANSWER_BYTES
"""Of a whole answer as it comes: with its head, what is said before it, and the seams of its pieces."""
_KEEP_ALIVE: Final = 15.0
"""Seconds that a connection is kept for the next request."""
_DNS_TTL: Final = 10
"""Seconds that an address is used before the name is looked up again."""
_MAX_FIELD_BYTES: Final = 8190
"""Of a line of the answer's head."""
_ALWAYS: Final = {"Accept-Encoding": "identity", "User-Agent": "rtmpd"}
_NO_TIMEOUT: Final = ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)
"""aiohttp's own: there is one for the whole request instead."""


class HttpCaller:
    """Makes requests, several at a time, each within a time of its own; nothing that a server does raises
    anything but ``HttpFailed``.

    Names are looked up in threads of their own. Proxies of the environment, cookies and redirects are not
    followed: only the server that is named is talked to.
    """

    def __init__(self, *, max_connections: int = MAX_CONNECTIONS, resolver: Resolver = RESOLVER) -> None:
        """To be called in a running event loop."""
        connector = TCPConnector(
            limit=0,
            limit_per_host=max_connections,
            keepalive_timeout=_KEEP_ALIVE,
            ttl_dns_cache=_DNS_TTL,
            resolver=_Names(resolver),
        )
        self._session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            headers=_ALWAYS,
            timeout=_NO_TIMEOUT,
            auto_decompress=False,
            max_line_size=_MAX_FIELD_BYTES,
            max_field_size=_MAX_FIELD_BYTES,
            request_class=_Request,
        )

    async def call(self, request: HttpRequest, *, within: float, ca_file: str = "") -> HttpAnswer:
        """Make ``request``; the answer, whatever its status, ``within`` so many seconds.

        ``ca_file`` names the authorities that vouch for an https:// server, in place of the system's. Raises
        ``HttpFailed``, whose text holds no secret.
        """
        where = shown_url(request.url)
        try:
            async with asyncio.timeout(within):
                return await self._call(
                    request, await TRUST.context(ca_file) if is_tls(request.url) else None
                )
        except TimeoutError as error:
            raise HttpFailed(
                HttpFailure.TIMEOUT, f"{where} gave no whole answer within {within:.3g} s"
            ) from error
        except ConnectFailed as error:  # The file with the authorities.
            raise HttpFailed(HttpFailure.TLS, str(error)) from error
        except (ClientError, OSError, ValueError) as error:
            raise _explained(where, error) from error

    async def close(self) -> None:
        """Close what is open; requests that are under way fail."""
        await self._session.close()

    # Inside

    async def _call(self, request: HttpRequest, context: ssl.SSLContext | None) -> HttpAnswer:
        way = _Way()
        try:
            return await self._attempt(request, context, way)
        except (ClientError, OSError) as error:
            # A server may close a connection that was kept in the moment in which it is used again.
            if not way.unseen or isinstance(error, ClientConnectorError | _TooLong):
                raise
        return await self._attempt(request, context, _Way())

    async def _attempt(self, request: HttpRequest, context: ssl.SSLContext | None, way: _Way) -> HttpAnswer:
        _ways.set(way)
        try:
            async with self._session.request(
                request.method,
                request.url,
                data=request.body or None,
                headers=request.headers,
                allow_redirects=False,
                ssl=context if context is not None else True,
            ) as response:
                way.unseen = False
                response.content.on_eof(way.heard)
                body = await _read(response)
                headers = response.headers
                return HttpAnswer(
                    response.status, body, headers.get("Location", ""), headers.get("Retry-After", "")
                )
        except ClientError as error:
            if way.guard is not None and way.guard.overrun:
                raise _TooLong from error
            raise


@dataclass(slots=True)
class _Way:
    """How one request goes."""

    unseen: bool = False
    """If it fails the server has probably not seen it."""
    guard: AnswerGuard | None = None
    heard: Callable[[], None] = lambda: None
    """The answer is complete: nothing more may come."""


_ways: ContextVar[_Way] = ContextVar("way")
"""That of the request which is being made: aiohttp makes the object itself that is told the connection."""


class _Request(ClientRequest):
    async def send(self, conn: Connection) -> ClientResponse:
        way, transport, protocol = _ways.get(), conn.transport, conn.protocol
        way.unseen = True
        if transport is None or protocol is None:
            raise ServerDisconnectedError
        known = AnswerGuard.of(transport)
        guard = way.guard = known or AnswerGuard.watch(transport, protocol)
        if protocol.should_close:  # It has said something already.
            raise ServerDisconnectedError
        way.unseen = known is not None
        way.heard = guard.expect(_MAX_HEARD_BYTES)
        return await super().send(conn)


class _TooLong(ClientError):
    """The answer is longer than any that means something."""


class _Names(AbstractResolver):
    """Host names for aiohttp, whose own resolver has all names wait for the same few threads."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            found = await self._resolver.resolve(host, port)
        except ConnectFailed as error:
            raise OSError(str(error)) from error
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """There is nothing of its own."""


async def _read(response: ClientResponse) -> bytes:
    """The body; raises ``_TooLong`` as soon as it is."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            response.close()  # The rest is not waited for, so the connection cannot be used again.
            raise _TooLong
        parts.append(part)
    return b"".join(parts)


def _explained(where: str, error: Exception) -> HttpFailed:
    """What went wrong, in words that hold nothing of the request and little of the answer."""
    match error:
        case _TooLong():
            reason = HttpFailure.TOO_LONG
            text = f"{where} answered with more than {MAX_ANSWER_BYTES} bytes"
        case ClientConnectorCertificateError(host=host, port=port, certificate_error=OSError() as cause):
            return HttpFailed(HttpFailure.TLS, str(tls_failure(host, port or 0, cause)))
        case ClientConnectorSSLError(host=host, port=port, os_error=cause):
            return HttpFailed(HttpFailure.TLS, str(tls_failure(host, port or 0, cause)))
        case ClientConnectorDNSError(os_error=cause):
            reason, text = HttpFailure.UNREACHABLE, str(cause)
        case ClientConnectorError(os_error=cause):
            number = cause.errno
            why = os.strerror(number) if number and number > 0 else "no connection comes about"
            reason, text = HttpFailure.UNREACHABLE, f"cannot connect to {where}: {why}"
        case _:
            reason, text = HttpFailure.BROKEN, f"{where} broke off, or what it answered is not HTTP"
    return HttpFailed(reason, text)
