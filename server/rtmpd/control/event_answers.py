"""What is told of events, and which of them somebody follows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from rtmpd.control.answers import Answer, Model
from rtmpd.events.model import KINDS
from rtmpd.events.wording import Mood


def _check_kinds(text: str) -> str:
    for word in text.split(","):
        if word not in KINDS:
            raise ValueError(f"there is no such event; they are {', '.join(KINDS)}")
    return text


class EventQuery(Model):
    """Which events are wanted."""

    kinds: Annotated[str, Field(max_length=1024), AfterValidator(_check_kinds)] | None = None
    """Of these kinds alone, with commas between: published,unpublished,audit."""
    app: Annotated[str, Field(max_length=256)] | None = None
    """Of streams of this app alone."""
    stream: Annotated[str, Field(max_length=1024)] | None = None
    """Of this stream alone, such as live/show."""
    after: Annotated[str, Field(max_length=100)] | None = None
    """The id of the last that was seen, as the header Last-Event-ID, which comes first. 0 is before all that
    are kept. Without either only what happens from now on is told."""


class EventClient(Answer):
    """Whose session an event belongs to, or who has changed something."""

    protocol: str
    """rtmp, push or pull; http, signal or watch of who has changed something."""
    address: str
    """IP address; of a relay the other server."""
    listener: str
    """Where it came in; empty for a relay."""
    tls: bool
    """As far as it is ended here, and not in a proxy."""
    agent: str
    """What it calls itself."""
    account: str
    """Whom it was found to be; empty where nobody asked."""
    query: str
    """What may be shown of what it asked for."""


class Event(Answer):
    """What happened: docs/notifications.md explains each kind."""

    event: str
    """Its kind."""
    id: str
    """No other event has it, on whatever server."""
    time: datetime
    """When it happened."""
    app: str | None
    """Of the stream; null where it concerns none."""
    name: str | None
    """The same."""
    session: str | None
    """Of the player, or else of the publisher, the last one if it has left; null of an audit."""
    sequence: int
    """Counts the events of the session, from 1."""
    client: EventClient
    data: dict[str, str | float | None]
    """What the kind determines."""
    title: str
    """What happened, in a few words; what peers call themselves and their streams is in it as they say it."""
    text: str
    """More of it, in a sentence or two; empty where there is no more."""
    mood: Mood
    """How glad whoever reads it will be."""


class MissedReason(StrEnum):
    """Why somebody cannot be told what happened meanwhile."""

    OTHER_START = "other_start"
    """The id is of another start of the server, or of another server."""
    GONE = "gone"
    """Newer events have taken the place of some."""
    UNKNOWN = "unknown"
    """It is no id of an event."""


class Missed(Answer):
    """Comes first, as an event named missed, where not all that came behind the id is kept."""

    reason: MissedReason
    number: int | None
    """How many events there were that are gone; null where that is not known."""
    since: datetime
    """The oldest that is kept happened then, or now if none is."""
