"""Who may ask the admin port, as the settings say it; here, as it takes no HTTP and no PyJWT to say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rtmpd.access.keys import Key

ROLES: Final = ("read", "operate")
"""Words of ``control.actor.Role``, each more than the one before."""
ALL_STREAMS: Final = "*"
"""In place of a path."""


@dataclass(frozen=True, slots=True)
class AdminToken:
    """Somebody who may ask, by a token."""

    key: Key
    """``name`` is who they are."""
    role: str
    """Of ``ROLES``."""
    streams: tuple[str, ...]
    """As in ``control.actor.Actor``."""


@dataclass(frozen=True, slots=True)
class IssuedRoles:
    """What the tokens of an issuer say of who has one."""

    claim: str
    """Says what they may. Where a token has no claim of that name, dots lead into what it has."""
    roles: Mapping[str, str]
    """Values of it, each with the role that it means."""
    streams_claim: str = ""
    """Says what they have to do with; empty: they have with everything."""


@dataclass(frozen=True, slots=True)
class AdminRules:
    """Who may ask."""

    tokens: tuple[AdminToken, ...] = ()
    issued: IssuedRoles | None = None
    """None where nobody issues any."""
