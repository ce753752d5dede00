"""Sequence headers, codec metadata and onMetaData of a publication: what comes before any frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.packet import ASIDE, AUDIO, STREAM_METADATA, TRACKED, VIDEO, Packet, track_id
from rtmpd.media.cache_key import cache_key
from rtmpd.media.metadata import announces, without_medium
from rtmpd.media.tags import CODEC_METADATA, MIXED_CODECS, SEQUENCE_HEADER
from rtmpd.media.track_maps import with_track_maps


@dataclass(frozen=True, slots=True)
class HeaderLimits:
    """What one stream's header cache may hold."""

    max_header_bytes: int = 64 * 1024
    """One sequence header, codec metadata or onMetaData message."""
    max_tracks: int = 16
    """Messages of one sort: sequence headers or codec metadata, of audio or of video."""
    max_total_bytes: int = 1024 * 1024
    """All of them together."""
    max_updates: int = 4
    """New sequence headers that a publisher may send in a second, on average, and onMetaData in units of
    4 KiB."""
    absent_after: float = 5.0
    """A medium without a frame for so many seconds, while the other one flows, is not announced to joiners;
    0 announces all that is held."""


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


_Slot = tuple[tuple[int, ...], int, bytes]
"""Track ids, packet type and name; not the codec, because a track has one codec at a time."""
_Sort = dict[_Slot, _Entry]


class HeaderCache:
    """The newest header of every track, capped (protocol 6.1).

    ``version`` grows with every change and is never used twice in the life of a stream, so that a subscriber
    knows by one comparison whether it has seen all.
    """

    __slots__ = ("_budget", "_bytes", "_metadata", "_sorts", "_told", "limits", "version", "withheld")

    def __init__(self, limits: HeaderLimits, budget: MemoryBudget) -> None:
        self.limits = limits
        self._budget = budget
        self._bytes = 0
        self._metadata: Packet | None = None
        self._told: Packet | None = None
        """The metadata as joiners are told it: without the medium that is withheld."""
        # In the order they are sent: HDR metadata before the video header (Enhanced RTMP), audio first.
        self._sorts: dict[tuple[int, int], _Sort] = {
            (VIDEO, CODEC_METADATA): {},
            (AUDIO, SEQUENCE_HEADER): {},
            (AUDIO, CODEC_METADATA): {},
            (VIDEO, SEQUENCE_HEADER): {},
        }
        self.version = 0
        self.withheld = 0
        """The medium (message type) that joiners are not promised, because it does not flow; 0 for none."""

    # What the publisher sends

    def store(self, packet: Packet) -> Stored:
        """Take in a packet flagged as header, codec metadata or stream metadata."""
        if self.holds(packet):
            return Stored.REPEATED
        if packet.flags & STREAM_METADATA:
            return self._store_metadata(packet)
        sort, slot, codec = self._place(packet)
        held = sort.get(slot)
        growth = len(packet.payload) - (len(held.packet.payload) if held else 0)
        if not self._fits(packet, growth) or (held is None and len(sort) >= self.limits.max_tracks):
            return Stored.REFUSED
        if held is not None and held.codec != codec:
            self._forget_codec(packet.kind, slot[0], held.codec)
        sort[slot] = _Entry(codec, packet)
        if packet.flags & TRACKED:
            self._tell(self._metadata)
        self._changed(growth)
        return Stored.NEW if held is None else Stored.CHANGED

    def holds(self, packet: Packet) -> bool:
        """Whether the same bytes are held already, so that ``store`` would change nothing."""
        payload = packet.payload
        if packet.flags & STREAM_METADATA:
            return self._metadata is not None and self._metadata.payload == payload
        # Codec and tracks are in the bytes: there is no need to look where they would be held.
        return any(entry.packet.payload == payload for entry in self._sort(packet).values())

    def clear(self) -> None:
        """Forget all: the publication has ended."""
        self.withheld = 0
        if self._bytes or self._metadata is not None:
            self._metadata = self._told = None
            for sort in self._sorts.values():
                sort.clear()
            self._changed(-self._bytes)

    def forget_metadata(self) -> None:
        """The publisher took its onMetaData back."""
        if self._metadata is not None:
            growth = -len(self._metadata.payload)
            self._metadata = self._told = None
            self._changed(growth)

    def forget_track(self, kind: int, track: int, codec: str) -> None:
        """A track has frames of ``codec`` now: what is held of another codec describes nothing any more."""
        for (sort_kind, _), sort in self._sorts.items():
            if sort_kind == kind:
                for slot, (held_codec, packet) in list(sort.items()):
                    if held_codec != codec and held_codec != MIXED_CODECS and track_id(packet) == track:
                        del sort[slot]
                        if packet.flags & TRACKED:
                            self._tell(self._metadata)
                        self._changed(-len(packet.payload))

    def elect(self, kind: int, track: int, timestamp: int) -> list[Packet]:
        """``track`` stands for its medium from now on; returns its headers if they went to nobody as such."""
        found = []
        for (sort_kind, _), sort in self._sorts.items():
            if sort_kind == kind:
                for slot, (codec, held) in sort.items():
                    flags = held.flags & ~ASIDE | TRACKED
                    if track_id(held) != track:
                        flags |= ASIDE
                    packet = Packet(kind, held.timestamp, held.payload, flags)
                    sort[slot] = _Entry(codec, packet)
                    if held.flags & ASIDE and not flags & ASIDE:
                        found.append(packet.restamped(timestamp))
        self.version += 1
        return found

    def succeed(self, before: HeaderCache) -> None:
        """Goes on air behind another one: whoever has seen all of that has seen all of this."""
        self.version = before.version

    def switch(self) -> None:
        """Whoever has seen all before misses something now."""
        self.version += 1

    # What subscribers are sent

    def has_header(self, kind: int, codec: str) -> bool:
        """Whether a sequence header for ``codec`` is held, on whatever track."""
        entries = self._sorts[kind, SEQUENCE_HEADER].values()
        return any(entry.codec in (codec, MIXED_CODECS) for entry in entries)

    def told(self, packet: Packet) -> bool:
        """Whether everybody who has seen all has been sent the same bytes."""
        kind = self.withheld
        return self.holds(packet) and not (kind and (packet.kind == kind or packet.flags & STREAM_METADATA))

    def announces(self, kind: int) -> bool:
        """Whether a joiner that gets all would expect this medium, by its headers or by the metadata."""
        if self._sorts[kind, SEQUENCE_HEADER]:
            return True
        metadata = self._metadata
        return metadata is not None and announces(metadata.payload, kind)

    def header(self, kind: int) -> bytes:
        """The sequence header of a medium, of several tracks the default one; empty if none is held."""
        for entry in self._sorts[kind, SEQUENCE_HEADER].values():
            if not entry.packet.flags & ASIDE:
                return entry.packet.payload
        return b""

    def sequence_headers(self, kind: int) -> list[Packet]:
        """Those of every track of a medium."""
        return [entry.packet for entry in self._sorts[kind, SEQUENCE_HEADER].values()]

    @property
    def metadata(self) -> bytes:
        """The onMetaData that joiners are told, as ``media.metadata.read_metadata`` takes it; empty without
        one."""
        return b"" if self._told is None else self._told.payload

    def packets(self, timestamp: int, *, audio: bool = True, video: bool = True) -> list[Packet]:
        """Everything a joiner needs before its first frame, in order, headers stamped ``timestamp`` (ms)."""
        # quirk(ffmpeg): onMetaData at any other time than 0 makes its demuxer invent a data stream.
        found = [] if self._told is None else [self._told.restamped(0)]
        for (kind, _), sort in self._sorts.items():
            if kind != self.withheld and (video if kind == VIDEO else audio):
                found += [entry.packet.restamped(timestamp) for entry in sort.values()]
        return found

    def withhold(self, kind: int) -> None:
        """Promise whoever joins from now on nothing of a medium, 8 or 9; 0 promises all again."""
        if kind != self.withheld:
            self.withheld = kind
            self._tell(self._metadata)

    def release(self, timestamp: int) -> list[Packet]:
        """The withheld medium flows after all: everything about it, for those who were not told."""
        kind = self.withheld
        self.withhold(0)
        self.version += 1
        return self.packets(timestamp, audio=kind == AUDIO, video=kind == VIDEO)

    # Inside

    def _sort(self, packet: Packet) -> _Sort:
        return self._sorts[packet.kind, packet.flags & (SEQUENCE_HEADER | CODEC_METADATA)]

    def _place(self, packet: Packet) -> tuple[_Sort, _Slot, str]:
        """Where a header or codec metadata is held, and its codec."""
        key = cache_key(packet.kind, packet.payload)
        return self._sort(packet), (key.track_ids, key.packet_type, key.name), key.codec

    def _store_metadata(self, packet: Packet) -> Stored:
        held = self._metadata
        growth = len(packet.payload) - (len(held.payload) if held else 0)
        if not self._fits(packet, growth):
            return Stored.REFUSED
        self._tell(packet)
        self._changed(growth)
        return Stored.NEW if held is None else Stored.CHANGED

    def _tell(self, metadata: Packet | None) -> None:
        """Metadata is cut once for all who join, not for each."""
        self._metadata = self._told = metadata
        if metadata is not None:
            payload = with_track_maps(metadata.payload, self._later(VIDEO), self._later(AUDIO))
            if self.withheld:
                payload = without_medium(payload, self.withheld)
            if payload is not metadata.payload:
                self._told = Packet(metadata.kind, metadata.timestamp, payload, metadata.flags)

    def _later(self, kind: int) -> dict[int, bytes]:
        """Headers of the tracks of a medium beside track 0."""
        packets = self.sequence_headers(kind)
        return {track_id(packet): packet.payload for packet in packets if track_id(packet) > 0}

    def _fits(self, packet: Packet, growth: int) -> bool:
        limits = self.limits
        return (
            len(packet.payload) <= limits.max_header_bytes and self._bytes + growth <= limits.max_total_bytes
        )

    def _forget_codec(self, kind: int, track_ids: tuple[int, ...], codec: str) -> None:
        """A track changes its codec: codec metadata of the old one (HDR of HEVC, say) no longer applies."""
        sort = self._sorts[kind, CODEC_METADATA]
        for slot in [s for s, entry in sort.items() if s[0] == track_ids and entry.codec == codec]:
            self._changed(-len(sort.pop(slot).packet.payload))

    def _changed(self, growth: int) -> None:
        self.version += 1
        self._bytes += growth
        self._budget.charge_headers(growth)
