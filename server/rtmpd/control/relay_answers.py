"""What is told of relays, and how push targets are added."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Carrier, Model, Page, PageQuery
from rtmpd.control.stream_answers import SlateKind


class RelayKind(StrEnum):
    PUSH = "push"
    PULL = "pull"


class Relay(Answer):
    """A stream on its way to another server, or from one."""

    kind: RelayKind
    id: str
    """Names it among those of its stream and kind; of a push the name of its target."""
    carried_by: Carrier
    app: str
    """Of the stream of this server."""
    name: str
    """Of the same."""
    remote: str
    """Scheme, host and app of the other server, once it is known; never a stream key."""
    state: str
    """A word; the list of them is in the operations manual."""
    bytes: int
    """Sent or received since the relay is there."""
    retries: int
    """Attempts that failed."""
    lag_bytes: int
    """Of a push: accepted and not sent yet."""
    lag_seconds: float
    """Of a push: how long the oldest of them has waited. Of a pull: how long nothing has come."""
    unannounced: tuple[str, ...]
    """Of a push: codecs that it sends and the other server has not said it knows."""
    status: str
    """The last onStatus of the other server."""
    reason: str
    """Why it is not live; empty while it is."""
    retry_in_seconds: float | None
    """To the next attempt; null when none is planned."""
    slate: SlateKind | None
    """Of a push with a slate of its own: what it shows now instead of the encoder; null while it does not."""


class NewRelay(Relay):
    """A push target that has just been added."""

    kept: bool
    """Whether it outlives a restart: it is stored by now."""


class RelayPage(Page):
    """Relays, sorted by stream, kind and id."""

    items: tuple[Relay, ...]
    """One part of them."""


class RelayQuery(PageQuery):
    """Which relays are wanted."""

    app: Annotated[str, Field(max_length=256)] | None = None
    """Of streams of this app alone."""
    stream: Annotated[str, Field(max_length=1024)] | None = None
    """Of this stream alone, such as live/show."""
    kind: RelayKind | None = None
    """Of this kind alone."""


class PushRequest(Model):
    """Where a stream is to be pushed, too."""

    url: Annotated[str, Field(max_length=4096, examples=["rtmp://live.example.com/app/STREAM-KEY"])]
    """With the stream key at its end; `{app}` and `{name}` stand for those of the stream."""
    track: Annotated[int, Field(strict=True, ge=0, le=255)] | Annotated[str, Field(max_length=12)] | None = (
        Field(None, examples=["720p"])
    )
    """Which track of video is sent, by name such as `720p` or `best`, by number, or `all`; null sends all to
    another rtmpd, else one of each medium."""
