"""Whose JSON Web Tokens are good; here, as it takes no PyJWT to say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
NAMES_CLAIM: Final = "streams"
ALGORITHMS: Final = RSA | frozenset(CURVES.values())
"""What may be allowed. None of them verifies with a secret: a set of public keys has none, and links that are
signed with one are made more easily (``access.signed_urls``)."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Whose tokens are good, and for what."""

    issuer: str
    """What ``iss`` must be."""
    audience: str
    """What ``aud`` must be or name: this server, as the issuer calls it."""
    algorithms: frozenset[str]
    """Of ``ALGORITHMS``, those that the issuer signs with."""
    names_claim: str = NAMES_CLAIM
    """The claim that says what a token is good for."""
    leeway: float = 0.0
    """Seconds by which the issuer's clock may be wrong."""

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence, as nothing of this may be left open."""
        if not self.issuer or not self.audience or not self.names_claim:
            raise ValueError(
                "issuer, audience and names_claim say whose tokens are good, and for whom: name each"
            )
        unknown = sorted(self.algorithms - ALGORITHMS)
        if unknown or not self.algorithms:
            text = f"algorithms are those that the issuer signs with, of {', '.join(sorted(ALGORITHMS))}"
            raise ValueError(f"{text}, and not {', '.join(unknown) or 'none'}")


@dataclass(frozen=True, slots=True)
class JwksRules:
    """When a key set is fetched; seconds."""

    refresh: float = 600.0
    """After which it is fetched again, while the old one is used."""
    retry: float = 30.0
    """Between two fetches at least, however many tokens name a key that is not there."""
    max_stale: float = 86_400.0
    """How long keys are used that cannot be fetched again."""
    timeout: float = 5.0
    """Of one fetch: less than whoever asks for access waits for an answer."""


def check_algorithm(name: str) -> None:
    """Raise ValueError with a sentence for one that no issuer may sign with."""
    if name not in ALGORITHMS:
        raise ValueError(f"{name!r:.40} is not one of {', '.join(sorted(ALGORITHMS))}")
