"""Who may ask the admin port: whose token somebody shows, and how often one may guess."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol

from rtmpd.access.admin_rules import ALL_STREAMS, ROLES, AdminRules, AdminToken, IssuedRoles
from rtmpd.access.guard import Guard
from rtmpd.access.keys import digest_of
from rtmpd.access.proof import Proof
from rtmpd.exceptions import NotPossible, ProofFailed, TryLater
from rtmpd.net.addresses import network_of
from rtmpd.reasons import Problem, Refusal

_MAX_NETWORKS: Final = 1000
_MAX_REMEMBERED: Final = 8
"""Wrong tokens of one network that are known by their digests: to show them again is no guess."""
_JWT_DOTS: Final = 2
_ISSUED: Final = "jwt"

logger = logging.getLogger(__name__)


class TokenReader(Protocol):
    """Tells which JWTs are genuine; ``access.jwt_tokens.TokenVerifier`` is one."""

    def read(self, token: str, now: float) -> Awaitable[tuple[Mapping[str, Any], Proof]]:
        """What it says, and whose it is. Raises ProofFailed."""


@dataclass(frozen=True, slots=True)
class AdminProof:
    """What somebody has shown to be. There is nothing in it that may not be told."""

    name: str
    role: str
    """As in ``AdminToken``, as the next one."""
    streams: tuple[str, ...]
    until: float
    """When it expires, in seconds since 1970."""
    holds: Callable[[], bool] = field(compare=False)
    """Whether it is still so: it may be revoked at any time."""


class AdminAccess:
    """Knows whom to believe. Of a token that is shown it says nothing but whose it is.

    ``sleep(seconds)`` waits; ``wall_clock()`` are seconds since 1970.
    """

    def __init__(
        self, guard: Guard, wall_clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._guard = guard
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._tokens: dict[bytes, AdminToken] = {}
        self._issued: IssuedRoles | None = None
        self._reader: TokenReader | None = None
        self._wrong: dict[str, list[bytes]] = {}
        """What each network has shown last, the oldest first."""

    def apply(self, rules: AdminRules, reader: TokenReader | None) -> None:
        """Go on by other rules: who has shown what is good no more is believed no more, from now on."""
        self._tokens = {token.key.digest: token for token in rules.tokens}
        self._issued, self._reader = rules.issued, reader

    async def prove(self, shown: str, address: str) -> AdminProof:
        """Whose token it is that somebody ``shown`` from an address.

        Raises NotPossible, for a guess after a while; TryLater, without a look at it, for who has guessed too
        often.
        """
        wait = self._guard.kept_from_asking(address)
        if wait:
            text = f"this address has shown too many wrong tokens: it may try again in {math.ceil(wait)} s"
            raise TryLater(Problem.TOO_MANY_ATTEMPTS, f"{text}, or after `rtmpd unban` on the server", wait)
        try:
            return await self._prove(shown)
        except NotPossible as refused:
            await self._refuse(shown, address, refused)
            raise

    # Inside

    async def _prove(self, shown: str) -> AdminProof:
        # The same work whatever is shown; what can be learnt from its time is said in KeyRing.find.
        digest = digest_of(shown) if shown.isascii() else b""
        token = self._tokens.get(digest)
        if token is not None:
            return self._prove_own(token)
        if self._reader is not None and self._issued is not None and shown.count(".") == _JWT_DOTS:
            return await self._prove_issued(shown, self._reader, self._issued)
        text = "no token of this server is this one: is it whole, and is it still in its settings?"
        raise NotPossible(Problem.TOKEN_WRONG, text)

    def _prove_own(self, token: AdminToken) -> AdminProof:
        key = token.key
        until = math.inf if key.until is None else key.until
        if self._wall_clock() >= until:
            text = f"this token, {key.name}, has expired: make another, and put it in its place"
            raise NotPossible(Problem.TOKEN_EXPIRED, text)

        def holds() -> bool:
            return self._tokens.get(key.digest) == token and self._wall_clock() < until

        return AdminProof(key.name, token.role, token.streams, until, holds)

    async def _prove_issued(self, shown: str, reader: TokenReader, issued: IssuedRoles) -> AdminProof:
        try:
            claims, proof = await reader.read(shown, self._wall_clock())
        except ProofFailed as failed:
            raise NotPossible(_PROBLEMS.get(failed.reason, Problem.TOKEN_WRONG), str(failed)) from None
        roles = {issued.roles[each] for each in _texts(_claim(claims, issued.claim)) if each in issued.roles}
        if not roles:
            text = f"this token is genuine, and its claim {issued.claim} has nothing that means a role here"
            raise NotPossible(Problem.ROLE, f"{text}: see admin.jwt")
        streams: tuple[str, ...] = (ALL_STREAMS,)
        if issued.streams_claim:
            streams = tuple(map(_path, _texts(_claim(claims, issued.streams_claim))))
            if not streams:
                text = f"this token is for no stream: its claim {issued.streams_claim} names none"
                raise NotPossible(Problem.ROLE, text)
        role = max(roles, key=ROLES.index)

        def holds() -> bool:
            return (self._reader, self._issued) == (reader, issued) and self._wall_clock() < proof.until

        # As no token of ours can be called: whoever names subjects names nobody else.
        name = f"{_ISSUED}:{proof.account}" if proof.account else _ISSUED
        return AdminProof(name, role, streams, proof.until, holds)

    async def _refuse(self, shown: str, address: str, refused: NotPossible) -> None:
        fields = {"client": self._guard.mask.show(address), "reason": refused.problem}
        logger.info("admin token refused", extra={"fields": fields})
        if refused.problem is Problem.TOKEN_WRONG and self._is_new(shown, network_of(address)):
            delay = self._guard.guessed(address, refused.problem)
            if delay:
                await self._sleep(delay)

    def _is_new(self, shown: str, network: str) -> bool:
        """Whether it was not shown from there just before: who polls with an old token guesses nothing."""
        digest = sha256(shown.encode(errors="replace")).digest()
        known = self._wrong.pop(network, [])
        is_new = digest not in known
        self._wrong[network] = [*(each for each in known if each != digest), digest][-_MAX_REMEMBERED:]
        if len(self._wrong) > _MAX_NETWORKS:
            del self._wrong[next(iter(self._wrong))]
        return is_new


_PROBLEMS: Final = {
    Refusal.JWT_EXPIRED: Problem.TOKEN_EXPIRED,
    Refusal.JWT_NOT_YET: Problem.TOKEN_EXPIRED,
    Refusal.JWT_AUDIENCE: Problem.TOKEN_WRONG,
    Refusal.JWT_KEYS_UNAVAILABLE: Problem.KEYS_UNAVAILABLE,
}


def _claim(claims: Mapping[str, Any], name: str) -> object:
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _texts(claim: object) -> list[str]:
    """A text, a text with blanks between (as OAuth's scope), or a list."""
    entries = [claim, *claim.split()] if isinstance(claim, str) else claim
    return [each for each in entries if isinstance(each, str)] if isinstance(entries, list) else []


def _path(text: str) -> str:
    return text.removesuffix("/*")
