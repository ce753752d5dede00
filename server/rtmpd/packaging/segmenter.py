"""Samples of a rendition's tracks, cut into parts and segments.

One track leads: its frames say where parts end, and its key frames where segments begin. What others send
goes with it, by time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rtmpd.media.fmp4 import Run, Sample, fragment, init_segment
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.packaging.plan import LEAST, Plan
from rtmpd.packaging.shelf import FIRST, Shelf
from rtmpd.packaging.stats import HlsStats, Overfull, cost

_NEARLY: Final = 0.95
"""Of the wished length of a segment: a key frame that comes so early ends it."""
_MOST_EVENTS: Final = 16
"""Of one part."""
_SILENT: Final = 3.0
"""Seconds by which other tracks may be ahead of the leader; then they go on without it."""
_MOST_PART: Final = 16 * 1024 * 1024
"""What the frames of a part may cost, of the leader and of each other track; then it ends."""
_MOST_SEGMENT: Final = 128 * 1024 * 1024
"""Bytes; then a segment ends, with a key frame or without."""
_LAST_DATE: Final = 253_402_300_799.0
"""Unix time at the end of the year 9999: playlists tell of none later, whatever an encoder's times say."""


class _Follower:
    """A track that does not lead, and what of it has come for the next parts."""

    __slots__ = ("held_bytes", "samples", "timescale", "track_id")

    def __init__(self, track: Mp4Track) -> None:
        self.track_id = track.track_id
        self.timescale = track.timescale
        self.samples: list[tuple[int, Sample]] = []
        self.held_bytes = 0
        """What they cost."""

    def add(self, time: int, sample: Sample) -> None:
        """One more."""
        self.samples.append((time, sample))
        self.held_bytes += cost(sample)

    def clear(self) -> None:
        """Forget what has come."""
        self.samples.clear()
        self.held_bytes = 0

    def forget_before(self, time: float) -> None:
        """What is older (s) goes with nothing."""
        limit = time * self.timescale
        self.samples = [each for each in self.samples if each[0] >= limit]
        self.held_bytes = sum([cost(sample) for _, sample in self.samples])

    def take(self, until: float) -> Run | None:
        """The samples before a time (s), in a row: where one is missing, the one before lasts longer."""
        limit = until * self.timescale
        taken: list[Sample] = []
        begins = ends = 0
        for time, sample in self.samples:
            if time >= limit:
                break
            if not taken:
                begins = time
            elif time != ends:
                last = taken[-1]
                taken[-1] = last._replace(duration=max(last.duration + time - ends, 0))
            taken.append(sample)
            ends = time + sample.duration
        if not taken:
            return None
        del self.samples[: len(taken)]
        self.held_bytes -= sum([cost(sample) for sample in taken])
        return Run(self.track_id, begins, taken)


class Segmenter:
    """Of one rendition; what it makes goes to the ``shelf``."""

    def __init__(self, shelf: Shelf, plan: Plan, stats: HlsStats) -> None:
        self._shelf = shelf
        self._plan = plan
        self._stats = stats
        self.unix_offset = 0.0
        """Unix time less the time of the samples (s)."""
        self._hasty = False
        """The segment in the making ends as soon as players can begin with it."""
        self.long_gops = 0
        """Segments that begin without a key frame, because none came in time."""
        self.cut: Callable[[float, bool], None] | None = None
        """Told at which time (s) a segment begins, and whether with a key frame."""
        self._joins: Shelf | None = None
        """Of whom this goes on with the numbers, when it begins."""
        self._cut_at: float | None = None
        self._cut_keyed = True
        self._keyed = True
        """The segment begins with a key frame."""
        self._follows = False
        self._lead_scale = 1
        self._followers: dict[int, _Follower] = {}
        self._lead_id = 0
        self._samples: list[Sample] = []
        self._samples_bytes = 0
        """What they cost."""
        self._begins = 0
        """Time of the first of them, in units of the leader, as are those below."""
        self._ends = 0
        self._segment_begins: int | None = None
        self._part = self._target = self._least = 0
        self._init = -1
        self._fragments = 0
        self._broken = False
        self._starts = True
        """Nothing has come since ``begin``."""
        self._waits = False
        """For the first ``cut_at`` since."""
        self._events: list[bytes] = []

    @property
    def init(self) -> int:
        """Number of the init segment that holds now; -1 before the first."""
        return self._init

    @property
    def held_bytes(self) -> int:
        """What frames cost that are in no part yet."""
        return self._samples_bytes + sum([each.held_bytes for each in self._followers.values()])

    @property
    def ends(self) -> float:
        """When the last sample of the leader ends (s)."""
        return self._ends / self._lead_scale

    def follow_cuts(self, leader: Shelf) -> None:
        """Segments begin where ``cut_at`` says, and not by a length of their own, with the numbers of the
        ``leader``.
        """
        self._follows = True
        self._joins = leader

    def cut_at(self, time: float, keyed: bool) -> None:
        """A segment begins with the first sample, or key frame, from that time (s) on."""
        self._cut_at, self._cut_keyed = time, keyed

    def begin(self, tracks: Sequence[Mp4Track]) -> None:
        """These tracks come from now on, the first of which leads; what was before does not lead up to it."""
        self.flush()
        data = init_segment(tracks)
        if self._init < 0 or data != self._shelf.inits.get(self._init):
            self._init += 1
            self._shelf.keep_init(self._init, data)
        self._broken = self._shelf.next > FIRST
        leader = tracks[0]
        self._lead_id, scale = leader.track_id, leader.timescale
        self._lead_scale = scale
        self._followers = {track.track_id: _Follower(track) for track in tracks[1:]}
        plan = self._plan
        self._part = round(plan.part * scale)
        self._target = int(plan.part_target * scale)
        self._least = int(self._target * LEAST) + 1
        self._segment_begins = None
        self._starts, self._waits, self._cut_at = True, self._follows, None

    def hasten(self) -> None:
        """Somebody waits: what has come is a segment with the next frame, if players can begin with it. What
        follows up to the next key frame is another, without one.
        """
        self._hasty = True
        self._shelf.independent = False

    def add_event(self, box: bytes) -> None:
        """A whole emsg box, for the part in the making; what is too much is left out."""
        if len(self._events) < _MOST_EVENTS:
            self._events.append(box)

    def lead(self, time: int, sample: Sample) -> None:
        """The next sample of the leader."""
        if self._samples and time != self._ends:
            self._end_part()
        if self._waits:
            if self._cut_at is None or not self._is_due(time, sample):
                return
            self._waits = False
        if self._segment_due(time, sample) or (self._hasty and self._enough_to_begin()):
            self._end_segment(time)
            self._hasty = False
        elif self._too_long(time + sample.duration):
            if not sample.is_sync:
                self._stats.long_gops += 1
                self.long_gops += 1
            self._end_segment(time)
        if self._segment_begins is None:
            self._begin_segment(time, independent=sample.is_sync)
        if self._target:
            self._add_to_part(time, sample)
        else:
            self._append(time, sample)
            if self._ends - self._begins >= self._lead_scale:
                self._end_part()
        self._bound()

    def follow(self, track_id: int, time: int, sample: Sample) -> None:
        """The next sample of another track."""
        follower = self._followers[track_id]
        follower.add(time, sample)
        begins = self._ends / self._lead_scale
        if self._waits:
            follower.forget_before(time / follower.timescale - 0.5 * _SILENT)
        if self._segment_begins is None:
            begins = follower.samples[0][0] / follower.timescale
        now = (time + sample.duration) / follower.timescale
        if now - begins > _SILENT:
            self._go_on_without(now)
        elif follower.held_bytes >= _MOST_PART:
            self._stats.overfull[Overfull.OTHERS] += 1
            follower.clear()

    def flush(self) -> None:
        """Nothing more comes for now: what there is, is the end of a segment."""
        if self._segment_begins is not None:
            self._end_part()
            self._shelf.end()
            self._stats.segments += 1
            self._segment_begins = None
        for follower in self._followers.values():
            follower.clear()

    # Inside

    def _segment_due(self, time: int, sample: Sample) -> bool:
        """Whether a segment ends before this sample."""
        begins = self._segment_begins
        if begins is None:
            return False
        if self._follows:
            return self._is_due(time, sample)
        if not sample.is_sync:
            return False
        # Who has had to wait for a key frame waits for this one.
        return not self._keyed or time - begins >= _NEARLY * self._plan.segment * self._lead_scale

    def _is_due(self, time: int, sample: Sample) -> bool:
        """Whether this is the sample that ``cut_at`` means: as near to its time as any, or behind it."""
        if self._cut_at is None or not (sample.is_sync or not self._cut_keyed):
            return False
        return time + sample.duration // 2 >= self._cut_at * self._lead_scale

    def _too_long(self, end: int) -> bool:
        """Whether a segment that went on to ``end`` would be longer than any may be."""
        begins = self._segment_begins
        if begins is None or begins == self._ends:
            return False
        return end - begins >= (self._plan.target_duration + 0.49) * self._lead_scale

    def _enough_to_begin(self) -> bool:
        """Whether players can begin with the segment in the making."""
        begins = self._segment_begins
        least = self._plan.part_hold_back or 1.0
        return begins is not None and self._ends - begins >= least * self._lead_scale

    def _begin_segment(self, time: int, *, independent: bool) -> None:
        seconds = time / self._lead_scale
        if self._joins is not None:
            self._shelf.join(max(self._joins.next - 1, FIRST), self._joins.breaks)
            self._joins = None
        date = min(seconds + self.unix_offset, _LAST_DATE)
        self._shelf.begin(date, self._init, discontinuity=self._broken, independent=independent)
        self._broken = False
        if self._starts:
            self._starts = False
            for follower in self._followers.values():
                follower.forget_before(seconds)
        self._segment_begins = self._begins = self._ends = time
        self._cut_at, self._keyed = None, independent
        if self.cut is not None:
            self.cut(seconds, independent)

    def _end_segment(self, time: int) -> None:
        self._end_part(time)
        self._shelf.end()
        self._stats.segments += 1
        self._segment_begins = None

    def _add_to_part(self, time: int, sample: Sample) -> None:
        lasted = self._ends - self._begins if self._samples else 0
        if lasted + sample.duration > self._target and lasted >= self._least:
            self._end_part()
            lasted = 0
        if lasted + sample.duration > self._target:
            # The next frame is late: the part does not wait for it.
            self._stats.gaps += 1
            self._append(time, sample._replace(duration=max(self._part - lasted, 1)))
            self._end_part()
            return
        self._append(time, sample)
        lasted += sample.duration
        if lasted >= self._least and lasted + round(self._plan.frame * self._lead_scale) > self._target:
            self._end_part()

    def _append(self, time: int, sample: Sample) -> None:
        if not self._samples:
            self._begins = time
        self._samples.append(sample)
        self._samples_bytes += cost(sample)
        self._ends = time + sample.duration

    def _bound(self) -> None:
        """Whatever their times are, parts and segments do not grow for ever."""
        if self._samples_bytes >= _MOST_PART:
            self._stats.overfull[Overfull.PART] += 1
            self._end_part()
        segment = self._shelf.open
        if segment is not None and segment.size >= _MOST_SEGMENT:
            self._stats.overfull[Overfull.SEGMENT] += 1
            self._end_segment(self._ends)

    def _go_on_without(self, now: float) -> None:
        """The leader is silent, and others are not."""
        scale = self._lead_scale
        step = self._part or scale
        if self._segment_begins is None:
            self._begin_segment(self._first_waiting(), independent=False)
        self._end_part()
        while self._ends / scale < now - 1.0 and (first := self._first_waiting()) >= 0:
            begins = self._segment_begins
            # What nobody has sent anything for is no part, or one message might ask for any number of them.
            hole = first >= self._ends + step
            if begins is not None and (
                hole or self._ends + step - begins > (self._plan.target_duration + 0.49) * scale
            ):
                self._end_segment(self._ends)
            if hole:
                self._broken, self._ends = True, first
            if self._segment_begins is None:
                self._begin_segment(self._ends, independent=False)
            self._begins, self._ends = self._ends, self._ends + step
            self._write(self._runs(self._ends), step, independent=False)

    def _first_waiting(self) -> int:
        """The time of the first sample of others that waits, in units of the leader; -1 if none does."""
        waiting = [each.samples[0][0] / each.timescale for each in self._followers.values() if each.samples]
        return int(min(waiting) * self._lead_scale) if waiting else -1

    def _end_part(self, time: int | None = None) -> None:
        """With what others have sent up to ``time``, or to its end."""
        samples = self._samples
        if not samples:
            return
        runs = self._runs(self._ends if time is None else time)
        runs.insert(0, Run(self._lead_id, self._begins, samples))
        self._samples, self._samples_bytes = [], 0
        self._write(runs, self._ends - self._begins, independent=samples[0].is_sync)

    def _runs(self, until: int) -> list[Run]:
        seconds = until / self._lead_scale
        found = [follower.take(seconds) for follower in self._followers.values()]
        return [run for run in found if run is not None]

    def _write(self, runs: Sequence[Run], lasted: int, *, independent: bool) -> None:
        if not runs:
            return
        self._fragments += 1
        data = fragment(self._fragments, runs, b"".join(self._events))
        self._events.clear()
        self._stats.parts += 1
        self._shelf.add_part(data, lasted / self._lead_scale, independent=independent)
