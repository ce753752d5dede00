"""What is told of the server as a whole."""

from __future__ import annotations

from datetime import datetime

from rtmpd.control.answers import Answer
from rtmpd.control.drain_answers import Drain


class Totals(Answer):
    """Of the process, since it started or now."""

    connections: dict[str, int]
    """RTMP connections that are open, by state: pending, publishing, playing."""
    connections_total: int
    """All that have come in."""
    publishers: int
    """Publications there are, on air or not."""
    publishes_total: int
    """All that there were."""
    players: int
    """Players there are, those included that wait for a stream."""
    plays_total: int
    """All that there were."""
    streams_published: int
    """Streams that have a publisher."""
    streams_held: int
    """Streams whose players are kept for an encoder that was lost."""
    bytes_in: int
    """Received from clients."""
    bytes_out: int
    """Sent to clients and push targets, or about to be."""
    refusals: dict[str, int]
    """Requests that were not granted, by reason."""
    bans: int
    """Networks that are banned."""
    unsent_bytes: int
    """Of slow connections: accepted and not sent."""
    media_bytes: int
    """Held in memory."""
    media_limit_bytes: int
    """What may be; 0 is any amount."""


class ServerInfo(Answer):
    """The server."""

    version: str
    """Of rtmpd."""
    form: str
    """How it runs: compiled or pure Python."""
    python: str
    """Version of Python."""
    started: datetime
    """When the process started."""
    uptime_seconds: float
    """Since then."""
    ready: bool
    """It takes new connections."""
    unready_reason: str | None
    """Why not; null if it does."""
    drain: Drain | None
    """Whom it waits for before it ends; null while it does not end."""
    totals: Totals
