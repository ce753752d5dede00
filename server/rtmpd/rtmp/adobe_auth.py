"""Adobe's authentication of publishers, both roles: a dance over three connections, as FMS began it.

1. connect without credentials is refused: ``NEED_AUTH``.
2. connect with ``user_query`` appended to the app is refused with a ``Challenge``.
3. connect with ``response_query`` appended is accepted, or refused with a ``denial``.

The scheme rests on MD5 and on a password that the server must know in the clear: support it for encoders
that know nothing else, over TLS where possible. The server keeps nothing between the connections: its
challenge carries a time and a MAC, and comes back to it as ``opaque``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from rtmpd.rtmp.url import parse_query

NEED_AUTH: Final = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
"""Description that answers a connect without credentials. Its brackets and blanks are part of it:
GStreamer matches the whole form, ffmpeg reads ``authmod`` up to the next blank."""

AUTH_FAILED: Final = "authfailed"
NO_SUCH_USER: Final = "nosuchuser"

_REFUSED: Final = "[ AccessManager.Reject ] : [ authmod=adobe ] : "
_MOD: Final = re.compile(r"authmod=([^\s;&\]]+)")
_REASON: Final = re.compile(r"\?reason=([^\s&]+)")
_USER_SAFE: Final = "!$'()*+,/:;@~"
"""What user names go out with unquoted, as other clients send them: all but what ends a query field."""
_TIME_BYTES: Final = 8
_MAC_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server's second refusal tells."""

    user: str
    salt: str
    challenge: str
    opaque: str = ""


# Client


def authmod(description: str) -> str | None:
    """The scheme that a refusal asks for (``adobe``, ``llnw``), or None when it is about something else."""
    found = _MOD.search(description)
    return found[1] if found else None


def needs_credentials(description: str) -> bool:
    """Whether this is step 1's refusal."""
    return "code=403 need auth" in description


def parse_challenge(description: str) -> Challenge | None:
    """The challenge in step 2's refusal, or None when it is another one."""
    if "?reason=needauth" not in description:
        return None
    fields = parse_query(description[description.index("?reason=") :].rstrip(" ]"))
    return Challenge(
        fields.get("user", ""),
        fields.get("salt", ""),
        fields.get("challenge", ""),
        fields.get("opaque", ""),
    )


def denial(description: str) -> str | None:
    """``authfailed``, ``nosuchuser`` or another word from step 3's refusal; None when it is another one."""
    found = _REASON.search(description)
    return found[1] if found and found[1] != "needauth" else None


def user_query(user: str) -> str:
    """Step 2: what follows the app and a ``?``."""
    return f"authmod=adobe&user={quote(user, safe=_USER_SAFE)}"


def response_query(challenge: Challenge, user: str, password: str, client_challenge: str) -> str:
    """Step 3: what follows the app and a ``?``. ``client_challenge`` is random, such as 8 hex digits."""
    response = compute_response(challenge, user, password, client_challenge)
    opaque = f"&opaque={challenge.opaque}" if challenge.opaque else ""
    return f"{user_query(user)}&challenge={client_challenge}&response={response}{opaque}"


# Both


def compute_response(challenge: Challenge, user: str, password: str, client_challenge: str) -> str:
    """``b64(md5(b64(md5(user + salt + password)) + (opaque or challenge) + client_challenge))``."""
    secret = _md5(user + challenge.salt + password)
    return _md5(secret + (challenge.opaque or challenge.challenge) + client_challenge)


# Server


def make_challenge(secret: bytes, user: str, now: float) -> Challenge:
    """A challenge that ``verify`` knows again without having stored it.

    ``secret`` is the server's own, at least 16 random bytes; ``now`` in seconds of any clock that all
    processes share.
    """
    time = int(now).to_bytes(_TIME_BYTES, "big")
    token = _text(time + _mac(secret, user, time))
    return Challenge(user, _salt(secret, user), token, token)


def challenge_text(challenge: Challenge) -> str:
    """Description that answers step 2."""
    user = quote(challenge.user, safe=_USER_SAFE)
    return (
        f"{_REFUSED}?reason=needauth&user={user}&salt={challenge.salt}"
        f"&challenge={challenge.challenge}&opaque={challenge.opaque}"
    )


def denial_text(reason: str) -> str:
    """Description that answers a failed step 3; ``reason`` is ``AUTH_FAILED`` or ``NO_SUCH_USER``."""
    return f"{_REFUSED}?reason={reason}"


def verify(secret: bytes, fields: Mapping[str, str], password: str, now: float, max_age: float) -> bool:
    """Whether step 3's query proves that its user knows ``password``.

    ``fields`` come from ``parse_query`` of the app's query. The challenge must be ours, made for that user
    and at most ``max_age`` seconds old. It may be used again within that time: give it little.
    """
    user = fields.get("user", "")
    token = fields.get("opaque", "")
    if not _is_fresh(secret, user, token, now, max_age):
        return False
    challenge = Challenge(user, _salt(secret, user), token, token)
    expected = compute_response(challenge, user, password, fields.get("challenge", ""))
    return hmac.compare_digest(expected.encode(), fields.get("response", "").encode())


def _is_fresh(secret: bytes, user: str, token: str, now: float, max_age: float) -> bool:
    try:
        data = urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        return False
    time, mac = data[:_TIME_BYTES], data[_TIME_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, user, time)):
        return False
    return -1 <= now - int.from_bytes(time, "big") <= max_age


def _mac(secret: bytes, user: str, time: bytes) -> bytes:
    return hmac.digest(secret, b"challenge" + time + user.encode(), "sha256")[:_MAC_BYTES]


def _salt(secret: bytes, user: str) -> str:
    return _text(hmac.digest(secret, b"salt" + user.encode(), "sha256")[:6])


def _text(data: bytes) -> str:
    # 24 and 6 bytes need no padding, and this alphabet survives whatever a client does to a query.
    return urlsafe_b64encode(data).decode()


def _md5(text: str) -> str:
    return b64encode(hashlib.md5(text.encode(), usedforsecurity=False).digest()).decode()
