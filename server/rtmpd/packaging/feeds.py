"""The packets of a stream as samples, track by track."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.engine.packet import AUDIO, TRACKED, VIDEO, Packet, track_id
from rtmpd.media.correction import Correction
from rtmpd.media.decode_time import StreamTime
from rtmpd.media.metadata import read_metadata
from rtmpd.media.mp4_feed import Timed, TrackFeed
from rtmpd.media.tags import CODED_FRAME, MULTITRACK, SEQUENCE_HEADER
from rtmpd.media.tracks import plain_track

MAX_TRACKS: Final = 16
"""Of both media together; what is more is left out."""
_OF_MP4: Final = {VIDEO: 1, AUDIO: 2}
"""Ids of tracks in MP4: no rendition has two of a medium."""


class Source(NamedTuple):
    """A track of the stream."""

    kind: int
    """Message type: 8 audio, 9 video."""
    track: int
    """Its id there; 0 where there is only one."""


class Feeds:
    """All tracks that are known, in one time that rises for as long as it lives."""

    def __init__(self) -> None:
        self.time = StreamTime()
        self._newest = 0
        """Timestamp of the newest frame (ms)."""
        self._feeds: dict[Source, TrackFeed] = {}
        self.refused: dict[Source, str] = {}
        """Why what comes of a track cannot be in MP4: sentences for people."""

    @property
    def announced(self) -> list[Source]:
        """Tracks of which a header or a frame has come, and that MP4 can hold as far as is known."""
        return sorted([source for source in self._feeds if source not in self.refused])

    @property
    def held_bytes(self) -> int:
        """Of frames that wait for the next of their tracks."""
        return sum([feed.held_bytes for feed in self._feeds.values()])

    @property
    def corrections(self) -> int:
        """Frames whose time was repaired."""
        return sum(self.time.corrections.values())

    @property
    def jumps(self) -> int:
        """Jumps of the time, each of which was joined."""
        return self.time.corrections[Correction.JUMP]

    def take(self, packet: Packet) -> tuple[Source, Timed] | None:
        """What an audio or video packet makes ready: mostly the frame of its track before it."""
        kind, flags, payload = packet.kind, packet.flags, packet.payload
        if flags & TRACKED:
            source = Source(kind, track_id(packet))
            if flags & MULTITRACK:
                payload = plain_track(kind, payload)
                if not payload:
                    return None
        else:
            source = Source(kind, 0)
        feed = self._feeds.get(source)
        if feed is None:
            if not flags & (CODED_FRAME | SEQUENCE_HEADER) or len(self._feeds) >= MAX_TRACKS:
                return None
            feed = self._feeds[source] = TrackFeed(kind, _OF_MP4[kind], self.time)
        timed = feed.take(packet.timestamp, payload, flags)
        if flags & CODED_FRAME:
            self._newest = packet.timestamp
        if feed.refused or source in self.refused:
            self._note(source, feed)
        return None if timed is None else (source, timed)

    def place(self, timestamp: int) -> int:
        """When something is that is no frame (ms), as near as is known."""
        return max(0, timestamp + self.time.latest - self._newest)

    def flush(self) -> list[tuple[Source, Timed]]:
        """The frames that wait for others: nothing follows on them."""
        waiting = [(source, feed.flush()) for source, feed in self._feeds.items()]
        found = [(source, timed) for source, timed in waiting if timed is not None]
        return sorted(found, key=lambda each: each[1].decode_time / each[1].track.timescale)

    def forget(self) -> None:
        """Other tracks come, with headers of their own."""
        self._feeds.clear()
        self.refused.clear()

    def _note(self, source: Source, feed: TrackFeed) -> None:
        if feed.refused:
            self.refused[source] = feed.refused
        else:
            del self.refused[source]


class Encoder(NamedTuple):
    """What an encoder says of itself."""

    of_obs: bool = False
    """A second track of sound is meant for a recording then."""
    frame_rate: float = 0.0
    """Frames a second; 0 where it says nothing."""

    def tells_all_sounds(self, vod_track: bool) -> bool:
        """Whether all its tracks of sound are for viewers; ``vod_track``: that for a recording is, too."""
        return vod_track or not self.of_obs


def read_encoder(metadata: bytes) -> Encoder:
    """Of an onMetaData."""
    told = read_metadata(metadata)
    rate = told.get("framerate")
    rate = float(rate) if isinstance(rate, int | float) and 0.0 < rate < 1000.0 else 0.0
    return Encoder(str(told.get("encoder", "")).startswith("obs-output module"), rate)
