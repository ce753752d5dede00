"""Who is told what happens: ``[notify.NAME]``."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rtmpd.daemon.fields import LIST_OR_TEXT, Count, FileName, Section, Shown, Timeout
from rtmpd.daemon.values import parse_list, quote
from rtmpd.events.model import KINDS, EventKind
from rtmpd.events.settings import ALL_STREAMS, Address, Format, TargetSettings
from rtmpd.exceptions import UsageError
from rtmpd.net.http_message import check_http_url, shown_url
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import REDACTED, clean_path, validate_name

NOTIFY: Final = "notify"
"""The table of all targets."""
ALL_EVENTS: Final = "*"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEFAULTS: Final = TargetSettings(Address(""), frozenset())
_WORDS: Final = tuple(word for word, kind in KINDS.items() if kind is not EventKind.TEST)
_ON_REQUEST: Final = ("player_joined", "player_left", "first_viewer", "last_viewer_left", "audit")
"""Not told unless somebody asks for it."""


def _check_url(text: str) -> str:
    try:
        return text and check_http_url(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _check_secret(text: str) -> str:
    from rtmpd.events.signature import parse_secrets

    parse_secrets(text)
    return text


def _check_token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("is no token: it has spaces, or letters that no header may have")
    return text


def _check_event(word: str) -> str:
    if word not in (*_WORDS, ALL_EVENTS):
        known = ", ".join(_WORDS)
        raise ValueError(f'{quote(word)} is no event: they are {known}, or "{ALL_EVENTS}" for all')
    return word


def check_stream(text: str) -> str:
    """A path of an app or a stream, or ``ALL_STREAMS``. Raises ValueError with a sentence."""
    path = text if text == ALL_STREAMS else clean_path(text)
    if path != ALL_STREAMS and validate_name(path, Limits().max_name_bytes) is not None:
        how = f'write live for an app, live/show for a stream, "{ALL_STREAMS}" for all'
        raise ValueError(f"{quote(text)} is no path: {how}")
    return path


def _hide_url(url: object) -> object:
    return shown_url(str(url)) if url else url


def _hide(value: object) -> object:
    return REDACTED if value else value


Events = Annotated[
    tuple[Annotated[str, AfterValidator(_check_event)], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]
Streams = Annotated[
    tuple[Annotated[str, AfterValidator(check_stream)], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]


class NotifyConfig(Section):
    """Somebody who is told over HTTP what happens to streams: docs/notifications.md has every event, and how
    to check a signature. NAME is the name of the target in log and metrics. What cannot be delivered waits,
    in order, and is tried again; no stream waits for it."""

    url: Annotated[str, AfterValidator(_check_url), Shown(_hide_url)] = ""
    """Where to: a URL of your own, of a Discord webhook, or of a topic of ntfy. Whoever has it can write
    there, so it is a secret: url_file names a file with it instead."""
    format: Literal["native", "discord", "ntfy", "nginx-rtmp", "srs"] = "native"
    """native is JSON for programs, discord and ntfy are sentences for people; nginx-rtmp and srs are for
    programs that were written for these servers, which have words for who comes and goes alone."""
    events: Events = tuple(word for word in _WORDS if word not in _ON_REQUEST)
    """Which events; "*" is all."""
    streams: Streams = (ALL_STREAMS,)
    """Of which apps (live) and streams (live/show); "*" is all, and what concerns no stream."""
    secret: Annotated[str, AfterValidator(_check_secret), Shown(_hide)] = ""
    """Signs what is sent as native, by Standard Webhooks: make one with
    echo whsec_$(openssl rand -base64 32). Two with a space between are both used, while one takes the place
    of the other. secret_file names a file with it instead."""
    token: Annotated[str, AfterValidator(_check_token), Shown(_hide)] = ""
    """Goes along as Authorization: Bearer, such as an access token of ntfy. token_file names a file with it
    instead."""
    timeout: Timeout = _DEFAULTS.timeout
    """How long an answer may take."""
    keep: Timeout = _DEFAULTS.keep
    """How long a notification is kept and tried again; then it is lost, and counted."""
    max_queued: Annotated[Count, Field(ge=2, le=100_000)] = _DEFAULTS.max_queued
    """Notifications that wait at a time; for one more the oldest is lost, and counted."""
    ca_file: FileName = ""
    """File with the authorities (PEM) that vouch for an https:// target; empty means those of the system."""
    enabled: bool = True
    """Whether anything is sent there."""

    def to_settings(self) -> TargetSettings:
        """The target."""
        from rtmpd.events.signature import parse_secrets

        address = Address(self.url, Format(self.format), parse_secrets(self.secret), self.token)
        words = _WORDS if ALL_EVENTS in self.events else self.events
        kinds = frozenset([KINDS[word] for word in words])
        return TargetSettings(
            address=address,
            kinds=kinds & address.format.kinds,
            streams=self.streams,
            timeout=self.timeout,
            keep=self.keep,
            max_queued=self.max_queued,
            ca_file=self.ca_file,
        )

    def find_problem(self, name: str) -> tuple[str, str] | None:
        """A key that cannot be used as it stands, and what is wrong; ``name`` is the target's."""
        if not _NAME.fullmatch(name):
            return "url", ": the name of a target is of letters, digits, - and _"
        if not self.url:
            return "url", " is missing: name who is told"
        if self.format == "ntfy":
            from rtmpd.events.formats import split_topic

            try:
                split_topic(self.url)
            except ValueError as error:
                return "url", f" {error}"
        if self.secret and self.format != "native":
            return "secret", f" is of no use: what is sent as {self.format} is not signed"
        if not self.to_settings().kinds:
            sayable = ", ".join(kind for kind in _WORDS if KINDS[kind] in Format(self.format).kinds)
            return "events", f" has nothing that {self.format} has words for: it has for {sayable}"
        return None
