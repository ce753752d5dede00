"""A stream's payloads as init segments and fragments of MP4, each frame alone or some together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.media.correction import Correction
from rtmpd.media.decode_time import StreamTime
from rtmpd.media.fmp4 import Run, Sample, fragment
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.media.mp4_feed import Timed, TrackFeed

_TRACK_IDS: Final = {VIDEO: 1, AUDIO: 2}
_PATIENCE_MS: Final = {VIDEO: 3000, AUDIO: 1000}
"""For so long the first frame of a medium is waited for that is announced, while the other one flows."""
_ABSENT_MS: Final = 5000
"""A medium without a frame for so long, while the other one flows, is left out of the next init segment."""
_MOST_BYTES: Final = 4 * 1024 * 1024
"""Of frames that wait, for others or to be a part."""
_MS: Final = 1000
_WHOLE: Final = 0.97
"""Of a part: milliseconds are rounded, and one more frame would be late."""


class Init(NamedTuple):
    """An init segment is due: what follows is of these tracks."""

    tracks: tuple[Mp4Track, ...]
    time: int
    """Of the first fragment that follows (ms)."""


class Fragment(NamedTuple):
    """A moof box and its mdat."""

    kind: int
    """Message type of the medium that it is for; of both together video."""
    time: int
    """When it begins (ms)."""
    is_sync: bool
    """Decoding can start with it."""
    data: bytes


class _Frame(NamedTuple):
    kind: int
    timed: Timed
    time: int
    """Milliseconds."""
    end: int


class Cutter:
    """Takes the payloads of one video and one audio track at most.

    It begins with an init segment of the tracks that flow. Another one comes with another codec, size or
    choice of tracks, at a key frame where there is video; until then nothing comes of a track that has
    changed.
    """

    def __init__(
        self,
        kinds: Iterable[int],
        part: float,
        expects: Callable[[int], bool],
        corrections: dict[Correction, int],
    ) -> None:
        """``kinds`` are the media that are wanted, ``part`` the seconds of a fragment (0: each frame alone).
        ``expects(kind)`` says whether a medium is announced; ``corrections`` of time are counted there.
        """
        time = StreamTime()
        time.corrections = corrections
        self._feeds = {kind: TrackFeed(kind, _TRACK_IDS[kind], time, held=False) for kind in kinds}
        self._part = part * _MS * _WHOLE
        self._expects = expects
        self._tracks: dict[int, Mp4Track] = {}
        """What the last init segment has, by medium; empty before the first."""
        self._missed: dict[int, int] = {}
        """Milliseconds of the other medium that have come since the last frame of each that has had one."""
        self._waiting: list[_Frame] = []
        """Before the first init segment; later what is to be a part."""
        self.held_bytes = 0
        """Of what waits."""
        self._number = 0

    @property
    def problem(self) -> str:
        """Why a medium cannot be in MP4, a sentence for people; empty if all can."""
        return next((feed.refused for feed in self._feeds.values() if feed.refused), "")

    def take(self, kind: int, timestamp: int, payload: bytes, flags: int) -> list[Init | Fragment]:
        """Take a payload of a track, headers too, stamped ``timestamp`` (64-bit ms); what comes of it."""
        feed = self._feeds.get(kind)
        timed = None if feed is None else feed.take(timestamp, payload, flags)
        return [] if timed is None else self._pass(_frame(kind, timed))

    def finish(self) -> list[Init | Fragment]:
        """Nothing more comes: what is left."""
        begun = self._begin(self._waiting) if self._waiting and not self._tracks else []
        return [*begun, *self._cut()]

    # Inside

    def _pass(self, frame: _Frame) -> list[Init | Fragment]:
        self._missed[frame.kind] = 0
        for kind in self._missed:
            if kind != frame.kind:
                self._missed[kind] += frame.end - frame.time
        if not self._tracks:
            self._hold(frame)
            return self._begin(self._waiting) if self._is_ready(frame.time) else []
        if self._may_begin(frame) and self._tracks_with(frame) != self._tracks:
            return [*self._cut(), *self._begin([frame])]
        if frame.timed.track != self._tracks.get(frame.kind):
            return []
        return self._add(frame)

    def _is_ready(self, now: int) -> bool:
        """Before the first init segment: whether nothing more is waited for."""
        expected = [kind for kind in self._feeds if self._expects(kind)] or list(self._feeds)
        missing = [kind for kind in expected if kind not in self._missed]
        patience = min([_PATIENCE_MS[kind] for kind in missing], default=0)
        return now - self._waiting[0].time >= patience or self.held_bytes > _MOST_BYTES

    def _may_begin(self, frame: _Frame) -> bool:
        """Whether an init segment may come before this frame."""
        if frame.kind == VIDEO:
            return frame.timed.sample.is_sync
        return VIDEO not in self._tracks or not self._flows(VIDEO)

    def _tracks_with(self, frame: _Frame) -> dict[int, Mp4Track]:
        """Those that flow when ``frame`` comes."""
        tracks: dict[int, Mp4Track] = {}
        for kind, feed in self._feeds.items():
            if kind == frame.kind:
                tracks[kind] = frame.timed.track
            elif feed.track is not None and self._flows(kind):
                tracks[kind] = feed.track
        return tracks

    def _flows(self, kind: int) -> bool:
        missed = self._missed.get(kind)
        return missed is not None and missed <= _ABSENT_MS

    def _begin(self, frames: list[_Frame]) -> list[Init | Fragment]:
        """With an init segment for these and what follows."""
        pictures = [frame for frame in frames if frame.kind == VIDEO]
        first = pictures[0] if pictures else frames[0]
        self._tracks = self._tracks_with(first)
        self._waiting, self.held_bytes = [], 0
        out: list[Init | Fragment] = [Init(tuple(self._tracks.values()), first.time)]
        for frame in frames:
            # Nobody is shown sound without the picture that belongs to it.
            if frame.time >= first.time and frame.timed.track == self._tracks.get(frame.kind):
                out += self._add(frame)
        return out

    def _add(self, frame: _Frame) -> list[Init | Fragment]:
        if not self._part:
            return [self._fragment([frame])]
        starts_anew = frame.kind == VIDEO and frame.timed.sample.is_sync
        out = self._cut() if starts_anew else []
        self._hold(frame)
        return out + self._cut() if self._is_whole(frame) else out

    def _is_whole(self, last: _Frame) -> bool:
        """Whether what waits, ``last`` the last of it, is a part. Pictures say so, where there are any."""
        leading = last.kind == VIDEO or VIDEO not in self._tracks
        part = self._part if leading else 2 * self._part
        begin = next(held.time for held in self._waiting if held.kind == last.kind or not leading)
        return last.end - begin >= part or self.held_bytes > _MOST_BYTES

    def _hold(self, frame: _Frame) -> None:
        self._waiting.append(frame)
        self.held_bytes += len(frame.timed.sample.data)

    def _cut(self) -> list[Init | Fragment]:
        """What waits, as a fragment."""
        frames, self._waiting, self.held_bytes = self._waiting, [], 0
        return [self._fragment(frames)] if frames else []

    def _fragment(self, frames: list[_Frame]) -> Fragment:
        self._number += 1
        runs: list[Run] = []
        for kind, track in self._tracks.items():
            mine = [frame.timed for frame in frames if frame.kind == kind]
            if mine:
                runs.append(Run(track.track_id, mine[0].decode_time, _samples(mine)))
        picture = next((frame for frame in frames if frame.kind == VIDEO), None)
        together = bool(self._part) and VIDEO in self._tracks
        kind = VIDEO if together else frames[0].kind
        is_sync = picture.timed.sample.is_sync if picture is not None else not together
        return Fragment(kind, frames[0].time, is_sync, fragment(self._number, runs))


def _samples(timed: list[Timed]) -> list[Sample]:
    """Each lasts until the next, and the last one as long as they usually do."""
    lasting = [
        before.sample._replace(duration=after.decode_time - before.decode_time)
        for before, after in pairwise(timed)
    ]
    return [*lasting, timed[-1].sample]


def _frame(kind: int, timed: Timed) -> _Frame:
    scale, begin = timed.track.timescale, timed.decode_time
    return _Frame(kind, timed, begin * _MS // scale, (begin + timed.sample.duration) * _MS // scale)
