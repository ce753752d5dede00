"""What a relay tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from rtmpd.engine.key import StreamKey


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
    """Names the relay among those of its stream and kind: of a push the name of its target."""
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
