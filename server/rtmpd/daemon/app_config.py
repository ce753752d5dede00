"""The settings of one app: ``[apps.NAME]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from rtmpd.daemon.fields import LIST_OR_TEXT, Seconds, Section, Shown, Timeout
from rtmpd.daemon.values import KeyPath, parse_list
from rtmpd.exceptions import UsageError
from rtmpd.relay.pull.rule import PullRule
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import validate_name

APPS: Final = "apps"
"""The table whose keys are names that people choose: ``apps.NAME`` is an ``AppConfig``."""
ANY: Final = "*"
"""In place of a name: every name."""
_BETWEEN_URLS: Final = re.compile(r"\s*,\s*(?=rtmps?://)", re.IGNORECASE)


def _parse_urls(value: object) -> object:
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


class PushTo(Section):
    """A push target of which more than its URL is said."""

    url: Annotated[str, AfterValidator(_check_url)]
    track: str | int | None = None

    @property
    def template(self) -> RelayTemplate:
        return RelayTemplate.parse(self.url, self.track)


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
        {**target.model_dump(exclude_none=True), "url": str(target.template)}
        if isinstance(target, PushTo)
        else str(RelayTemplate.parse(target))
        for target in targets
    )


def _hide_keys(urls: object) -> object:
    return tuple(str(RelayTemplate.parse(url)) for url in urls) if isinstance(urls, tuple) else urls


RelayUrls = Annotated[
    tuple[Annotated[str, AfterValidator(_check_url)], ...],
    BeforeValidator(_parse_urls),
    Shown(_hide_keys),
    LIST_OR_TEXT,
]
_TARGET_SCHEMA: Final = {
    "type": ["string", "object"],
    "properties": {"url": {"type": "string"}, "track": {"type": ["string", "integer"]}},
    "required": ["url"],
    "additionalProperties": False,
}
PushTargets = Annotated[
    tuple[Annotated[str | PushTo, BeforeValidator(_check_target)], ...],
    BeforeValidator(_parse_urls),
    Shown(_hide_target_keys),
    WithJsonSchema({"type": ["array", "string"], "items": _TARGET_SCHEMA}),
]
Names = Annotated[tuple[str, ...], BeforeValidator(parse_list), LIST_OR_TEXT]


class PullConfig(Section):
    """Where the streams of the app come from when no encoder publishes them here."""

    origins: RelayUrls = Field(default=(), alias="from")
    """Servers to fetch a stream from, asked in this order. {app} and {name} stand for those of the stream
    asked for here. from_file names a file with the same instead, one URL a line."""
    on_demand: bool = True
    """Fetch a stream when its first player comes. Otherwise the streams in names are fetched always."""
    names: Names = (ANY,)
    """Streams that may be fetched; "*" is any name that a player asks for."""
    linger: Seconds = 10.0
    """How long a stream fetched on demand stays after its last player has left."""
    timeout: Timeout = 10.0
    """How long players wait for a stream fetched on demand before they are told that it does not exist. Each
    origin has an equal share of it to begin; one that is silent for this long later is left."""

    @property
    def always(self) -> bool:
        """Streams are fetched whether somebody watches or not."""
        return bool(self.origins) and not self.on_demand

    @property
    def names_streams(self) -> bool:
        """This very table says which streams, or when; of what it takes from others those say it."""
        return not self.model_fields_set.isdisjoint({"on_demand", "names"})

    @cached_property
    def rule(self) -> PullRule | None:
        """What the relays follow; None when nothing is fetched."""
        if not self.origins:
            return None
        return PullRule(
            origins=tuple(map(RelayTemplate.parse, self.origins)),
            on_demand=self.on_demand,
            names=None if ANY in self.names else frozenset(self.names),
            linger=self.linger,
            timeout=self.timeout,
        )


class AppConfig(Section):
    """One app, the part of an address before the stream name, or one stream: [apps."live/church-7"]. In place
    of NAME, "*" is every app. Of all tables that a stream's path begins with, the longest wins, key by key:
    a key that it does not have comes from the next shorter one, and at last from "*". A name with dots or
    slashes is put in quotation marks. A variable of the environment reads the name in lower case:
    RTMPD_APPS__LIVE__PUSH is for the app live."""

    push: PushTargets = ()
    """Servers that every stream of the app is published on too. {app} and {name} stand for those of the
    stream; a fixed stream key is meant for an app with one stream. Of a stream with several tracks another
    rtmpd gets all, other servers the first of each medium; {url = "rtmp://...", track = "all"} sends all,
    track = 2 that one of the video. Keys are secrets: push_file names a file with the same instead, one URL
    a line."""
    pull: PullConfig = PullConfig()

    @cached_property
    def templates(self) -> tuple[RelayTemplate, ...]:
        """``push``, taken apart."""
        return tuple(
            target.template if isinstance(target, PushTo) else RelayTemplate.parse(target)
            for target in self.push
        )

    def find_problems(
        self, name: str, outcome: AppConfig, below: Iterable[AppConfig]
    ) -> Iterator[tuple[KeyPath, str]]:
        """Keys of the table ``name`` and what is wrong with them.

        ``outcome`` is the table with what shorter ones say besides, ``below`` what it becomes in longer ones.
        """
        if name != ANY and validate_name(name, Limits().max_app_bytes) is not None:
            yield ("push",), "is for an app that cannot exist: write the name as in rtmp://host/NAME/stream"
        said = self.pull.model_fields_set
        if said and "origins" not in said and not any(app.pull.origins for app in below):
            yield ("pull", "from"), "is missing: name the server that the streams come from"
        nameless = name == ANY or not outcome.pull.names or ANY in outcome.pull.names
        if self.pull.names_streams and outcome.pull.always and nameless:
            what = "= false fetches streams always: name the app, and the streams in names"
            yield ("pull", "on_demand"), what
