"""The first frames of a stream, kept until it is known of which tracks it is and how fast they come."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.media.mp4_feed import Timed
from rtmpd.packaging.feeds import Source
from rtmpd.packaging.plan import frame_time
from rtmpd.packaging.stats import cost

_FRAMES: Final = 8
"""So many tell how fast they come."""
_PATIENCE: Final = 1.0
"""Seconds of the stream for which a track is waited for that was announced."""
_LONGEST: Final = 3.0
"""Seconds of the stream after which what is known has to do."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""What it may cost; then what is known has to do."""


class Gathering:
    """Frames of all tracks in the order in which they came."""

    def __init__(self, *, paced: bool) -> None:
        """``paced``: how fast they come is known already."""
        self._paced = paced
        self.frames: list[tuple[Source, Timed]] = []
        self.held_bytes = 0
        """What the frames cost."""
        self._first: float | None = None
        self._last = 0.0

    def add(self, source: Source, timed: Timed) -> None:
        """One more frame."""
        time = timed.decode_time / timed.track.timescale
        self.frames.append((source, timed))
        self.held_bytes += cost(timed.sample)
        self._first = time if self._first is None else min(self._first, time)
        self._last = max(self._last, time)

    def enough(self, announced: Collection[Source]) -> bool:
        """Whether it is known what the stream is of; ``announced`` are tracks whose frames may come."""
        if self._first is None:
            return False
        if self.lasted >= _LONGEST or self.overfull:
            return True
        there = self.sources
        if not there.issuperset(announced) and self.lasted < _PATIENCE:
            return False
        return self._paced or len(self._durations(self.leader)) >= _FRAMES

    @property
    def lasted(self) -> float:
        """Seconds of the stream."""
        return 0.0 if self._first is None else self._last - self._first

    @property
    def overfull(self) -> bool:
        """It may not grow any more."""
        return self.held_bytes >= MOST_BYTES

    def told_of_all(self) -> bool:
        """Whether it is known of each track how fast its frames come, or nobody waits for that any more."""
        paced = all(len(self._durations(each)) >= _FRAMES for each in self.sources)
        return paced or self.lasted >= _LONGEST or self.overfull

    @property
    def tracks(self) -> dict[Source, Mp4Track]:
        """The same, as they are first."""
        found: dict[Source, Mp4Track] = {}
        for source, timed in self.frames:
            found.setdefault(source, timed.track)
        return found

    @property
    def sources(self) -> set[Source]:
        """Tracks of which frames have come."""
        return {source for source, _ in self.frames}

    def tracks_for(self, *, all_sounds: bool) -> dict[Source, Mp4Track]:
        """The same; without ``all_sounds`` the first audio track alone."""
        tracks = self.tracks
        sounds = sorted([source for source in tracks if source.kind == AUDIO])
        left_out = () if all_sounds else sounds[1:]
        return {source: track for source, track in tracks.items() if source not in left_out}

    @property
    def leader(self) -> Source:
        """The first video track, or else the first of all."""
        return min(self.sources, key=lambda source: (source.kind != VIDEO, source.track))

    @property
    def last_of_leader(self) -> int:
        """Where its last frame is in ``frames``."""
        leader = self.leader
        return max([number for number, (source, _) in enumerate(self.frames) if source == leader])

    def frame_time(self, source: Source, told: float) -> float:
        """Seconds from one frame of a track to the next; of the leader where too few have come to tell.

        ``told`` is as for ``plan.frame_time``, of video.
        """
        durations = self._durations(source)
        return frame_time(
            durations if len(durations) > 1 else self._durations(self.leader),
            told if source.kind == VIDEO else 0.0,
        )

    def _durations(self, wanted: Source) -> list[float]:
        return [
            timed.sample.duration / timed.track.timescale
            for source, timed in self.frames
            if source == wanted and timed.sample.duration
        ]
