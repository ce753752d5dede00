"""Proofs that others make, and whom to believe: ``[apps.NAME.publish.signed_urls]`` and that of ``play``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from rtmpd.access.keys import check_strength
from rtmpd.access.signed_urls import MAX_SECRETS, SignedUrls
from rtmpd.daemon.fields import LIST_OR_TEXT, Effect, Seconds, Section, Shown
from rtmpd.daemon.values import parse_list
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
