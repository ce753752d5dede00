"""MP4 as it goes out over HTTP and WebSocket: what begins it, and its fragments, which somebody has made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtmpd.engine.flv_wire import EVERYTHING, frame_head
from rtmpd.engine.packet import DATA, STREAM_METADATA, Packet, WireFormat
from rtmpd.media.tracks import DEFAULT, TrackChoice

_TEXT: Final = 1
_SIZE_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Mp4Wish:
    """What somebody wants of a stream as MP4; equal ones are sent the same fragments."""

    tracks: TrackChoice = DEFAULT
    only: int = EVERYTHING
    """Message type of the one medium that is wanted."""
    part: float = 0.0
    """Seconds of a fragment; 0 is one for each frame."""


def init_packet(timestamp: int, told: str, segment: bytes) -> Packet:
    """An init segment as a packet that no player may miss. ``told`` is what is said of it where there are
    messages."""
    text = told.encode()
    payload = b"".join((len(text).to_bytes(_SIZE_BYTES, "big"), text, segment))
    return Packet(DATA, timestamp, payload, STREAM_METADATA)


@dataclass(frozen=True, slots=True)
class Mp4Wire:
    """Packets that are made already: init segments of ``init_packet``, and fragments as they are."""

    framed: bool = False
    """Each is a binary message of a WebSocket, with a text message before an init segment."""

    @property
    def for_frames(self) -> WireFormat:
        return self

    @property
    def tracks(self) -> TrackChoice:
        """Those that were chosen when it was made: there are no others in it."""
        return DEFAULT

    def encode(self, packet: Packet) -> bytes:
        payload = packet.payload
        told = b""
        if packet.flags & STREAM_METADATA:
            begin = _SIZE_BYTES + int.from_bytes(payload[:_SIZE_BYTES], "big")
            told, payload = payload[_SIZE_BYTES:begin], payload[begin:]
        if not self.framed:
            return payload
        head = frame_head(len(payload))
        return b"".join((frame_head(len(told), _TEXT), told, head, payload) if told else (head, payload))
