"""One audio, video or data message on its way through the server, and the wire formats it is sent in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.media.tags import CODEC_METADATA, SEQUENCE_HEADER
from rtmpd.rtmp.chunks import encode_message
from rtmpd.rtmp.constants import CSID_AUDIO, CSID_DATA, CSID_VIDEO

AUDIO: Final = 8
VIDEO: Final = 9
DATA: Final = 18
"""``Packet.kind``: message type ids as plain ints, because comparing an enum costs more on the hot path."""


STREAM_METADATA: Final = 0x10000
"""A bit of ``Packet.flags`` beside those of ``media.tags``: a data message that is onMetaData."""
CACHED_HEADER: Final = SEQUENCE_HEADER | CODEC_METADATA | STREAM_METADATA
"""Packets that go to the header cache rather than to the GOP, and that no player may miss."""


class WireFormat(Protocol):
    """How a packet looks to one group of subscribers. Hashable; equal formats share their encoded images."""

    @property
    def for_frames(self) -> WireFormat:
        """The format in which all but headers and metadata look the same; often this one."""

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


_SET_DATA_FRAME: Final = b"\x02\x00\x0d@setDataFrame"
_CSIDS: Final = {AUDIO: CSID_AUDIO, DATA: CSID_DATA, VIDEO: CSID_VIDEO}


@dataclass(frozen=True, slots=True)
class RtmpWire:
    """RTMP chunks: a fmt 0 header per message, so that the bytes are the same for every player."""

    chunk_size: int
    """Bytes; what the sink's owner has announced with Set Chunk Size."""
    message_stream_id: int

    @property
    def for_frames(self) -> WireFormat:
        return self

    def encode(self, packet: Packet) -> bytes:
        kind = packet.kind
        return encode_message(
            kind, packet.timestamp, self.message_stream_id, packet.payload, _CSIDS[kind], self.chunk_size
        )


@dataclass(frozen=True, slots=True)
class PublishWire:
    """RTMP chunks as an encoder sends them: ``RtmpWire``'s, but a server is told to keep the metadata."""

    chunk_size: int
    """Bytes; what the sink's owner has announced with Set Chunk Size."""
    message_stream_id: int

    @property
    def for_frames(self) -> WireFormat:
        return RtmpWire(self.chunk_size, self.message_stream_id)

    def encode(self, packet: Packet) -> bytes:
        kind = packet.kind
        payload = packet.payload
        if packet.flags & STREAM_METADATA:
            payload = _SET_DATA_FRAME + payload
        return encode_message(
            kind, packet.timestamp, self.message_stream_id, payload, _CSIDS[kind], self.chunk_size
        )
