"""Sequence headers, codec metadata and onMetaData of a publication: what comes before any frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.packet import AUDIO, STREAM_METADATA, VIDEO, Packet
from rtmpd.media.tags import CODEC_METADATA, MIXED_CODECS, SEQUENCE_HEADER, CacheKey, cache_key


@dataclass(frozen=True, slots=True)
class HeaderLimits:
    """What one stream's header cache may hold."""

    max_header_bytes: int = 64 * 1024
    """One sequence header, codec metadata or onMetaData message."""
    max_tracks: int = 16
    """Messages of one sort: sequence headers or codec metadata, of audio or of video."""
    max_total_bytes: int = 1024 * 1024
    """All of them together."""


class Stored(Enum):
    """What ``HeaderCache.store`` did."""

    NEW = auto()
    CHANGED = auto()
    REPEATED = auto()
    """Identical to what is held."""
    REFUSED = auto()
    """Over a cap."""


class _Entry(NamedTuple):
    codec: str
    packet: Packet


_Sort = dict[tuple[tuple[int, ...], int], _Entry]
"""By track ids and packet type; not by codec, because a track has one codec at a time."""


class HeaderCache:
    """The newest header of every track, capped (protocol 6.1).

    ``version`` grows with every change and is never used twice in the life of a stream, so that a subscriber
    knows by one comparison whether it has seen all.
    """

    __slots__ = ("_budget", "_bytes", "_metadata", "_sorts", "limits", "version")

    def __init__(self, limits: HeaderLimits, budget: MemoryBudget) -> None:
        self.limits = limits
        self._budget = budget
        self._bytes = 0
        self._metadata: Packet | None = None
        # In the order they are sent: HDR metadata before the video header (Enhanced RTMP), audio first.
        self._sorts: dict[tuple[int, int], _Sort] = {
            (VIDEO, CODEC_METADATA): {},
            (AUDIO, SEQUENCE_HEADER): {},
            (AUDIO, CODEC_METADATA): {},
            (VIDEO, SEQUENCE_HEADER): {},
        }
        self.version = 0

    def store(self, packet: Packet) -> Stored:
        """Take in a packet flagged as header, codec metadata or stream metadata."""
        if packet.flags & STREAM_METADATA:
            return self._store_metadata(packet)
        key = cache_key(packet.kind, packet.payload)
        sort = self._sorts[packet.kind, packet.flags & (SEQUENCE_HEADER | CODEC_METADATA)]
        slot = (key.track_ids, key.packet_type)
        held = sort.get(slot)
        if held is not None and held.packet.payload == packet.payload:
            return Stored.REPEATED
        growth = len(packet.payload) - (len(held.packet.payload) if held else 0)
        if not self._fits(packet, growth) or (held is None and len(sort) >= self.limits.max_tracks):
            return Stored.REFUSED
        if held is not None and held.codec != key.codec:
            self._forget_codec(key, held.codec)
        sort[slot] = _Entry(key.codec, packet)
        self._changed(growth)
        return Stored.NEW if held is None else Stored.CHANGED

    def clear(self) -> None:
        """Forget all: the publication has ended."""
        if self._bytes or self._metadata is not None:
            self._metadata = None
            for sort in self._sorts.values():
                sort.clear()
            self._changed(-self._bytes)

    def forget_metadata(self) -> None:
        """The publisher took its onMetaData back."""
        if self._metadata is not None:
            growth = -len(self._metadata.payload)
            self._metadata = None
            self._changed(growth)

    def has_header(self, kind: int, codec: str) -> bool:
        """Whether a sequence header for ``codec`` is held, on whatever track."""
        entries = self._sorts[kind, SEQUENCE_HEADER].values()
        return any(entry.codec in (codec, MIXED_CODECS) for entry in entries)

    def packets(self, timestamp: int, *, audio: bool = True, video: bool = True) -> list[Packet]:
        """Everything a joiner needs before its first frame, in order, headers stamped ``timestamp`` (ms)."""
        # quirk(ffmpeg): onMetaData at any other time than 0 makes its demuxer invent a data stream.
        found = [] if self._metadata is None else [self._metadata.restamped(0)]
        for (kind, _), sort in self._sorts.items():
            if video if kind == VIDEO else audio:
                found += [entry.packet.restamped(timestamp) for entry in sort.values()]
        return found

    def _store_metadata(self, packet: Packet) -> Stored:
        held = self._metadata
        if held is not None and held.payload == packet.payload:
            return Stored.REPEATED
        growth = len(packet.payload) - (len(held.payload) if held else 0)
        if not self._fits(packet, growth):
            return Stored.REFUSED
        self._metadata = packet
        self._changed(growth)
        return Stored.NEW if held is None else Stored.CHANGED

    def _fits(self, packet: Packet, growth: int) -> bool:
        limits = self.limits
        return (
            len(packet.payload) <= limits.max_header_bytes and self._bytes + growth <= limits.max_total_bytes
        )

    def _forget_codec(self, key: CacheKey, codec: str) -> None:
        """A track changes its codec: codec metadata of the old one (HDR of HEVC, say) no longer applies."""
        sort = self._sorts[key.kind, CODEC_METADATA]
        for slot in [s for s, entry in sort.items() if s[0] == key.track_ids and entry.codec == codec]:
            self._changed(-len(sort.pop(slot).packet.payload))

    def _changed(self, growth: int) -> None:
        self.version += 1
        self._bytes += growth
        self._budget.charge_headers(growth)
