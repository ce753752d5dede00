"""Proofs that others make, and whom to believe: ``signed_urls`` and ``jwt`` of ``publish`` and ``play``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from rtmpd.access.jwks_source import check_source
from rtmpd.access.keys import check_strength
from rtmpd.access.signed_urls import MAX_SECRETS, SignedUrls
from rtmpd.access.token_rules import NAMES_CLAIM, TokenRules, check_algorithm
from rtmpd.daemon.fields import LIST_OR_TEXT, Effect, FileName, Seconds, Section, Shown
from rtmpd.daemon.values import check_file_name, parse_list
from rtmpd.rtmp.url import REDACTED


def _check_secret(text: str) -> str:
    check_strength(text)
    return text


def _check_number(secrets: tuple[str, ...]) -> tuple[str, ...]:
    if len(secrets) > MAX_SECRETS:
        raise ValueError(f"there are {len(secrets)} secrets, and at most {MAX_SECRETS} are good at a time")
    return secrets


def _hide(secrets: object) -> object:
    return (REDACTED,) * len(secrets) if isinstance(secrets, tuple) else secrets


Secrets = Annotated[
    tuple[Annotated[str, AfterValidator(_check_secret)], ...],
    BeforeValidator(parse_list),
    AfterValidator(_check_number),
    Shown(_hide),
    LIST_OR_TEXT,
]


class SignedUrlsConfig(Section):
    """What both have."""

    secrets: Secrets = ()
    max_lifetime: Seconds = 0.0

    @property
    def spoken_of(self) -> bool:
        """There are secrets, or were."""
        return bool(self.secrets) or "secrets" in self.model_fields_set

    def to_verifier(self) -> SignedUrls | None:
        """What tells which links are genuine; None where no link is."""
        return SignedUrls(self.secrets, self.max_lifetime or None) if self.secrets else None


class PublishLinks(SignedUrlsConfig):
    """Links that let whoever has one publish one stream until a given time: show?exp=...&sig=..., made by
    `rtmpd token`, or by your site, which has to know a secret for it."""

    effect = Effect.PUBLISHES
    secrets: Secrets = ()
    """Secrets that links are signed with, one or, while another takes its place, two; `rtmpd key new` prints
    one. They are secrets: secrets_file names a file with them instead, one a line."""
    max_lifetime: Seconds = 0.0
    """Links that are good for longer are refused; 0 takes any."""


class PlayLinks(SignedUrlsConfig):
    """The same to play one stream; the secrets may be those of publish."""

    effect = Effect.PLAYS
    secrets: Secrets = ()
    """As for publish."""
    max_lifetime: Seconds = 0.0
    """As for publish."""


def _check_algorithm(text: str) -> str:
    check_algorithm(text)
    return text


def _check_source(text: str) -> str:
    check_source(text)
    return text if "://" in text else check_file_name(text)


Algorithms = Annotated[
    tuple[Annotated[str, AfterValidator(_check_algorithm)], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]
Source = Annotated[str, AfterValidator(_check_source)]


class IssuerConfig(Section):
    """Whose JSON Web Tokens are good."""

    issuer: str = ""
    audience: str = ""
    algorithms: Algorithms = ()
    jwks: Source = ""
    ca_file: FileName = ""
    leeway: Seconds = 0.0

    @property
    def spoken_of(self) -> bool:
        """Somebody is to be believed, or was."""
        return bool(self.issuer or self.audience or self.algorithms or self.jwks)

    @property
    def missing(self) -> str:
        """The first key that has to be there and is not; empty if none is missing."""
        needed = {
            "issuer": self.issuer,
            "audience": self.audience,
            "algorithms": self.algorithms,
            "jwks": self.jwks,
        }
        return next((name for name, value in needed.items() if not value), "")

    def to_rules(self) -> TokenRules:
        """Whose tokens are good; of a table that has all it needs."""
        return TokenRules(self.issuer, self.audience, frozenset(self.algorithms), leeway=self.leeway)


class JwtConfig(IssuerConfig):
    """What publishers and players both have."""

    names_claim: Annotated[str, Field(min_length=1)] = NAMES_CLAIM

    def to_rules(self) -> TokenRules:
        return replace(super().to_rules(), names_claim=self.names_claim)


class PublishTokens(JwtConfig):
    """JSON Web Tokens that let whoever has one publish what they say: show?jwt=... (docs/jwt.md). They need
    rtmpd's extra jwt. issuer, audience, algorithms and jwks have to be there, all of them or none."""

    effect = Effect.PUBLISHES
    issuer: str = ""
    """What a token's iss has to be."""
    audience: str = ""
    """What a token's aud has to be, or to name: this server, as the issuer calls it."""
    algorithms: Algorithms = ()
    """Those that the issuer signs with, such as ["RS256"], of ES256, ES384, ES512, EdDSA, RS256 to RS512 and
    PS256 to PS512."""
    jwks: Source = ""
    """Where the issuer's public keys are: an https:// URL, such as
    https://id.example.com/.well-known/jwks.json, or a file. They are fetched at the start, every 10 minutes,
    and when a token names one that is not there."""
    ca_file: FileName = ""
    """File with the authorities (PEM) that vouch for the server of jwks; empty means those of the system."""
    names_claim: Annotated[str, Field(min_length=1)] = NAMES_CLAIM
    """The claim that says what a token is good for: ["publish:live/show", "play:live/*"]."""
    leeway: Seconds = 0.0
    """By how much the issuer's clock may be wrong."""


class PlayTokens(JwtConfig):
    """The same to play."""

    effect = Effect.PLAYS
    issuer: str = ""
    """As for publish."""
    audience: str = ""
    """As for publish."""
    algorithms: Algorithms = ()
    """As for publish."""
    jwks: Source = ""
    """As for publish."""
    ca_file: FileName = ""
    """As for publish."""
    names_claim: Annotated[str, Field(min_length=1)] = NAMES_CLAIM
    """As for publish."""
    leeway: Seconds = 0.0
    """As for publish."""
