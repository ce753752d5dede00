"""The joint between a publication and whatever takes its packets."""

from __future__ import annotations

from rtmpd.engine.packet import Packet


class Channel:
    """Where the packets of a publication go."""

    __slots__ = ()

    def push(self, packet: Packet) -> None:
        """Take a packet from the publication."""
        raise NotImplementedError
