"""Streams for browsers by HLS: ``[apps.NAME.hls]``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from rtmpd.access.keys import check_strength
from rtmpd.daemon.fields import LIST_OR_TEXT, Effect, FileName, Seconds, Section, Shown, Size, Timeout
from rtmpd.daemon.values import parse_list, quote
from rtmpd.packaging.rules import NAME, HlsRules
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import REDACTED, validate_name

_RULES: Final = HlsRules()
_MIB: Final = 1024 * 1024
_SHORTEST_PART: Final = 0.1
_MOST_VARIANTS: Final = 10


def _check_part(seconds: float) -> float:
    if 0.0 < seconds < _SHORTEST_PART or seconds > 2.0:
        raise ValueError(f"{seconds:g} s is no part: it is 0, or from 100 ms to 2 seconds")
    return seconds


def _check_directory(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError(f"{quote(text)} is not absolute: write it from the first slash on")
    return text


def _check_variant(name: str) -> str:
    spelt = name.replace(NAME, "x")
    if set("{}") & set(spelt):
        raise ValueError(f"{quote(name)}: of words in braces only {NAME} is known")
    if validate_name(spelt, Limits().max_name_bytes) is not None:
        raise ValueError(f"{quote(name)} is no name of a stream")
    return name


def _check_variants(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{quote(twice)} is there twice: leave one out")
    return names


Variant = Annotated[str, AfterValidator(_check_variant)]


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

    dvr: Annotated[Seconds, Field(le=86_400)] = 0.0
    """How much playlists list besides, for who goes back, such as 2h: in files without names in spool.path,
    which it needs. Streams are cut all the time then, though nobody watches. 0 is nothing."""
    dvr_bytes: Annotated[Size, Field(ge=_MIB)] = 8192 * _MIB
    """What of that each rendition of a stream may have on the drive; beyond it the oldest goes."""
    directory: Annotated[FileName, AfterValidator(_check_directory)] = ""
    """Folder in which playlists and segments are files besides, for a web server or a CDN that is there
    already: directory/APP/NAME/index.m3u8, without parts. Files are taken away when playlists list them no
    more. Streams are cut all the time then. Empty writes none."""
    variants: Annotated[
        tuple[Variant, ...],
        BeforeValidator(parse_list),
        AfterValidator(_check_variants),
        LIST_OR_TEXT,
        Field(max_length=_MOST_VARIANTS),
    ] = ()
    """Streams of the app that are qualities of one, such as ["{name}", "{name}_480"]: {name} stands for that
    of the stream that is asked for, whose playlist has those that are live, by its own rules of access."""
    vod_track: bool = False
    """The second audio track of an OBS is for recordings, without music perhaps: true offers it besides."""
    timed_metadata: bool = False
    """What encoders say by onTextData and onCuePoint comes to players as ID3 tags (emsg boxes)."""

    @property
    def always(self) -> bool:
        """Streams are cut though nobody watches."""
        return self.enabled and (self.dvr > 0.0 or bool(self.directory))

    def to_rules(self) -> HlsRules | None:
        """How streams are packaged; None where they are not."""
        if not self.enabled:
            return None
        return HlsRules(
            self.part,
            self.segment,
            self.window,
            self.idle,
            self.grace,
            self.vod_track,
            self.timed_metadata,
            self.variants,
            self.dvr,
            self.dvr_bytes,
            self.directory,
        )
