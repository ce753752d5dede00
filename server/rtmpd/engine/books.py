"""Where publications, and what becomes of their packets, are counted: for their stream and for the server."""

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

    def count_begun(self, *, first: bool) -> None:
        """Count the publication, the ``first`` that its stream has or one more."""
        server = self.server
        server.publishers += 1
        server.publishes_total += 1
        if first:
            server.published_streams += 1

    def count_ended(self, reason: CloseReason | None, *, last: bool) -> None:
        """Count its end, for ``reason`` if there is one; after the ``last`` its stream has none."""
        server = self.server
        server.publishers -= 1
        if last:
            server.published_streams -= 1
        if self.stream.last_media_at is None:
            server.publishes_without_media += 1
        if reason is not None:
            count(server.publishes_ended, reason)

    def refuse(self, reason: DropReason) -> None:
        """Count a packet of the publisher's that goes to nobody. Who is not on air has nobody to miss it."""
        count(self.stream.drops, reason)
        if self.stream.on_air:
            self.drop(reason)

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
