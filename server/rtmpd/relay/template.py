"""Where relays lead: URLs with placeholders, what they become for one stream, and the secrets in them."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from rtmpd.engine.key import StreamKey
from rtmpd.engine.slate import SlateRules
from rtmpd.exceptions import UsageError
from rtmpd.media.track_names import TrackWish, check_audio_track, check_track
from rtmpd.media.tracks import ALL_TRACKS, DEFAULT_TRACK
from rtmpd.rtmp.scrubbing import Scrubber, secrets_of
from rtmpd.rtmp.url import REDACTED, RtmpUrl

_PLACEHOLDER: Final = re.compile(r"\{\w*\}")
_KNOWN: Final = frozenset({"{app}", "{name}"})
_MAX_TEXT: Final = 200
"""Characters of what a remote says that are kept."""


@dataclass(frozen=True, slots=True)
class RelayTemplate:
    """A URL in which ``{app}`` and ``{name}`` stand for those of the relayed stream."""

    url: RtmpUrl
    tracks: TrackWish | None = None
    """Of a push: which tracks are sent. None sends all to another rtmpd, and else one of each medium."""
    ca_file: str = ""
    """Authorities for rtmps instead of the dialer's; empty means those."""
    delay: float | None = None
    """Of a push: seconds that it is behind; None is as the stream's players are."""
    slate: SlateRules | None = None
    """Of a push: what is shown there alone while the encoder sends nothing; None is what players see."""

    @classmethod
    def parse(
        cls, text: str, track: object = None, *, audio: object = None, name: str = "", ca_file: str = ""
    ) -> RelayTemplate:
        """``name`` is the stream there with its query, if ``text`` ends with the app.

        ``track`` and ``audio`` are ``"all"``, the number of a track of video or audio, or None; ``track`` may
        be a name. Raises UsageError, whose text holds no secret.
        """
        url = _join(text, name) if name else RtmpUrl.parse(text)
        if not url.name:
            raise UsageError("the URL names no stream: end it with /{name} or with a stream key")
        if _PLACEHOLDER.search(url.host):
            raise UsageError("{app} and {name} may stand in the path and query of the URL, not in its host")
        if unknown := set(_PLACEHOLDER.findall(f"{url.app}/{url.name}")) - _KNOWN:
            raise UsageError(f"{min(unknown)} in the URL is not known: only {{app}} and {{name}} are")
        if track is None and audio is None:
            return cls(url, None, ca_file)
        picture = None if track is None else check_track(track)
        sound = None if audio is None else check_audio_track(audio)
        return cls(url, TrackWish.of(picture, sound), ca_file)

    def __str__(self) -> str:
        """With the stream key hidden, unless it is the template's placeholder."""
        url = self.url
        return str(url if url.name == "{name}" else replace(url, name=REDACTED))

    def expand(self, key: StreamKey) -> RelayTarget:
        """Where the template leads for one stream. What is filled into the query adds no fields to it."""
        url = self.url
        quoted = StreamKey(quote(key.app), quote(key.name))
        target = replace(
            url, app=_fill(url.app, key), name=_fill(url.name, key), query=_fill(url.query, quoted)
        )
        return RelayTarget(target, key, self.tracks, self.ca_file, slate=self.slate, delay=self.delay)


@dataclass(frozen=True, slots=True)
class RelayTarget:
    """The other side of one relay: an address to connect to, and a name to publish or play there."""

    url: RtmpUrl = field(repr=False)
    key: StreamKey
    tracks: TrackWish | None = None
    """As ``RelayTemplate.tracks``."""
    ca_file: str = ""
    """As ``RelayTemplate.ca_file``."""
    delay: float | None = None
    """As ``RelayTemplate.delay``."""
    slate: SlateRules | None = None
    """As ``RelayTemplate.slate``."""
    borrow: Callable[[], Awaitable[socket.socket]] | None = None
    """Makes a connection to another process of this server, which has the stream. Raises ClientError."""

    @property
    def track(self) -> int | str | None:
        """The track of video that was chosen, as ``RelayTemplate.parse`` takes it."""
        chosen = None if self.tracks is None else self.tracks.video
        if chosen == ALL_TRACKS:
            return "all"
        return None if chosen == DEFAULT_TRACK else chosen

    @property
    def label(self) -> str:
        """Fit for logs, metrics and strangers: scheme, host and app."""
        return self.url.tc_url

    @property
    def address(self) -> RtmpUrl:
        """What ``connect`` gets: without the stream, so that no error can name it."""
        return replace(self.url, name="", query="")

    @property
    def stream(self) -> str:
        """The stream's name on the other side with its query: a secret, most of the time."""
        return f"{self.url.name}?{self.url.query}" if self.url.query else self.url.name

    def scrub(self, text: str) -> str:
        """What a remote said, on one short line, with our secrets taken out of it, however they are quoted.

        A short secret may stand in any word, whose gap would tell it: then the whole text is hidden.
        """
        return short_line(self._scrubber.scrub(text))

    def redact(self, text: str) -> str:
        """A sentence of our own, which is told no secret, made as fit to be shown."""
        return short_line(self._scrubber.redact(text))

    @property
    def _scrubber(self) -> Scrubber:
        """For everything that a remote must not make public."""
        url = self.url
        secrets = (url.name, url.password, *secrets_of(url.query))
        return Scrubber(secrets, public=(self.key.name, self.key.app))


def _join(server: str, name: str) -> RtmpUrl:
    if "?" in server:
        raise UsageError("the URL beside a key ends with the app: what follows a ? belongs to the key")
    app = server.partition("://")[2].partition("/")[2]
    return RtmpUrl.parse(f"{server.rstrip('/')}/{name}", app=app)


def _fill(text: str, key: StreamKey) -> str:
    return text.replace("{app}", key.app).replace("{name}", key.name)


def short_line(text: str) -> str:
    """What somebody else says, on one line, as much of it as is kept."""
    return " ".join(text.split())[:_MAX_TEXT]
