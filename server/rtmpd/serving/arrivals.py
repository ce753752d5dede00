"""Clients who have been accepted and have said nothing yet: a proxy says who they are, or TLS begins.

They are pending all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.proxies import TrustedProxies, hear
from rtmpd.net.proxy_header import ProxyHeader, ProxyHeaderError, begins_with_header
from rtmpd.net.socket_options import discard_unsent
from rtmpd.reasons import HandshakeFailure, Word
from rtmpd.serving.guest import Guest

_logger = logging.getLogger(__name__)

_GOODBYE: Final = 2.0
"""Seconds that a client has to answer the end of TLS."""
_OTHER_VERSION: Final = ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "PROTOCOL_VERSION", "NO_SHARED_CIPHER")
_NOT_TLS: Final = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG")


@dataclass(frozen=True, slots=True)
class Gateway:
    """What whoever comes in by one listener passes first."""

    listener: str
    proxy: ProxyUse
    tls: Callable[[], ssl.SSLContext | None] | None
    """For one more handshake, as long as there are certificates; None is no TLS."""
    proxies: Callable[[], TrustedProxies]
    """Who is believed now."""
    serve: Callable[[Origin], Guest]
    """Makes what somebody will be."""

    def turns_away(self, address: str) -> bool:
        """Whether whoever is there need not try."""
        return self.proxy is ProxyUse.REQUIRE and address not in self.proxies()


class Failed(Exception):
    """The peer did not begin as it should; a ``reason`` of None is not worth counting."""

    def __init__(self, reason: HandshakeFailure | None) -> None:
        super().__init__(reason)
        self.reason = reason


class Arrival:
    """One of them, from the accept to the end of what comes first, good or bad."""

    def __init__(self, sock: socket.socket, origin: Origin, connection: Guest, gateway: Gateway) -> None:
        self.origin = origin
        """Who it is; the proxy, as long as that has not said."""
        self.network = origin.network
        """Whose share it takes now."""
        self.connection = connection
        """What becomes of it."""
        self.over = False
        """It was ended here: what becomes of it is nobody's failure."""
        self._sock = sock
        self._gateway = gateway
        self._deadline: asyncio.Timeout | None = None

    async def read_header(self, patience: float) -> ProxyHeader | None:
        """What a trusted proxy says first; None if it says nothing and need not. Raises ``Failed``."""
        gateway = self._gateway
        try:
            async with asyncio.timeout(patience) as self._deadline:
                header = await hear(self._sock, self.origin.address, gateway.proxy, gateway.proxies())
        except TimeoutError:
            raise self._refused(HandshakeFailure.TIMEOUT, "no whole PROXY header in time") from None
        except ProxyHeaderError as error:
            raise self._refused(error.reason, str(error)) from None
        except (EOFError, OSError):
            raise Failed(None) from None  # As health checks do.
        finally:
            self._deadline = None
        if self.over:  # What had come by then can still be read, and its place is another's.
            raise Failed(None)
        return header

    async def check_for_header(self, patience: float) -> None:
        """Raise ``Failed`` if a proxy says first who its client is, where nobody listens to that.

        Who says nothing in time, or leaves, is left to what comes next.
        """
        try:
            async with asyncio.timeout(patience) as self._deadline:
                found = await begins_with_header(self._sock)
        except (TimeoutError, OSError):
            found = False
        finally:
            self._deadline = None
        if self.over:
            raise Failed(None)
        if found:
            text = "this address takes no PROXY header: add proxy=require to it, or send none"
            raise self._refused(HandshakeFailure.PROXY, text)

    async def become(self, patience: float) -> None:
        """Hand the connection to its protocol once it is encrypted, if it is to be. Raises ``Failed``.

        ``patience``: seconds that a TLS handshake may take.
        """
        tls = self._gateway.tls
        context = tls() if tls is not None else None
        if tls is not None and context is None:
            raise Failed(None)  # They have gone since it came.
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: self.connection,
                self._sock,
                ssl=context,
                ssl_handshake_timeout=patience if context is not None else None,
                ssl_shutdown_timeout=_GOODBYE if context is not None else None,
            )
        except OSError as error:
            detail = (
                getattr(error, "reason", None) or error.strerror or str(error) or "it closed the connection"
            )
            if context is None:
                raise Failed(None) from None
            raise self._failed(_classify(error), detail.replace("_", " ").lower()) from None

    def hang_up(self) -> None:
        """Close it, unless it has been handed over."""
        self._sock.close()

    def abort(self, _reason: CloseReason, _detail: Word | None = None) -> None:
        """Cut it off: it ends at once."""
        self.over = True
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())
        with contextlib.suppress(OSError):  # It may be closed.
            discard_unsent(self._sock)
            self._sock.shutdown(socket.SHUT_RDWR)

    def _refused(self, reason: HandshakeFailure, detail: str) -> Failed:
        if self.over:
            return Failed(None)
        tell_refused(self.origin, reason, detail)
        return Failed(reason)

    def _failed(self, reason: HandshakeFailure, detail: str) -> Failed:
        if self.over:
            return Failed(None)
        # As health checks and scanners do all day.
        level = logging.DEBUG if reason is HandshakeFailure.TLS_LEFT else logging.INFO
        origin = self.origin
        fields = {"client": origin.shown, "listener": origin.listener, "reason": reason, "detail": detail}
        _logger.log(level, "TLS handshake failed", extra={"fields": fields})
        return Failed(reason)


def tell_refused(origin: Origin, reason: HandshakeFailure, detail: str) -> None:
    """Log that somebody sends no PROXY header, or another one than it should."""
    fields = {"client": origin.shown, "listener": origin.listener, "reason": reason, "detail": detail}
    _logger.info("PROXY header refused", extra={"fields": fields})


def _classify(error: OSError) -> HandshakeFailure:
    if not isinstance(error, ssl.SSLError):
        # asyncio's, when its time is up.
        late = isinstance(error, ConnectionAbortedError)
        return HandshakeFailure.TIMEOUT if late else HandshakeFailure.TLS_LEFT
    reason = error.reason or ""
    if reason.endswith(_OTHER_VERSION):
        return HandshakeFailure.TLS_VERSION
    if reason in _NOT_TLS:
        return HandshakeFailure.NOT_TLS
    return HandshakeFailure.TLS_REFUSED if "_ALERT_" in reason else HandshakeFailure.TLS_FAILED
