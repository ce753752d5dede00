"""Connecting to an RTMP server: sockets, TLS, handshake, connect, and the server's wish to be asked again.

A connect may be refused for reasons that another attempt satisfies: credentials (Adobe's authentication takes
two more) and redirects. All attempts share one deadline.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl as tls
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from rtmpd.client.connection import Connection, ConnectionEvent, ConnectionState
from rtmpd.client.stream import Stream
from rtmpd.exceptions import (
    AuthenticationFailed,
    ConnectionClosed,
    ConnectRejected,
    HandshakeError,
    RequestTimeout,
    UsageError,
)
from rtmpd.net.dial import open_socket, tls_context, tls_failure
from rtmpd.net.wire_tap import WireTap
from rtmpd.rtmp import adobe_auth
from rtmpd.rtmp.client import ClientSettings
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import RtmpUrl

__all__ = ["Connection", "ConnectionEvent", "ConnectionState", "Stream", "connect"]

_REDIRECT: Final = 302
_TLS_GOODBYE: Final = 2.0
"""Seconds that a server has to answer the end of TLS."""


async def connect(
    url: str | RtmpUrl,
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 - one deadline for all attempts, and the default of every request
    app: str | None = None,
    user: str | None = None,
    password: str | None = None,
    params: ConnectParams | None = None,
    handshake: Literal["simple", "digest"] = "simple",
    verify_handshake: bool = False,
    ssl: tls.SSLContext | None = None,
    ca_file: str | None = None,
    server_hostname: str | None = None,
    max_redirects: int = 3,
    chunk_size: int = 65536,
    send_buffer_bytes: int = 1024 * 1024,
    receive_buffer_bytes: int = 8 * 1024 * 1024,
    limits: Limits | None = None,
    local_addr: tuple[str, int] | None = None,
    sock: socket.socket | None = None,
    tap: Callable[[], WireTap] | None = None,
) -> Connection:
    """Connect to ``rtmp://`` or ``rtmps://host[:port]/app[/name]``.

    ``timeout`` (seconds) covers everything up to the answer, and later each request of the connection.
    ``app`` tells where the app ends when it has several levels. ``user`` and ``password`` (or those in the
    URL) serve Adobe's authentication. ``params`` are further fields of connect, such as ``four_cc_list`` and
    ``caps_ex``; its app and tcUrl come from the URL. Who acts on ``ReconnectRequested`` has to offer
    ``CapsEx.RECONNECT`` there. ``verify_handshake`` checks what the server answers.

    TLS verifies the server against the system's authorities, those in ``ca_file``, or as ``ssl`` says;
    ``server_hostname`` is the name it must prove when that is not the URL's. Redirects are followed up to
    ``max_redirects`` times, to the same scheme only, and take no password to another host.

    ``send_buffer_bytes`` bounds what is sent and not yet taken by the network, ``receive_buffer_bytes`` what
    each playing stream holds for its reader. ``sock`` is a connected TCP socket to use. ``tap``
    makes who listens in on a connection, anew for each attempt: see ``rtmp.transcript``.

    Raises ConnectFailed, HandshakeError, ConnectRejected, AuthenticationFailed, RequestTimeout, or
    ConnectionClosed when the server hangs up instead of answering. A bad URL raises UsageError.
    """
    if handshake not in ("simple", "digest"):
        raise UsageError("handshake is 'simple' or 'digest'")
    target = url if isinstance(url, RtmpUrl) else RtmpUrl.parse(url, app=app)
    dialer = _Dialer(
        timeout=timeout,
        settings=ClientSettings(digest=handshake == "digest", verify=verify_handshake, chunk_size=chunk_size),
        limits=limits,
        context=await tls_context(target, ssl, ca_file, within=timeout),
        server_hostname=server_hostname,
        send_buffer_bytes=send_buffer_bytes,
        receive_buffer_bytes=receive_buffer_bytes,
        local_addr=local_addr,
        sock=sock,
        tap=tap,
    )
    credentials = _Credentials(
        target.user if user is None else user, target.password if password is None else password
    )
    negotiation = _Negotiation(target, params or ConnectParams(), credentials, max_redirects)
    try:
        async with asyncio.timeout(timeout):
            return await negotiation.run(dialer)
    except TimeoutError:
        text = f"{negotiation.target}: no {dialer.stage} within {timeout:g} s"
        raise RequestTimeout(text) from None


@dataclass(slots=True)
class _Dialer:
    """Makes connections that have shaken hands."""

    timeout: float
    settings: ClientSettings
    limits: Limits | None
    context: tls.SSLContext | None
    server_hostname: str | None
    send_buffer_bytes: int
    receive_buffer_bytes: int
    local_addr: tuple[str, int] | None
    sock: socket.socket | None
    tap: Callable[[], WireTap] | None
    stage: str = "connection"
    """What a deadline would miss now."""

    async def dial(self, url: RtmpUrl) -> Connection:
        self.stage = "connection"
        sock = self.sock or await open_socket(url.host, url.port, local_addr=self.local_addr)
        connection = Connection(
            url,
            timeout=self.timeout,
            settings=self.settings,
            limits=self.limits,
            send_buffer_bytes=self.send_buffer_bytes,
            receive_buffer_bytes=self.receive_buffer_bytes,
            tap=self.tap() if self.tap else None,
        )
        try:
            await self._attach(connection, url, sock)
            self.stage = "handshake"
            await connection.handshake()
        except BaseException as error:
            connection.abort()
            if isinstance(error, ConnectionClosed):
                raise _hung_up(error, url, "in the handshake") from error.__cause__
            raise
        return connection

    async def _attach(self, connection: Connection, url: RtmpUrl, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if self.context is None:
            await loop.create_connection(lambda: connection.link, sock=sock)
            return
        self.stage = "TLS handshake"
        try:
            await loop.create_connection(
                lambda: connection.link,
                sock=sock,
                ssl=self.context,
                server_hostname=self.server_hostname or url.host,
                ssl_handshake_timeout=self.timeout,
                ssl_shutdown_timeout=_TLS_GOODBYE,
            )
        except OSError as error:
            raise tls_failure(url.host, url.port, error) from error


@dataclass(frozen=True, slots=True)
class _Credentials:
    user: str
    password: str = field(repr=False)


class _Negotiation:
    """Asks a server, and others that it names, until one accepts or says no for good."""

    def __init__(
        self, target: RtmpUrl, params: ConnectParams, credentials: _Credentials, max_redirects: int
    ) -> None:
        self.target = target
        self._params = params
        self._credentials: _Credentials | None = credentials
        self._redirects_left = max_redirects
        # A query behind a stream name is the stream's: publish and play take it.
        self._app_query = ("" if target.name else target.query) or params.app_query
        self._auth_query = ""
        self._answered_challenge = False

    async def run(self, dialer: _Dialer) -> Connection:
        while True:
            connection = await dialer.dial(self.target)
            dialer.stage = "answer to connect"
            try:
                await connection.open(self._connect_params())
            except ConnectRejected as rejection:
                connection.abort()
                if dialer.sock is not None or not self._react(rejection):
                    raise
                if self.target.host != connection.url.host:
                    dialer.server_hostname = None
            except ConnectionClosed as error:
                raise _hung_up(error, self.target, "without an answer to connect") from error.__cause__
            except BaseException:
                connection.abort()
                raise
            else:
                return connection

    def _connect_params(self) -> ConnectParams:
        """What to ask with; like other clients, authentication is appended to whatever query there is."""
        url = self.target
        app_query = "?".join(query for query in (self._app_query, self._auth_query) if query)
        tc_url = f"{url.tc_url}?{app_query}" if app_query else url.tc_url
        return replace(self._params, app=url.app, app_query=app_query, tc_url=tc_url)

    def _react(self, rejection: ConnectRejected) -> bool:
        """Prepare the next attempt; False when there is nothing to be done differently."""
        redirect = _redirect_of(rejection)
        if redirect is not None:
            return self._follow(redirect)
        if adobe_auth.authmod(rejection.description) is None:
            return False
        self._authenticate(rejection)
        return True

    def _authenticate(self, rejection: ConnectRejected) -> None:
        text = rejection.description
        scheme = adobe_auth.authmod(text)
        credentials = self._credentials
        if scheme != "adobe":
            raise _auth_failure(
                f"wants {scheme} authentication, which is not supported", rejection, self.target
            )
        if adobe_auth.denial(text) is not None or self._answered_challenge:
            raise _auth_failure("refused the user or the password", rejection, self.target)
        if credentials is None or not credentials.user:
            raise _auth_failure("wants a user and a password", rejection, self.target)
        challenge = adobe_auth.parse_challenge(text)
        if challenge is not None:
            self._answered_challenge = True
            self._auth_query = adobe_auth.response_query(
                challenge, credentials.user, credentials.password, secrets.token_hex(4)
            )
        elif adobe_auth.needs_credentials(text) and not self._auth_query:
            self._auth_query = adobe_auth.user_query(credentials.user)
        else:
            raise _auth_failure("asks for authentication in a way not understood", rejection, self.target)

    def _follow(self, redirect: str) -> bool:
        if self._redirects_left <= 0:
            return False
        self._redirects_left -= 1
        try:
            target, self._app_query = self.target.moved_to(redirect)
        except UsageError:
            return False
        if (target.host, target.port) != (self.target.host, self.target.port):
            self._credentials = None  # They were not meant for that host.
        self._auth_query = ""
        self._answered_challenge = False
        self.target = target
        return True


def _redirect_of(rejection: ConnectRejected) -> str | None:
    """Where a refusal points to: ``ex: {code: 302, redirect: tcUrl}``, as FMS and SRS say it."""
    details = rejection.info.get("ex")
    if not isinstance(details, dict) or details.get("code") != _REDIRECT:
        return None
    target = details.get("redirect")
    return target if isinstance(target, str) else None


def _auth_failure(what: str, rejection: ConnectRejected, target: RtmpUrl) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"{target} {what}",
        code=rejection.code,
        description=rejection.description,
        info=rejection.info,
    )


def _hung_up(error: ConnectionClosed, url: RtmpUrl, when: str) -> Exception:
    """Say when it was, or what was spoken instead of RTMP."""
    if isinstance(error.__cause__, HandshakeError):
        return error.__cause__.again()
    return type(error)(f"{url} closed the connection {when}")
