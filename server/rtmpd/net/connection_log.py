"""What is logged of a connection, and which of it at which level."""

from __future__ import annotations

import logging

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import ProtocolError, Refused
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.url import redact

_logger = logging.getLogger(__name__)


class ConnectionLog:
    """The lines of one connection. Those of its publishes and plays are their own."""

    __slots__ = ("_address", "_app", "_number")

    def __init__(self, address: str, number: int) -> None:
        self._address = address
        self._number = number
        self._app: str | None = None
        """Once it has asked to connect: a peer that has is no scanner."""

    def connected(self, params: ConnectParams) -> None:
        fields = self._fields() | {
            "app": params.app,
            "agent": params.flash_ver,
            "tc_url": redact(params.tc_url),
        }
        _logger.info("connected", extra={"fields": fields})

    def asked(self, app: str) -> None:
        """The client wants to connect to ``app``."""
        self._app = app

    def turned_away(self, reason: str) -> None:
        fields = {"client": self._address, "reason": reason}
        _logger.debug("connection refused", extra={"fields": fields})

    def connect_refused(self, key: StreamKey, refusal: Refused) -> None:
        self._refused("connect refused", key, refusal)

    def publish_refused(self, key: StreamKey, refusal: Refused) -> None:
        self._refused("publish refused", key, refusal)

    def play_refused(self, key: StreamKey, refusal: Refused) -> None:
        self._refused("play refused", key, refusal)

    def failed(self, error: ProtocolError) -> None:
        fields = self._fields() | {"reason": error.reason, "detail": str(error)}
        # Every port on the Internet is scanned all day.
        level = logging.INFO if self._app is None else logging.WARNING
        _logger.log(level, "protocol error", extra={"fields": fields})

    def request_failed(self, error: BaseException) -> None:
        """A bug of ours, as the next one."""
        _logger.error("request failed", exc_info=error, extra={"fields": self._fields()})

    def reading_failed(self, error: Exception) -> None:
        _logger.error("reading failed", exc_info=error, extra={"fields": self._fields()})

    def closed(self, duration: float, bytes_in: int, bytes_out: int, reason: str) -> None:
        fields = self._fields() | {
            "duration": round(duration, 3),
            "app": self._app,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "reason": reason,
        }
        level = logging.DEBUG if self._app is None else logging.INFO
        _logger.log(level, "closed", extra={"fields": fields})

    def _refused(self, message: str, key: StreamKey, refusal: Refused) -> None:
        fields = self._fields() | {
            "app": key.app,
            "stream": key.name,
            "reason": refusal.reason,
            "told": refusal.description,
        }
        _logger.warning(message, extra={"fields": fields})

    def _fields(self) -> dict[str, object]:
        return {"client": self._address, "connection": self._number}
