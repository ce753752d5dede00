"""What does not fit into memory: packets in files that have no name, written and read in threads."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from rtmpd.engine.packet import Packet
from rtmpd.net.scratch import Scratch, Written

_HEAD: Final = struct.Struct(">BqII")
"""Kind, time (64-bit ms), flags, size."""


class Spool(Scratch):
    """Room for packets."""

    def write(self, packets: list[Packet], done: Callable[[Written | Exception], None]) -> None:
        """Write packets; ``done`` is called with where they are, or with what failed."""
        self.append(lambda: packed(packets), done)

    def read(self, place: Written, done: Callable[[list[Packet] | Exception], None]) -> None:
        """Read what was written."""
        self.fetch(place, unpacked, done)


def packed(packets: list[Packet]) -> bytes:
    """Packets as bytes."""
    parts: list[bytes] = []
    for packet in packets:
        parts += (
            _HEAD.pack(packet.kind, packet.timestamp, packet.flags, len(packet.payload)),
            packet.payload,
        )
    return b"".join(parts)


def unpacked(data: bytes) -> list[Packet]:
    """The packets again; as many as are whole."""
    packets, pos = [], 0
    while pos + _HEAD.size <= len(data):
        kind, timestamp, flags, size = _HEAD.unpack_from(data, pos)
        pos += _HEAD.size
        if pos + size > len(data):
            break
        packets.append(Packet(kind, timestamp, data[pos : pos + size], flags))
        pos += size
    return packets
