"""Clients whose TLS handshake is under way: no RTMP clients yet, and pending all the same."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from typing import Final

from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.net.socket_options import discard_unsent
from rtmpd.reasons import HandshakeFailure, Word

_logger = logging.getLogger(__name__)

_GOODBYE: Final = 2.0
"""Seconds that a client has to answer the end of TLS."""
_OTHER_VERSION: Final = ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "PROTOCOL_VERSION", "NO_SHARED_CIPHER")
_NOT_TLS: Final = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG")


class Arrival:
    """One of them, from the accept to the end of the handshake, good or bad."""

    __slots__ = ("_sock", "origin", "over", "protocol")

    def __init__(self, sock: socket.socket, origin: Origin, protocol: asyncio.Protocol) -> None:
        self.origin = origin
        self.over = False
        """It was ended here: what becomes of the handshake is nobody's failure."""
        self._sock = sock
        self.protocol = protocol
        """What becomes of it."""

    async def shake_hands(self, context: ssl.SSLContext, patience: float) -> HandshakeFailure | None:
        """Hand the connection to its protocol once it is encrypted, or close it and say why.

        ``patience``: seconds that the handshake may take.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: self.protocol,
                self._sock,
                ssl=context,
                ssl_handshake_timeout=patience,
                ssl_shutdown_timeout=_GOODBYE,
            )
        except OSError as error:
            if self.over:
                return None
            reason = _classify(error)
            detail = (
                getattr(error, "reason", None) or error.strerror or str(error) or "it closed the connection"
            )
            fields = {
                "client": self.origin.address,
                "listener": self.origin.listener,
                "reason": reason,
                "detail": detail.replace("_", " ").lower(),
            }
            # As health checks and scanners do all day.
            level = logging.DEBUG if reason is HandshakeFailure.TLS_LEFT else logging.INFO
            _logger.log(level, "TLS handshake failed", extra={"fields": fields})
            return reason
        except Exception:  # A bug, and nobody may have taken the socket yet.
            self._sock.close()
            raise
        return None

    def abort(self, _reason: CloseReason, _detail: Word | None = None) -> None:
        """Cut it off: the handshake ends at once."""
        self.over = True
        with contextlib.suppress(OSError):  # It may be closed.
            discard_unsent(self._sock)
            self._sock.shutdown(socket.SHUT_RDWR)


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
