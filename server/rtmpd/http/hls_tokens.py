"""Tokens of those who watch by HLS: they stand in the URIs of their playlists; nobody is asked twice."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from typing import Final

from rtmpd.engine.key import StreamKey

_LENGTH: Final = 40
"""Characters of one."""
_SESSION: Final = 16
_MAC: Final = 14
"""Bytes of what it is made of."""


class TokenMint:
    """Makes them, and knows its own again. None is good in another process, or for another stream."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` is random."""
        self._secret = secret

    def issue(self, session: int, key: StreamKey) -> str:
        """For whoever has that session and plays ``key``."""
        body = session.to_bytes(_SESSION, "big")
        return urlsafe_b64encode(body + self._mac(body, key)).decode()

    def session_of(self, token: str, key: StreamKey) -> int | None:
        """Whose it is; None for what is none for ``key``."""
        if len(token) != _LENGTH or not token.isascii():
            return None
        try:
            data = urlsafe_b64decode(token)
        except (NoBase64, ValueError):
            return None
        body, mac = data[:_SESSION], data[_SESSION:]
        return int.from_bytes(body, "big") if hmac.compare_digest(mac, self._mac(body, key)) else None

    def _mac(self, body: bytes, key: StreamKey) -> bytes:
        return hmac.digest(self._secret, body + str(key).encode(), hashlib.sha256)[:_MAC]
