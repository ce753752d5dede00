"""Streams for browsers by HLS: ``[apps.NAME.hls]``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from rtmpd.access.keys import check_strength
from rtmpd.daemon.fields import Effect, Seconds, Section, Shown, Timeout
from rtmpd.packaging.rules import HlsRules
from rtmpd.rtmp.url import REDACTED

_RULES: Final = HlsRules()
_SHORTEST_PART: Final = 0.1


def _check_part(seconds: float) -> float:
    if 0.0 < seconds < _SHORTEST_PART or seconds > 2.0:
        raise ValueError(f"{seconds:g} s is no part: it is 0, or from 100 ms to 2 seconds")
    return seconds


def _check_secret(text: str) -> str:
    if text:
        check_strength(text)
    return text


def _hide(secret: object) -> object:
    return REDACTED if secret else secret


class HlsConfig(Section):
    """HLS of the app's streams, at /APP/NAME/index.m3u8 of the public HTTP listener: by who may play them. A
    stream is cut into segments as long as somebody watches it so."""

    effect = Effect.PLAYS
    enabled: bool = True
    """Browsers and other players of HLS may watch."""
    part: Annotated[Seconds, AfterValidator(_check_part)] = _RULES.part
    """How long a part of a segment is, rounded to whole frames: players that know low latency are three of
    them behind. 0 makes no parts."""
    segment: Annotated[Timeout, Field(ge=0.5, le=10)] = _RULES.segment
    """How long a segment is: it ends at the first key frame behind that. Other players are three of them
    behind."""
    window: Annotated[Seconds, Field(le=3600)] = _RULES.window
    """How much playlists list, in memory, within memory.max_bytes; three segments at least."""
    idle: Timeout = _RULES.idle
    """How long a stream is cut after somebody asked for it last."""
    protect: bool = False
    """Parts and segments are for viewers alone, too: each request carries a token, and no cache in front has
    anything for two. Otherwise whoever knows the name of one, which nobody can guess, may have it."""
    cdn_secret: Annotated[str, AfterValidator(_check_secret), Shown(_hide)] = ""
    """The stream is for a CDN alone, which shows this secret in the header X-CDN-Secret and decides itself
    who may watch; `rtmpd key new` prints one. Playlists have no tokens then, and viewers are counted by
    beacons. cdn_secret_file names a file with it instead."""
    grace: Seconds = _RULES.grace
    """How long the playlists of a stream that has ended wait for it to go on, before they say that it is
    over. This begins when handover.grace and slates are."""

    def to_rules(self) -> HlsRules | None:
        """How streams are packaged; None where they are not."""
        if not self.enabled:
            return None
        return HlsRules(self.part, self.segment, self.window, self.idle, self.grace)
