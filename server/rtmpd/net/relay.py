"""What push and pull relays share: where they lead, how they connect, and what they tell of themselves."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Literal
from urllib.parse import quote, unquote

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import (
    AuthenticationFailed,
    ClientError,
    ConnectFailed,
    ConnectRejected,
    ProtocolError,
    PublishRejected,
    Refused,
    RequestRejected,
    StreamFailed,
    UsageError,
)
from rtmpd.media.tags import MAX_TRACKS
from rtmpd.media.tracks import TrackChoice
from rtmpd.net.client import Connection, connect
from rtmpd.rtmp.client import CLIENT_CAPS_EX
from rtmpd.rtmp.constants import CapsEx, StatusCode
from rtmpd.rtmp.url import REDACTED, RtmpUrl
from rtmpd.rtmp.via import NO_VIA, Via

_PLACEHOLDER: Final = re.compile(r"\{\w*\}")
_KNOWN: Final = frozenset({"{app}", "{name}"})
_MAX_TEXT: Final = 200
"""Characters of what a remote says that are kept."""
_MIN_SECRET: Final = 4
"""Characters from which a secret is cut out of a text. Shorter values of a query are numbers and flags."""
_FIELDS: Final = re.compile("[&?]")
"""What separates the fields of a query: authenticating encoders append theirs with a further ``?``."""
_CAPS_EX: Final = CLIENT_CAPS_EX & ~CapsEx.RECONNECT
"""A relay goes where its settings say, and nowhere else that a remote may name."""
SEND_BUFFER_BYTES: Final = 256 * 1024
"""Unsent bytes of a relay from which it counts as slow, as for a player."""


EXPECTED: Final = (ClientError, ProtocolError, Refused, OSError)
"""What may happen to a relay. Anything else is a bug on our side."""


class RelayState(StrEnum):
    IDLE = "idle"
    """There is nothing to relay: nobody publishes, or nobody watches."""
    QUEUED = "queued"
    """A pull whose turn has not come: its players' address has enough attempts under way."""
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    """Connected, but nothing gets through."""
    BACKOFF = "backoff"
    """Waits for the next attempt."""
    FAILED = "failed"
    """The remote said no in a way that another attempt will not change; it is asked again seldom."""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """A relay at one moment. Nothing here is secret."""

    kind: Literal["push", "pull"]
    id: str
    """Names the relay among those of its stream and kind."""
    key: StreamKey
    """The stream of this server."""
    remote: str
    """Scheme, host and app of the other server; never a stream key."""
    state: RelayState
    bytes: int
    """Sent or received since the relay exists, chunk headers included in what is sent."""
    retries: int
    """Attempts that failed."""
    lag_bytes: int
    """Of a push: accepted and not sent yet."""
    lag_seconds: float
    """Of a push: how long the oldest of them has waited. Of a pull: how long nothing has come."""
    unannounced: tuple[str, ...]
    """Of a push: codecs that it sends and the remote has not said it knows. It may, or drop them unsaid."""
    status: str
    """The last onStatus of the remote: code and description."""
    reason: str
    """Why it is not live; empty while it is."""
    retry_in: float | None
    """Seconds to the next attempt, when one is planned."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a relay that failed tries again. Seconds."""

    initial: float = 1.0
    maximum: float = 30.0
    """Delays double from ``initial`` to this, each between half and the whole of itself."""
    failed: float = 60.0
    """After a refusal for good: somebody may have mended it."""
    steady: float = 10.0
    """Once live for this long, delays begin at ``initial`` again."""


@dataclass(frozen=True, slots=True)
class RelayTemplate:
    """A URL in which ``{app}`` and ``{name}`` stand for those of the relayed stream."""

    url: RtmpUrl
    tracks: TrackChoice | None = None
    """Of a push: which tracks are sent. None sends all to another rtmpd, and else one of each medium."""

    @classmethod
    def parse(cls, text: str, track: object = None) -> RelayTemplate:
        """``track`` is ``"all"``, the number of a video track, or None.

        Raises UsageError, whose text holds no secret.
        """
        url = RtmpUrl.parse(text)
        if not url.name:
            raise UsageError("the URL names no stream: end it with /{name} or with a stream key")
        if _PLACEHOLDER.search(url.host):
            raise UsageError("{app} and {name} may stand in the path and query of the URL, not in its host")
        if unknown := set(_PLACEHOLDER.findall(f"{url.app}/{url.name}")) - _KNOWN:
            raise UsageError(f"{min(unknown)} in the URL is not known: only {{app}} and {{name}} are")
        if track is None:
            return cls(url)
        if track != "all" and not (type(track) is int and 0 <= track < MAX_TRACKS):
            raise UsageError(f'a track is "all" or a number from 0 to {MAX_TRACKS - 1}')
        return cls(url, TrackChoice.parse(f"track={track}"))

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
        return RelayTarget(target, key, self.tracks)


@dataclass(frozen=True, slots=True)
class RelayTarget:
    """The other side of one relay: an address to connect to, and a name to publish or play there."""

    url: RtmpUrl = field(repr=False)
    key: StreamKey
    tracks: TrackChoice | None = None
    """As ``RelayTemplate.tracks``."""

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
        short = (secret for secret in self._secrets() if len(secret) < _MIN_SECRET)
        return REDACTED if any(_spelled(secret).search(text) for secret in short) else self.redact(text)

    def redact(self, text: str) -> str:
        """A sentence of our own, which is told no secret, made as fit to be shown."""
        for secret in self._secrets():
            if len(secret) >= _MIN_SECRET:
                text = _spelled(secret).sub(REDACTED, text)
        return " ".join(text.split())[:_MAX_TEXT]

    def _secrets(self) -> list[str]:
        """Everything that a remote must not make public, decoded, the longest first."""
        url = self.url
        fields = (part.partition("=")[2] or part for part in _FIELDS.split(url.query))
        values = (value for value in fields if len(unquote(value)) >= _MIN_SECRET)
        given = (url.query, url.name, url.password, *values)
        public = ("", self.key.name, self.key.app)
        secrets = {
            form
            for text in given
            if text not in public and unquote(text) not in public
            for form in (text, unquote(text))
        }
        return sorted(secrets, key=len, reverse=True)


def _fill(text: str, key: StreamKey) -> str:
    return text.replace("{app}", key.app).replace("{name}", key.name)


def _spelled(secret: str) -> re.Pattern[str]:
    """Matches ``secret`` with any of its characters quoted as in a URL, in any case."""
    characters = []
    for character in secret:
        quoted = "".join(f"%{byte:02X}" for byte in character.encode(errors="replace"))
        plus = r"|\+" if character == " " else ""
        characters.append(f"(?:{re.escape(character)}|{quoted}{plus})")
    return re.compile("".join(characters), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RelayDialer:
    """Makes the connections of relays. Names are resolved with every attempt."""

    instance_id: str
    """Of this server: what others refuse when they meet it twice on one way."""
    timeout: float = 10.0
    """Seconds for everything up to the answer to connect, and then for each request."""
    ca_file: str | None = None
    """Authorities for rtmps instead of the system's."""

    async def dial(self, target: RelayTarget, via: Via) -> Connection:
        """Connect for a stream that comes here through ``via``. Raises ClientError or HandshakeError."""
        url = target.address
        return await connect(
            url,
            timeout=self.timeout,
            params=replace(via.through(self.instance_id).to_params(), caps_ex=_CAPS_EX),
            ca_file=self.ca_file if url.scheme == "rtmps" else None,
            send_buffer_bytes=SEND_BUFFER_BYTES,
        )


def last_words(error: Exception, target: RelayTarget) -> str:
    """Code and description that the remote gave for what it did, if it gave any, without a secret."""
    return target.scrub(f"{error.code} {error.description}") if isinstance(error, ClientError) else ""


def explain(error: Exception, target: RelayTarget) -> str:
    """Why an attempt failed, for logs and people, without a secret."""
    if isinstance(error, RequestRejected | StreamFailed) and not isinstance(error, AuthenticationFailed):
        what = "ended the stream" if isinstance(error, StreamFailed) else "refused"
        said = error.description or error.code
        return target.scrub(f"the server {what}: {said}" if said else f"the server {what}")
    if not isinstance(error, EXPECTED):
        return "a bug of this server: its log has the traceback"
    return target.redact(str(error))


def is_final(error: Exception, via: Via = NO_VIA) -> bool:
    """Whether asking again soon is pointless: wrong credentials, an untrusted certificate, a plain no.

    ``via`` are others that were asked for: who was refused for their sake may be let in without them.
    """
    match error:
        case AuthenticationFailed():
            return True
        case PublishRejected():
            # Our own last connection may still hold the name.
            return error.code != StatusCode.PUBLISH_BAD_NAME
        case ConnectRejected():
            return not via.hops
        case ConnectFailed():
            return isinstance(error.__cause__, ssl.SSLCertVerificationError)
    return False
