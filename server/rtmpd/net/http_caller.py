"""HTTP requests that this server makes: connections kept for the next one, and bounds on all that comes back.

Imported once there is somebody to call: aiohttp costs a start time and memory.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from rtmpd.exceptions import ConnectFailed, HttpFailed
from rtmpd.net.dial import tls_failure
from rtmpd.net.http import (
    AbstractResolver,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ResolveResult,
    TCPConnector,
    TraceConfig,
)
from rtmpd.net.http_message import HttpAnswer, HttpRequest, is_tls, shown_url
from rtmpd.net.resolver import RESOLVER, Resolver
from rtmpd.reasons import HttpFailure

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Of a body; what is longer is no answer that anybody has a use for."""
MAX_CONNECTIONS: Final = 64
"""To one server at a time; who finds none free waits for one, as long as the whole request may take."""
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
        self._contexts: dict[str, tuple[object, ssl.SSLContext]] = {}
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
            trace_configs=[_notes_of_reuse()],
        )

    async def call(self, request: HttpRequest, *, within: float, ca_file: str = "") -> HttpAnswer:
        """Make ``request``; the answer, whatever its status, ``within`` so many seconds.

        ``ca_file`` names the authorities that vouch for an https:// server, in place of the system's. Raises
        ``HttpFailed``, whose text holds no secret.
        """
        where = shown_url(request.url)
        try:
            async with asyncio.timeout(within):
                return await self._call(request, self.trust(ca_file) if is_tls(request.url) else None)
        except TimeoutError as error:
            raise HttpFailed(
                HttpFailure.TIMEOUT, f"{where} gave no whole answer within {within:g} s"
            ) from error
        except ConnectFailed as error:  # The file with the authorities.
            raise HttpFailed(HttpFailure.TLS, str(error)) from error
        except (ClientError, OSError, ValueError) as error:
            raise _explained(where, error) from error

    def trust(self, ca_file: str) -> ssl.SSLContext:
        """What a server must prove, by the authorities in a file as it is now; the system's if it is empty.

        Raises ConnectFailed for a file that cannot be used.
        """
        try:
            stamp: object = Path(ca_file).stat().st_mtime_ns if ca_file else None
            known = self._contexts.get(ca_file)
            if known is None or known[0] != stamp:
                known = self._contexts[ca_file] = (stamp, ssl.create_default_context(cafile=ca_file or None))
        except OSError as error:
            raise ConnectFailed(
                f"cannot use the authorities in {ca_file}: {error.strerror or error}"
            ) from error
        return known[1]

    async def close(self) -> None:
        """Close what is open; requests that are under way fail."""
        await self._session.close()

    # Inside

    async def _call(self, request: HttpRequest, context: ssl.SSLContext | None) -> HttpAnswer:
        way = SimpleNamespace(reused=False)
        try:
            return await self._attempt(request, context, way)
        except (ClientError, OSError) as error:
            # A server may close a connection that was kept in the moment in which it is used again: it has
            # not seen the request then.
            if not way.reused or isinstance(error, ClientConnectorError | _TooLong):
                raise
        return await self._attempt(request, context, SimpleNamespace(reused=False))

    async def _attempt(
        self, request: HttpRequest, context: ssl.SSLContext | None, way: SimpleNamespace
    ) -> HttpAnswer:
        async with self._session.request(
            request.method,
            request.url,
            data=request.body or None,
            headers=request.headers,
            allow_redirects=False,
            ssl=context if context is not None else True,
            trace_request_ctx=way,
        ) as response:
            way.reused = False  # It has been seen.
            body = await _read(response)
            headers = response.headers
            return HttpAnswer(
                response.status, body, headers.get("Location", ""), headers.get("Retry-After", "")
            )


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


def _notes_of_reuse() -> TraceConfig:
    async def note(_session: ClientSession, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx.reused = True

    trace = TraceConfig()
    trace.on_connection_reuseconn.append(note)
    return trace


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
