"""Signatures by which a receiver knows who has sent a request: those of Standard Webhooks, version 1.

The specification is https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md;
there are libraries that check them for most languages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The keys in ``text``: several, with spaces between, while one takes the place of another.

    Raises ValueError, whose sentence holds no secret.
    """
    return tuple(map(_parse_secret, text.split()))


def _parse_secret(text: str) -> bytes:
    how = f"make one with: echo {PREFIX}$(openssl rand -base64 32)"
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"is no secret of Standard Webhooks, which is base64; {how}") from None
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(f"has {len(key)} bytes, and not {_LEAST_BYTES} to {_MOST_BYTES}; {how}")
    return key


def signed(secrets: Iterable[bytes], message_id: str, at: int, body: bytes) -> tuple[tuple[str, str], ...]:
    """Headers for ``body``, sent ``at`` (seconds since 1970); without ``secrets`` they sign nothing."""
    content = f"{message_id}.{at}.".encode() + body
    headers = (("webhook-id", message_id), ("webhook-timestamp", str(at)))
    signatures = [
        "v1," + base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode() for secret in secrets
    ]
    return (*headers, ("webhook-signature", " ".join(signatures))) if signatures else headers
