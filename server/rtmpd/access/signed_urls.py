"""Links that are good for one stream, one action and a while: ``?exp=1800000000&sig=9f86...``.

Whoever knows the secret makes them, in any language (docs/signed-urls.md); the server keeps nothing. ``sig``
is HMAC-SHA256 in hex over these lines, each ended by a newline: the action, the path of the stream (app and
name), ``exp`` in seconds since 1970, and, if the link has ``ip=``, what that says. None of them can hold a
newline and their number tells whether there is an address, so no two links have the same text.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from rtmpd.access.keys import check_strength
from rtmpd.engine.limits import counted
from rtmpd.exceptions import ProofFailed
from rtmpd.reasons import Refusal

MAX_SECRETS: Final = 2
"""The one that links are made with, and the one before it, or after it, for as long as links are around."""

_EXPIRY: Final = re.compile(r"[0-9]{1,11}")
_SIGNATURE: Final = re.compile(r"[0-9A-Fa-f]{64}")


class SignedUrls:
    """Tells which links are genuine, and still good."""

    def __init__(self, secrets: Sequence[str], max_lifetime: float | None = None) -> None:
        """``max_lifetime``: seconds that a link may be good for at most, None for any number of them.

        Raises ValueError, which tells no secret, unless there are one or two secrets, such as ``rtmpd key
        new`` makes.
        """
        if not 0 < len(secrets) <= MAX_SECRETS:
            raise ValueError(f"there are {len(secrets)} secrets and not 1 or {MAX_SECRETS}")
        for secret in secrets:
            check_strength(secret)
        self._secrets = [secret.encode() for secret in secrets]
        self._max_lifetime = max_lifetime

    def verify(self, fields: Mapping[str, str], action: str, path: str, address: str, now: float) -> float:
        """When the link expires that ``fields`` are from, in seconds since 1970, if it allows this.

        ``fields`` as ``parse_query`` gives them; ``action`` is ``publish`` or ``play``, ``path`` the stream
        that is asked for, ``address`` who asks, ``now`` seconds since 1970, without any leeway.

        Raises ProofFailed, which does not name the stream: what stands in its place may be a key.
        """
        expiry, signature, network = fields.get("exp", ""), fields.get("sig", ""), fields.get("ip", "")
        if not _EXPIRY.fullmatch(expiry) or not _SIGNATURE.fullmatch(signature):
            text = "The link is not whole: copy all of it, with what follows the question mark."
            raise ProofFailed(Refusal.LINK_MALFORMED, text)
        signed = _text(action, path, expiry, network)
        presented = bytes.fromhex(signature)
        if not any(hmac.compare_digest(_sign(secret, signed), presented) for secret in self._secrets):
            text = (
                f"The link is not for this: it must have been made to {action} this very stream, "
                "with a secret that is in force, and not be changed."
            )
            raise ProofFailed(Refusal.LINK_SIGNATURE, text)
        until = int(expiry)
        self._check_time(until, now)
        if network and not _lies_in(address, network):
            raise ProofFailed(
                Refusal.LINK_ADDRESS, "The link is for another address than yours; ask for a new one."
            )
        return float(until)

    def _check_time(self, until: int, now: float) -> None:
        if now >= until:
            when = f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d at %H:%M:%S} UTC"
            raise ProofFailed(Refusal.LINK_EXPIRED, f"The link has expired on {when}; ask for a new one.")
        if self._max_lifetime is not None and until - now > self._max_lifetime:
            most = counted(round(self._max_lifetime), "second")
            text = f"The link is good for more than {most}, the most allowed here."
            raise ProofFailed(Refusal.LINK_LIFETIME, text)


def is_signed(fields: Mapping[str, str]) -> bool:
    """Whether a query means to be one of a signed link."""
    return "sig" in fields or "exp" in fields


def make_query(secret: str, action: str, path: str, until: int, network: str = "") -> str:
    """What follows the ``?`` of a link that is good until ``until``, in seconds since 1970.

    ``network`` is the IP address that may use it, or a network in CIDR notation; empty for all. Raises
    ValueError with a sentence.
    """
    if not _EXPIRY.fullmatch(str(until)):
        raise ValueError(f"{until} is no time in seconds since 1970")
    address = ""
    if network:
        ipaddress.ip_network(network, strict=False)
        address = f"&ip={network}"
    signature = _sign(secret.encode(), _text(action, path, str(until), network)).hex()
    return f"exp={until}{address}&sig={signature}"


def _text(action: str, path: str, expiry: str, network: str) -> str:
    lines = [action, path, expiry, network] if network else [action, path, expiry]
    return "".join(f"{line}\n" for line in lines)


def _sign(secret: bytes, text: str) -> bytes:
    return hmac.digest(secret, text.encode(), "sha256")


def _lies_in(address: str, network: str) -> bool:
    """Whether a client is where a genuine link says; a Unix socket is nowhere, and so is what is no
    network."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
