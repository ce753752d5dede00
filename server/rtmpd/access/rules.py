"""What holds for one path: who may publish there, and who may play."""

from __future__ import annotations

import ipaddress
from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rtmpd.access.key_file import KeyFile
from rtmpd.access.keys import Key, KeyRing, digest_in
from rtmpd.access.proof import KEY, USER, Proof
from rtmpd.access.signed_urls import SignedUrls
from rtmpd.exceptions import ProofFailed
from rtmpd.net.addresses import UNIX, is_local

if TYPE_CHECKING:
    from rtmpd.access.users import Users

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Allow(StrEnum):
    """Who needs no proof, or whom none helps."""

    ANYONE = "anyone"
    LOCAL = "local"
    PROVEN = "proven"
    NOBODY = "nobody"


class TokenCheck(Protocol):
    """Tells which tokens are genuine: ``jwt_tokens.TokenVerifier``, which not everybody has a library for."""

    async def verify(self, token: str, action: str, path: str, now: float) -> Proof:
        """What it proves, at ``now`` in seconds since 1970. Raises ProofFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may publish what has one path, or play it."""

    allow: Allow
    ips: tuple[Network, ...] = ()
    """Where clients have to come from; empty is anywhere."""
    deny_ips: tuple[Network, ...] = ()
    ring: KeyRing | None = None
    """Of the configuration."""
    file: KeyFile | None = None
    """With further keys."""
    users: Users | None = None
    """Who may publish by user and password."""
    links: SignedUrls | None = None
    """Which links are genuine."""
    tokens: TokenCheck | None = None
    end_with_proof: bool = False
    """A session ends when that expires which let it in."""

    @property
    def takes_keys(self) -> bool:
        """There are keys, or will be."""
        return self.ring is not None or self.file is not None

    @property
    def takes_proofs(self) -> bool:
        """There is something that a client can show."""
        others = (self.users, self.links, self.tokens)
        return self.takes_keys or any(each is not None for each in others)

    @property
    def takes_secrets(self) -> bool:
        """What a client shows lets in whoever has it, and may be pasted in place of a name."""
        return self.takes_keys or self.links is not None or self.tokens is not None

    def wants_proof(self, address: str) -> bool:
        """Whether a client from there may do something, but not without a proof."""
        match self.allow:
            case Allow.PROVEN:
                return True
            case Allow.LOCAL:
                return not is_local(address)
            case _:
                return False

    def admits_address(self, address: str) -> bool:
        """Whether a client may come from there, as ``net.addresses.peer_ip`` gives it.

        Nothing is said about clients of a Unix socket, whom the rights to its file let in.
        """
        if not (self.ips or self.deny_ips) or address == UNIX:
            return True
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False  # Nobody knows where that is.
        if any(ip in network for network in self.deny_ips):
            return False
        return not self.ips or any(ip in network for network in self.ips)

    def vouches_for(self, identity: str) -> bool:
        """Whether whoever has proven to be that could still do so here."""
        if identity.startswith(KEY):
            digest = digest_in(identity)
            rings = (self.ring, None if self.file is None else self.file.ring)
            return any(ring is not None and digest in ring for ring in rings)
        if identity.startswith(USER):
            return self.users is not None and identity.removeprefix(USER) in self.users
        return self.tokens is not None or self.links is not None

    def find(self, text: str, wall_time: float) -> Key | None:
        """The key that ``text`` is; None if it is none. ``wall_time`` is seconds since 1970.

        Raises ProofFailed for one that has expired.
        """
        found = None if self.ring is None else self.ring.find(text, wall_time)
        if found is None and self.file is not None:
            found = self.file.ring.find(text, wall_time)
        return found

    def knows(self, text: str, wall_time: float) -> bool:
        """Whether ``text`` is a key, or was one."""
        try:
            return self.find(text, wall_time) is not None
        except ProofFailed:
            return True


@dataclass(frozen=True, slots=True)
class PathRules:
    """Both for one path."""

    publish: Rules
    play: Rules


class RuleBook(Protocol):
    """The rules of all paths."""

    @property
    def tables(self) -> Container[str]:
        """Apps with settings of their own, which may have several levels."""
        ...

    @property
    def takes_secrets(self) -> bool:
        """Whether ``Rules.takes_secrets`` holds anywhere."""
        ...

    def at(self, path: str) -> PathRules:
        """What holds for a stream."""
        ...
