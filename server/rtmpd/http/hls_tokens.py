"""Tokens of those who watch by HLS: they stand in the URIs of their playlists; nobody is asked twice."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections.abc import Callable
from typing import Final

from rtmpd.engine.key import StreamKey

_LENGTH: Final = 44
"""Characters of one."""
_SESSION: Final = 16
_EXPIRY: Final = 5
_MAC: Final = 12
"""Bytes of what it is made of."""


class TokenMint:
    """Makes them, and knows its own again. None is good in another process, or for another stream."""

    def __init__(self, secret: bytes, wall_clock: Callable[[], float]) -> None:
        """``secret`` is random; ``wall_clock()`` is seconds since 1970."""
        self._secret = secret
        self._wall_clock = wall_clock

    def issue(self, session: int, key: StreamKey, lifetime: float) -> str:
        """For whoever has that session and plays ``key``, good for ``lifetime`` seconds."""
        expiry = int(self._wall_clock() + lifetime)
        body = session.to_bytes(_SESSION, "big") + expiry.to_bytes(_EXPIRY, "big")
        return urlsafe_b64encode(body + self._mac(body, key)).decode()

    def session_of(self, token: str, key: StreamKey) -> int | None:
        """Whose it is; None for what is none for ``key``, or is good no more."""
        if len(token) != _LENGTH or not token.isascii():
            return None
        try:
            data = urlsafe_b64decode(token)
        except (NoBase64, ValueError):
            return None
        body, mac = data[: _SESSION + _EXPIRY], data[_SESSION + _EXPIRY :]
        if not hmac.compare_digest(mac, self._mac(body, key)):
            return None
        if int.from_bytes(body[_SESSION:], "big") <= self._wall_clock():
            return None
        return int.from_bytes(body[:_SESSION], "big")

    def _mac(self, body: bytes, key: StreamKey) -> bytes:
        return hmac.digest(self._secret, body + str(key).encode(), hashlib.sha256)[:_MAC]
