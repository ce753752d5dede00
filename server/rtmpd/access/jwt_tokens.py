"""JSON Web Tokens (RFC 7519) of an issuer that is trusted, verified with its public keys.

Import this where JWT is configured and nowhere else: it needs PyJWT, which the extra ``jwt`` brings, and
raises ConfigError without.

A token says in one claim what it is good for: a list, or a text with blanks between, of
``publish:live/show`` or ``play:live/show``. A path that ends in ``/*`` means every stream below it, and
``*`` alone means all. Anything else in the claim is somebody else's, so that it may be the ``scope`` of
OAuth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rtmpd.access.jwks import Jwks, PublicKey
from rtmpd.access.proof import Proof
from rtmpd.access.token_rules import CURVES, RSA, TokenRules
from rtmpd.exceptions import ConfigError, ProofFailed
from rtmpd.reasons import Refusal

try:
    import jwt
except ImportError as error:
    problem = "JWT needs PyJWT with cryptography, which come with rtmpd's extra: pip install '.[jwt]'"
    raise ConfigError([problem]) from error

MAX_LENGTH: Final = 8192
"""Characters of a token."""
MAX_SUBJECT_LENGTH: Final = 100

_PUBLIC_MEMBERS: Final = ("kty", "crv", "n", "e", "x", "y")
_MIN_RSA_BITS: Final = 2048
_MAX_KEYS: Final = 100
_LATEST: Final = 10**11
"""Seconds since 1970; later than anything that is meant."""


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Tells which tokens are genuine, and what they are good for: the same as another by the same rules."""

    _rules: TokenRules
    _jwks: Jwks
    """Parses with ``parse_jwks``."""

    async def verify(self, token: str, action: str, path: str, now: float) -> Proof:
        """What a token proves, if it allows this; waits where its key has to be fetched first.

        ``action`` is ``publish`` or ``play``, ``path`` the stream (app and name), ``now`` seconds since 1970.
        Raises ProofFailed, which does not name the stream: what stands in its place may be a key.
        """
        claims, proof = await self.read(token, now)
        if not _allows(claims.get(self._rules.names_claim), action, path):
            text = f"This token does not allow you to {action} this very stream; get one that does."
            raise ProofFailed(Refusal.JWT_NAMES, text)
        return proof

    async def read(self, token: str, now: float) -> tuple[Mapping[str, Any], Proof]:
        """What a genuine token says that is good now, and whose it is; as ``verify``, whatever it is for."""
        algorithm, kid = self._read_header(token)
        key = await self._jwks.find(kid)
        claims = _verify_signature(token, key, algorithm)
        self._check_parties(claims)
        until = self._check_time(claims, now)
        subject = _subject(claims)
        identity = f"subject:{self._rules.issuer} {subject}" if subject else ""
        return claims, Proof(subject, identity, until + self._rules.leeway)

    def _read_header(self, token: str) -> tuple[str, str]:
        """The algorithm and the name of the key, which choose among what is allowed anyway."""
        try:
            header = jwt.get_unverified_header(token) if len(token) <= MAX_LENGTH else {}
        except (jwt.PyJWTError, RecursionError):
            header = {}
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if not isinstance(algorithm, str) or not isinstance(kid, str) or "crit" in header:
            raise _forged(Refusal.JWT_MALFORMED, "This is no whole token")
        if algorithm not in self._rules.algorithms:
            raise _forged(Refusal.JWT_ALGORITHM, "This token is signed in a way that is not allowed here")
        return algorithm, kid

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._rules.issuer or self._rules.audience not in named:
            text = "This token is another issuer's, or for another server; get one for this server."
            raise ProofFailed(Refusal.JWT_AUDIENCE, text)

    def _check_time(self, claims: Mapping[str, Any], now: float) -> float:
        until, since = _time(claims.get("exp")), _time(claims.get("nbf", 0))
        if until is None or since is None:
            raise ProofFailed(
                Refusal.JWT_EXPIRED, "This token does not say how long it is good; get one that does."
            )
        if now >= until + self._rules.leeway:
            when = f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d at %H:%M:%S} UTC"
            raise ProofFailed(Refusal.JWT_EXPIRED, f"This token has expired on {when}; get a new one.")
        if now < since - self._rules.leeway:
            when = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d at %H:%M:%S} UTC"
            raise ProofFailed(Refusal.JWT_NOT_YET, f"This token is not good before {when}.")
        return until


def parse_jwks(data: bytes) -> dict[str, PublicKey]:
    """The keys of a set that can verify signatures, by ``kid``; others are left out (RFC 7517, section 5).

    Raises ValueError with a sentence if that leaves none.
    """
    try:
        found = json.loads(data)["keys"][:_MAX_KEYS]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ValueError('is no key set: {"keys": [...]} is expected') from None
    keys: dict[str, PublicKey] = {}
    for each in found:
        key = _parse_key(each) if isinstance(each, dict) else None
        if key is not None:
            keys.setdefault(str(each.get("kid", "")), key)
    if not keys:
        raise ValueError("has no key to verify signatures with: RSA of 2048 bits and more, EC or Ed25519")
    return keys


def _parse_key(members: Mapping[str, Any]) -> PublicKey | None:
    uses, operations = members.get("use", "sig"), members.get("key_ops", ["verify"])
    if uses != "sig" or (isinstance(operations, list) and "verify" not in operations):
        return None
    fitting = RSA if members.get("kty") == "RSA" else {CURVES.get(str(members.get("crv")))}
    algorithms = frozenset(each for each in fitting if each and members.get("alg", each) == each)
    # What a set holds of a private key is not needed here.
    public = {name: members[name] for name in _PUBLIC_MEMBERS if name in members}
    try:
        key = jwt.PyJWK(public, algorithm=min(algorithms)).key if algorithms else None
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if key is None or (fitting is RSA and key.key_size < _MIN_RSA_BITS):
        return None
    return PublicKey(key, algorithms)


def _verify_signature(token: str, key: PublicKey, algorithm: str) -> Mapping[str, Any]:
    """The claims, of which none has been looked at."""
    if algorithm not in key.algorithms:
        raise _forged(Refusal.JWT_ALGORITHM, "This token is not signed in the way that its key is for")
    try:
        claims = json.loads(jwt.PyJWS().decode(token, key.key, algorithms=[algorithm]))
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _forged(Refusal.JWT_SIGNATURE, "This token is not genuine") from error
    if not isinstance(claims, dict):
        raise _forged(Refusal.JWT_MALFORMED, "This is no whole token")
    return claims


def _allows(claim: object, action: str, path: str) -> bool:
    entries = claim.split() if isinstance(claim, str) else claim
    return isinstance(entries, list) and any(
        verb == action and _matches(pattern, path)
        for verb, _, pattern in (entry.partition(":") for entry in entries if isinstance(entry, str))
    )


def _matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("/*") and path.startswith(pattern[:-1]))


def _time(value: object) -> float | None:
    """A time as RFC 7519 has them, in seconds since 1970."""
    if isinstance(value, int | float) and 0 <= value <= _LATEST:
        return float(value)
    return None


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if isinstance(subject, str) and subject.isprintable() and len(subject) <= MAX_SUBJECT_LENGTH:
        return subject
    return ""


def _forged(reason: Refusal, text: str) -> ProofFailed:
    return ProofFailed(reason, f"{text}; get a new one.")
