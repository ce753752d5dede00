"""Push targets: ``[apps.NAME.push.TARGET]``, and a list of URLs as their short form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from rtmpd.daemon.fields import LIST_OR_TEXT, FileName, Section, Shown, Timeout
from rtmpd.daemon.ring_config import Delay
from rtmpd.daemon.slate_config import SHOWN_FOR, slate_rules
from rtmpd.daemon.values import parse_list
from rtmpd.engine.slate import SlateRules
from rtmpd.exceptions import UsageError
from rtmpd.media.track_names import check_audio_track, check_track
from rtmpd.relay.push.relays import ADDED
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp.url import REDACTED, RtmpUrl

ANY: Final = "*"
"""In place of a name: every name."""
_BETWEEN_URLS: Final = re.compile(r"\s*,\s*(?=rtmps?://)", re.IGNORECASE)
_TARGET_NAME: Final = re.compile(rf"(?!{ADDED})[A-Za-z0-9_-]{{1,64}}")


def parse_urls(value: object) -> object:
    """A list from a text: a JSON array, or URLs separated by commas, which may hold commas themselves."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return parse_list(value)
    return _BETWEEN_URLS.split(value.strip()) if value.strip() else []


def _check_url(text: str) -> str:
    try:
        RelayTemplate.parse(text)
    except UsageError as error:
        raise ValueError(f"{error}; write it as rtmp://host/app/name") from None
    return text


def _check_server(text: str) -> str:
    try:
        RtmpUrl.parse(text)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return text


def _parse(value: object, check: Callable[[object], str]) -> object:
    """A number may come as a text, as all that the environment holds does."""
    track = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,3}", value) else value
    if track != "":
        try:
            check(track)
        except UsageError as error:
            raise ValueError(str(error)) from None
    return track


def _parse_track(value: object) -> object:
    return _parse(value, check_track)


def _parse_audio_track(value: object) -> object:
    return _parse(value, check_audio_track)


class PushTo(Section):
    """A target of a list of which more than its URL is said."""

    url: Annotated[str, AfterValidator(_check_url)]
    track: str | int | None = None


def _check_target(item: object) -> object:
    """A URL, or a table with one; the sentence about a wrong one holds no secret."""
    if isinstance(item, str):
        return _check_url(item)
    if not isinstance(item, dict) or not isinstance(item.get("url"), str) or item.keys() - {"url", "track"}:
        raise ValueError('a target is a URL, or {url = "rtmp://host/app/name", track = "all"}')
    url = _check_url(item["url"])
    try:
        RelayTemplate.parse(url, item.get("track"))
    except UsageError as error:
        raise ValueError(str(error)) from None
    return item


def _hide_target_keys(targets: object) -> object:
    if not isinstance(targets, tuple):
        return targets
    return tuple(
        {**target.model_dump(exclude_none=True), "url": _hide_key(target.url)}
        if isinstance(target, PushTo)
        else _hide_key(target)
        for target in targets
    )


def _hide_keys(urls: object) -> object:
    return tuple(map(_hide_key, urls)) if isinstance(urls, tuple) else urls


def _hide_key(url: str) -> str:
    return str(RelayTemplate.parse(url))


def _hide_server(url: object) -> object:
    """A URL beside a key names the server alone; one without has the key at its end."""
    parsed = RtmpUrl.parse(str(url)) if url else None
    return url if parsed is None else str(RelayTemplate(parsed)) if parsed.name else str(parsed)


def _hide(value: object) -> object:
    return REDACTED if value else value


RelayUrls = Annotated[
    tuple[Annotated[str, AfterValidator(_check_url)], ...],
    BeforeValidator(parse_urls),
    Shown(_hide_keys),
    LIST_OR_TEXT,
]
_TARGET_SCHEMA: Final = {
    "type": ["string", "object"],
    "properties": {"url": {"type": "string"}, "track": {"type": ["string", "integer"]}},
    "required": ["url"],
    "additionalProperties": False,
}
PushList = Annotated[
    tuple[Annotated[str | PushTo, BeforeValidator(_check_target)], ...],
    BeforeValidator(parse_urls),
    Shown(_hide_target_keys),
    WithJsonSchema({"type": ["array", "string"], "items": _TARGET_SCHEMA}),
]
Names = Annotated[tuple[str, ...], BeforeValidator(parse_list), LIST_OR_TEXT]
Track = Annotated[str | int, BeforeValidator(_parse_track)]
AudioTrack = Annotated[str | int, BeforeValidator(_parse_audio_track)]


class PushConfig(Section):
    """A server that streams of the app are published on too. TARGET is its name in log, metrics and API. Of
    several tables with the same target the one with the longest path wins, key by key. A list is the short
    form of several, in place of all that shorter paths have: push = ["rtmp://host/app/name", {url =
    "rtmp://...", track = "all"}] makes targets named config-1, config-2, and push = [] none. push_file names
    a file with the same instead, one target a line."""

    url: Annotated[str, AfterValidator(_check_server), Shown(_hide_server)] = ""
    """The server, and the stream there unless key names it. {app} and {name} stand for those of the stream
    here. What follows the app is a secret: url_file names a file with it instead."""
    key: Annotated[str, Shown(_hide)] = ""
    """Stream key, to be put behind the URL: meant for an app with one stream. It is a secret: key_file names
    a file with it instead."""
    streams: Names = (ANY,)
    """Streams of the app that are pushed there; "*" is all."""
    track: Track = ""
    """Of a stream with several tracks: the video track that is sent, by name ("720p", "best") or number, or
    "all". Without this and audio another rtmpd is sent all tracks, other servers the first of each medium."""
    audio: AudioTrack = ""
    """The number of the audio track, or "all". Empty is the first, or all where track is "all"."""
    delay: Delay = 0.0
    """How much later it is sent than it comes; without this as much as players of the stream are behind
    (apps.NAME.delay). 0 is at once. The other server is called when there is something to send."""
    enabled: bool = True
    """Whether anything is sent there."""
    ca_file: FileName = ""
    """File with the authorities (PEM) that vouch for this server; empty means relay.ca_file."""
    slate: FileName = ""
    """FLV file that is shown there alone while the encoder sends nothing or is away. Empty with still = false
    is what players are shown."""
    still: bool = False
    """Without a slate hold the last key frame there, with silence."""
    slate_for: Timeout = SHOWN_FOR
    """How long either is shown there, and the connection kept."""

    @property
    def shown(self) -> SlateRules | None:
        """What is shown there alone."""
        return slate_rules(self.slate, self.still, self.slate_for)

    def to_template(self) -> RelayTemplate:
        """Where it leads. Raises UsageError, whose text holds no secret."""
        track, audio = (None if chosen == "" else chosen for chosen in (self.track, self.audio))
        led = RelayTemplate.parse(self.url, track, audio=audio, name=self.key, ca_file=self.ca_file)
        delay = self.delay if "delay" in self.model_fields_set else None
        return replace(led, slate=self.shown, delay=delay)


def find_problem(name: str, target: PushConfig) -> str:
    """What is wrong with a target as it came out; empty if nothing is."""
    if not _TARGET_NAME.fullmatch(name):
        return f": the name of a target is of letters, digits, - and _, and does not begin with {ADDED}"
    if target.delay and target.shown is not None:
        return (
            ": a target with a delay has no slate of its own: give one to the app, whose players see it too"
        )
    try:
        target.to_template()
    except UsageError as error:
        return f": {error}"
    return ""


def listed(targets: PushList) -> Iterator[tuple[str, PushConfig]]:
    """A list as the targets that it is short for."""
    for number, target in enumerate(targets, 1):
        said = {"url": target} if isinstance(target, str) else target.model_dump(exclude_none=True)
        yield f"config-{number}", PushConfig.model_validate(said)
