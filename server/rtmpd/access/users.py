"""Users with passwords, by Adobe's authentication: OBS's "Use authentication", ffmpeg's ``user:password@``.

An encoder connects three times (``rtmp.adobe_auth``): it says nothing of itself unasked, so the first
connect is refused; the second names the user and is given a challenge; the third has the response. Nothing
is kept between them. All of them are connects, before a stream is named, so an application asks either for
users or for what encoders present with a publish; and players, who are asked for nothing, have to be told
from encoders by how they connect. A publish asks once more whether it is a user of that very stream.

Passwords are held in the clear, because the scheme needs them so. Limelight's (``authmod=llnw``) is not
spoken.
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.exceptions import ProofFailed
from rtmpd.reasons import Refusal
from rtmpd.rtmp import adobe_auth
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.url import parse_query

MAX_AGE: Final = 30.0
"""Seconds that a challenge is good for. An encoder needs two round trips; somebody who has read its answer
on the way, which only TLS prevents, can use it as long."""
MAX_USER_LENGTH: Final = 100
_SCHEME: Final = "adobe"
_USER: Final = re.compile(r"[A-Za-z0-9._~@-]+")


@dataclass(frozen=True, slots=True)
class Question:
    """What to refuse a connect with so that its encoder comes again and says more; no failure of anybody."""

    description: str


def means_to_publish(params: ConnectParams) -> bool:
    """Whether who connects like this is an encoder, as far as anybody can tell before it publishes.

    OBS, ffmpeg, GStreamer and librtmp say so in a property that no player of theirs has; older encoders call
    themselves what Adobe's did, by which Adobe's server told them. The word of a client proves nothing:
    whoever publishes without having been asked for a user has none.
    """
    return params.connect_object.get("type") == "nonprivate" or params.flash_ver.startswith("FMLE/")


def presents_user(query: str) -> bool:
    """Whether the query of a connect's app takes part in an authentication, of whatever scheme."""
    return "authmod" in parse_query(query)


class Users:
    """Who may come in by user and password."""

    def __init__(self, passwords: Mapping[str, str], secret: bytes) -> None:
        """``secret``: at least 16 random bytes, the same in all processes that clients may be led to in turn.

        Raises ValueError, which tells no password, for a user or password that no encoder can send.
        """
        for user, password in passwords.items():
            check_user(user, password)
        self._passwords = dict(passwords)
        self._secret = secret
        self._nobodys = hmac.digest(secret, b"nobody", "sha256").hex()
        """A password that nobody can know, so that refusing a stranger is the same work."""

    def __len__(self) -> int:
        return len(self._passwords)

    def answer(self, query: str, now: float) -> str | Question:
        """The user whom the query of a connect's app proves, or what to ask instead.

        Refuse with ``NetConnection.Connect.Rejected`` and, as they stand, a ``Question``'s or a failure's
        description. ``now``: seconds of any clock that the processes share which have the same secret.

        Raises ProofFailed for a wrong password and, in the same words after the same work, for a user that
        there is none of: ``nosuchuser`` would tell strangers whose password is worth guessing, and OBS and
        ffmpeg do the same on either word.
        """
        fields = parse_query(query)
        scheme = fields.get("authmod")
        if scheme is None:
            return Question(adobe_auth.NEED_AUTH)
        user = fields.get("user", "")
        if scheme != _SCHEME or not _may_be_user(user):
            raise _failed()
        if "response" not in fields:
            return self._challenge(user, now)
        password = self._passwords.get(user, self._nobodys)
        if adobe_auth.verify(self._secret, fields, password, now, MAX_AGE):
            return user
        if adobe_auth.verify(self._secret, fields, password, now, math.inf):
            return self._challenge(user, now)  # Right, to a challenge that is too old.
        raise _failed()

    def __contains__(self, user: str) -> bool:
        return user in self._passwords

    def has(self, user: str, query: str) -> bool:
        """Whether the query of a connect that was let in for ``user``, here or by others with this secret,
        proves that user here as well: the password is the same.
        """
        fields, password = parse_query(query), self._passwords.get(user)
        if password is None or fields.get("user") != user:
            return False
        # Whether it is fresh was looked at then.
        return adobe_auth.verify(self._secret, fields, password, now=math.inf, max_age=math.inf)

    def _challenge(self, user: str, now: float) -> Question:
        return Question(adobe_auth.challenge_text(adobe_auth.make_challenge(self._secret, user, now)))


def check_user(user: str, password: str) -> None:
    """Raise ValueError, which does not tell the password, unless every encoder can say who it is.

    The user travels in queries and back, where some quote a character and some do not, and is hashed as it
    arrives: what is never quoted is the same on both sides.
    """
    if not _may_be_user(user):
        text = f"at most {MAX_USER_LENGTH} letters (a to z), digits and . _ ~ @ -"
        raise ValueError(f"{user[:MAX_USER_LENGTH]!r} is no user: write {text}")
    if not password:
        raise ValueError(f"{user} has no password")


def _may_be_user(text: str) -> bool:
    return len(text) <= MAX_USER_LENGTH and _USER.fullmatch(text) is not None


def _failed() -> ProofFailed:
    description = adobe_auth.denial_text(adobe_auth.AUTH_FAILED)
    return ProofFailed(Refusal.AUTHENTICATION_FAILED, description)
