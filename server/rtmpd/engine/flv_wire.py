"""FLV as it goes out over HTTP and WebSocket: tags, each a message of its own where messages have frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtmpd.engine.packet import DATA, DIFFERS, STREAM_METADATA, Packet, WireFormat, payload_for
from rtmpd.media.flv import tag_head, tag_tail
from rtmpd.media.metadata import without_medium
from rtmpd.media.tracks import DEFAULT, TrackChoice

EVERYTHING: Final = 0
"""In place of a medium: both."""
_AUDIO_AND_VIDEO: Final = 17
"""Message type ids of both together: one less the other."""
_SMALL: Final = 126
_LARGE: Final = 0x10000


@dataclass(frozen=True, slots=True)
class FlvWire:
    """One FLV tag for each message, with the previous tag size behind it (FLV 10.1, E.4.1)."""

    tracks: TrackChoice = DEFAULT
    only: int = EVERYTHING
    """Message type of the one medium that is wanted."""
    framed: bool = False
    """Each tag is a binary message of a WebSocket (RFC 6455, 5.2), from the server and so unmasked."""

    @property
    def for_frames(self) -> WireFormat:
        return self

    def encode(self, packet: Packet) -> bytes:
        kind = packet.kind
        payload = packet.payload
        if self.only and kind != self.only and kind != DATA:
            return b""
        if packet.flags & DIFFERS:
            differing = payload_for(packet, self.tracks)
            if differing is None:
                return b""
            payload = differing
            if self.only and packet.flags & STREAM_METADATA:
                payload = without_medium(payload, _AUDIO_AND_VIDEO - self.only)
        size = len(payload)
        head, tail = tag_head(kind, packet.timestamp, size), tag_tail(size)
        if self.framed:
            return b"".join((frame_head(len(head) + size + len(tail)), head, payload, tail))
        return b"".join((head, payload, tail))


def frame_head(size: int, opcode: int = 2) -> bytes:
    """Before a whole WebSocket message of ``size`` bytes: 1 text, 2 binary, from 8 on control."""
    first = bytes((0x80 | opcode,))
    if size < _SMALL:
        return first + bytes((size,))
    if size < _LARGE:
        return first + b"\x7e" + size.to_bytes(2, "big")
    return first + b"\x7f" + size.to_bytes(8, "big")
