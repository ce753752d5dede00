"""What is told of everything once a second, to whoever watches."""

from __future__ import annotations

from datetime import datetime

from rtmpd.control.answers import Answer
from rtmpd.control.server_answers import ServerInfo
from rtmpd.control.stream_answers import StreamSummary


class Figures(Answer):
    """How it all gets on."""

    at: datetime
    """By the clock of the server."""
    server: ServerInfo | None
    """Null for whoever has to do with some streams only."""
    streams: tuple[StreamSummary, ...]
    """The first 1000, sorted by app and name."""
    streams_total: int
    """How many there are."""
