"""One audio, video or data message on its way through the server, and the wire formats it is sent in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.media.metadata import of_tracks
from rtmpd.media.tags import CODEC_METADATA, MULTITRACK, SEQUENCE_HEADER
from rtmpd.media.tracks import ALL_TRACKS, DEFAULT, DEFAULT_TRACK, TrackChoice, plain_track
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.constants import CSID_DATA, MEDIA_CSIDS, SET_DATA_FRAME

AUDIO: Final = 8
VIDEO: Final = 9
DATA: Final = 18
"""``Packet.kind``: message type ids as plain ints, because comparing an enum costs more on the hot path."""


STREAM_METADATA: Final = 0x10000
"""A bit of ``Packet.flags`` beside those of ``media.tags``: a data message that is onMetaData."""
FORGET: Final = 0x20000
ELECT: Final = 0x40000
RELEASE: Final = 0x80000
SWITCH: Final = 0x400000
ORDERS: Final = FORGET | ELECT | RELEASE | SWITCH
"""No message but an order to the header cache, carried out in its place among messages: forget metadata, or
what is of another codec than the payload names; make a track the default; promise what was withheld; take the
headers that follow for new ones, because another publication goes on."""
CACHED_HEADER: Final = SEQUENCE_HEADER | CODEC_METADATA | STREAM_METADATA | ORDERS
"""Packets that go to the header cache rather than to the GOP, and that no player may miss."""
TRACKED: Final = 0x100000
"""Of a medium that has several tracks; which one, ``track_id`` says."""
ASIDE: Final = 0x200000
"""Of another track than the default one."""
TRACK_SHIFT: Final = 24
DIFFERS: Final = TRACKED | STREAM_METADATA
"""Packets that are not the same for everybody."""


class WireFormat(Protocol):
    """How a packet looks to one group of subscribers. Hashable; equal formats share their encoded images."""

    @property
    def for_frames(self) -> WireFormat:
        """The format in which all but headers and metadata look the same; often this one."""

    @property
    def tracks(self) -> TrackChoice:
        """Which tracks the group is sent."""

    def encode(self, packet: Packet) -> bytes:
        """The whole packet as it is written to a sink; empty when there is nothing in it for the group."""


class Packet:
    """A message payload with its 64-bit timestamp and its classification.

    ``timestamp`` is milliseconds, unwrapped: it may be negative or pass 2**32; wire formats reduce it. GOP
    cache, recorder and every player share the same packet: it is not changed once subscribers have seen it.
    """

    __slots__ = ("flags", "kind", "payload", "timestamp")

    def __init__(self, kind: int, timestamp: int, payload: bytes, flags: int) -> None:
        self.kind = kind
        self.timestamp = timestamp
        self.payload = payload
        self.flags = flags

    def __repr__(self) -> str:
        return f"Packet({self.kind}, {self.timestamp}, <{len(self.payload)} bytes>, {self.flags:#x})"

    def restamped(self, timestamp: int) -> Packet:
        """The same payload at another time: for headers and stills sent to a late joiner."""
        return Packet(self.kind, timestamp, self.payload, self.flags)


def track_id(packet: Packet) -> int:
    """Id of the packet's track; 0 where there is only one."""
    return packet.flags >> TRACK_SHIFT


_CSIDS: Final[dict[int, int]] = MEDIA_CSIDS


@dataclass(frozen=True, slots=True)
class RtmpWire:
    """RTMP chunks: a fmt 0 header per message, so that the bytes are the same for every player."""

    chunk_size: int
    """Bytes; what the sink's owner has announced with Set Chunk Size."""
    message_stream_id: int
    tracks: TrackChoice = DEFAULT

    @property
    def for_frames(self) -> WireFormat:
        return self

    def encode(self, packet: Packet) -> bytes:
        kind = packet.kind
        payload = packet.payload
        if packet.flags & DIFFERS:
            differing = payload_for(packet, self.tracks)
            if differing is None:
                return b""
            payload = differing
        return encode_message(
            kind, packet.timestamp, self.message_stream_id, payload, _CSIDS[kind], self.chunk_size
        )


@dataclass(frozen=True, slots=True)
class ShiftedWire:
    """Another format's images for players who come from another stream, in whose time they go on."""

    wire: WireFormat
    offset: int
    """What timestamps are put forward by (ms)."""

    @property
    def for_frames(self) -> WireFormat:
        return self

    @property
    def tracks(self) -> TrackChoice:
        return self.wire.tracks

    def encode(self, packet: Packet) -> bytes:
        return self.wire.encode(packet.restamped(packet.timestamp + self.offset))


@dataclass(frozen=True, slots=True)
class PublishWire:
    """RTMP chunks as an encoder sends them: ``RtmpWire``'s, but a server is told to keep the metadata."""

    chunk_size: int
    """Bytes; what the sink's owner has announced with Set Chunk Size."""
    message_stream_id: int
    tracks: TrackChoice = DEFAULT

    @property
    def for_frames(self) -> WireFormat:
        return RtmpWire(self.chunk_size, self.message_stream_id, self.tracks)

    def encode(self, packet: Packet) -> bytes:
        if not packet.flags & STREAM_METADATA:
            return self.for_frames.encode(packet)
        payload = SET_DATA_FRAME + of_tracks(packet.payload, self.tracks)
        stream_id = self.message_stream_id
        return encode_message(DATA, packet.timestamp, stream_id, payload, CSID_DATA, self.chunk_size)


def is_for(packet: Packet, tracks: TrackChoice) -> bool:
    """Whether somebody who chose ``tracks`` is sent this packet."""
    flags = packet.flags
    if not flags & TRACKED:
        return True
    chosen = tracks.video if packet.kind == VIDEO else tracks.audio
    if chosen == DEFAULT_TRACK:
        return not flags & ASIDE
    return chosen in (ALL_TRACKS, flags >> TRACK_SHIFT)


def payload_for(packet: Packet, tracks: TrackChoice) -> bytes | None:
    """The payload of one that ``DIFFERS`` for who is sent these tracks, None if there is nothing for them.

    One track alone is written as if there were no others.
    """
    if packet.flags & STREAM_METADATA:
        return of_tracks(packet.payload, tracks)
    if not is_for(packet, tracks):
        return None
    chosen = tracks.video if packet.kind == VIDEO else tracks.audio
    if packet.flags & MULTITRACK and chosen != ALL_TRACKS:
        return plain_track(packet.kind, packet.payload) or None
    return packet.payload
