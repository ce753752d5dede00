"""Where what becomes of packets is counted: for their stream and for the server."""

from __future__ import annotations

from rtmpd.engine.drops import DropReason
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats, StreamStats, count


class Books:
    """A publication's counters, with the totals of its stream, and the server's."""

    __slots__ = ("server", "stream", "totals")

    def __init__(self, stream: StreamStats, server: ServerStats) -> None:
        self.stream = stream
        self.totals = stream.totals
        self.server = server

    def drop(self, reason: DropReason) -> None:
        """Count a packet that does not go where it was meant to go."""
        count(self.totals.drops, reason)
        count(self.server.drops, reason)

    def count_out(self, size: int, messages: int) -> None:
        """Count what was handed to sinks."""
        totals = self.totals
        totals.bytes_out += size
        totals.messages_out += messages
        self.server.bytes_out += size
        self.server.messages_out += messages

    def count_closed(self, reason: CloseReason) -> None:
        """Count a player that the engine closes."""
        count(self.server.players_closed, reason)
