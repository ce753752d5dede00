"""The one form in which the rest of the world is told what happens: notifications, hooks, feeds, records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.reasons import Word

Fact: TypeAlias = str | int | float | None


class EventKind(Word):
    """What happened; each has facts of its own, which docs/notifications.md shows."""

    PUBLISHED = "published", "an encoder was let in, or a stream is fetched; media may follow"
    FIRST_MEDIA = "first_media", "its first frame has come: codecs and size are known"
    CODEC_CHANGED = (
        "codec_changed",
        "another codec begins, or a medium that was not there at first; of many in a row one a second",
    )
    UNPUBLISHED = "unpublished", "it has left"
    HELD = "held", "a stream has lost its publisher, and its players are kept for the next"
    RESUMED = "resumed", "the next one goes on before they were sent away"
    ENDED = "ended", "a stream is over for its players"
    SOURCE_SWITCHED = "source_switched", "of a stream with a backup encoder the other one is on air now"
    SLATE_STARTED = (
        "slate_started",
        "a stream, or a push `target` of it, shows its slate, as its encoder sends nothing, or was lost",
    )
    SLATE_ENDED = "slate_ended", "it does no more: the encoder is back, or that is over"
    PLAYER_JOINED = (
        "player_joined",
        "somebody plays, a [file](files.md) or what is live, or waits for that",
    )
    PLAYER_LEFT = "player_left", "it has left"
    FIRST_VIEWER = "first_viewer", "somebody plays a stream that nobody played, or waits for it to begin"
    LAST_VIEWER_LEFT = "last_viewer_left", "nobody plays it any more"
    PUSH_STATE = "push_state", "a push target goes live, stalls, fails or ends"
    WARNING_RAISED = "warning_raised", "something is wrong with what an encoder sends"
    WARNING_CLEARED = "warning_cleared", "it has been right again for 10 seconds"
    RECORDING_STARTED = "recording_started", "a file of a recording was begun"
    RECORDING_FINISHED = "recording_finished", "a file of a recording is whole and has its name"
    RECORDING_FAILED = "recording_failed", "a recording cannot be written for now; the stream goes on"
    AUDIT = (
        "audit",
        "somebody in charge has changed something, or was refused to; of the server where it names no stream",
    )
    TEST = "test", "nothing: somebody has called `rtmpd notify test`"


NO_STREAM: Final = StreamKey("", "")
"""Of an event that concerns the server as a whole."""
KINDS: Final[Mapping[str, EventKind]] = {str(kind): kind for kind in EventKind}
"""By their words."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a stream, or to the server. Nothing in it is secret."""

    kind: EventKind
    id: str
    """A UUID (RFC 9562, version 7) that no other event has, on whatever server; it sorts by time."""
    at: float
    """Seconds since 1970."""
    key: StreamKey
    """The stream, or NO_STREAM."""
    origin: Origin
    """Whose session it belongs to: a player's own, else that of the publisher, or of the last there was. Of
    ``AUDIT`` it is who has changed something, who has no session.
    """
    sequence: int
    """Counts the events of the session, from 1; of those without one all since the start."""
    facts: Mapping[str, Fact]
    """By names that the kind determines."""

    def as_json(self) -> dict[str, object]:
        """For ``json.dumps``: as notifications, hooks and feeds show it."""
        origin = self.origin
        return {
            "event": str(self.kind),
            "id": self.id,
            "time": spell_time(self.at),
            "app": self.key.app or None,
            "name": self.key.name or None,
            "session": origin.session_id if origin.session else None,
            "sequence": self.sequence,
            "client": {
                "protocol": origin.protocol,
                "address": origin.shown,
                "listener": origin.listener,
                "tls": origin.tls,
                "agent": origin.agent,
                "account": origin.account,
                "query": origin.query,
            },
            "data": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one target."""

    event: Event
    number: int
    """Counts what was meant for the target, from 1: what is missing in between was lost."""
    server: str
    """Another one begins to count anew: names this start of this server."""


def spell_time(at: float) -> str:
    """Seconds since 1970 as RFC 3339 has them, in UTC, to the millisecond."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
