"""What a relay tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rtmpd.engine.key import StreamKey
from rtmpd.engine.slate import Slate
from rtmpd.reasons import Word


class RelayState(Word):
    IDLE = (
        "idle",
        (
            "a target added at run time whose stream nobody publishes, or a pull that has just been switched "
            "on and that nobody waits for; or the last bytes are on their way"
        ),
    )
    QUEUED = (
        "queued",
        "pull: the address of its first player has `relay.max_dials_per_address` `connecting` already",
    )
    CONNECTING = "connecting", "up to the permission to publish, or to the first media of a pull"
    LIVE = "live", "media flows"
    STALLED = "stalled", "push: connected, some media waits, and nothing was sent for 3 seconds"
    BACKOFF = (
        "backoff",
        (
            "failed; waits between half and the whole of 1, 2, 4 ... 30 seconds. For a push the delay starts "
            "over after 10 seconds live, for a pull when an origin grants the play. A pull on demand never "
            "waits longer than a quarter of its `timeout`"
        ),
    )
    FAILED = (
        "failed",
        (
            "refused for good: credentials, certificate, a plain no. Asked again after 60 seconds; a push "
            "also at once when the stream is published anew"
        ),
    )
    OFF = (
        "off",
        "somebody in charge has switched it off, and nothing is sent or fetched until it is switched on",
    )


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """A relay at one moment. Nothing here is secret."""

    kind: Literal["push", "pull"]
    id: str
    """Names the relay among those of its stream and kind: of a push the name of its target."""
    key: StreamKey
    """The stream of this server."""
    remote: str
    """Scheme, host and app of the other server, once it is known; never a stream key."""
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
    slate: Slate | None = None
    """Of a push with a slate of its own: what it shows instead of the encoder."""


def switched_off(kind: Literal["push", "pull"], relay_id: str, key: StreamKey, remote: str) -> RelayStatus:
    """As of one that runs, of a relay that somebody has switched off."""
    return RelayStatus(
        kind=kind,
        id=relay_id,
        key=key,
        remote=remote,
        state=RelayState.OFF,
        bytes=0,
        retries=0,
        lag_bytes=0,
        lag_seconds=0.0,
        unannounced=(),
        status="",
        reason="switched off by hand",
        retry_in=None,
    )
