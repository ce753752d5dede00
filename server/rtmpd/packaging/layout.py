"""Which tracks of a stream make which renditions, and where each frame goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from math import inf
from typing import Final

from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.media.captions import captions_in
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.media.mp4_feed import Timed
from rtmpd.media.timed_metadata import event_box
from rtmpd.media.track_names import Picture, name_pictures
from rtmpd.packaging.feeds import Source
from rtmpd.packaging.multivariant import Sound, Variant
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.stats import HlsStats, Overfull, cost

_SILENT: Final = 3.0
"""Seconds after which nobody waits for the first rendition any more."""
_MOST_BYTES: Final = 16 * 1024 * 1024
"""What the frames of one may cost that wait for it."""
_LOOKS: Final = 300
"""Frames that are looked at for captions; of later ones key frames alone are."""
MAIN: Final = "main"
"""The rendition of a stream with one track of a medium: both in one."""


class Output:
    """A rendition, and the tracks that it is made of: the first that flows leads."""

    def __init__(self, rendition: Rendition, wanted: Sequence[Source]) -> None:
        self.rendition = rendition
        self.wanted = wanted
        self.tracks: dict[Source, Mp4Track] = {}
        """Those that flow, in the order of ``wanted``."""
        self.waiting: deque[tuple[Source, Timed]] = deque()
        """Frames that are later than any of the output that it follows."""
        self._waiting_bytes = 0
        """What they cost."""

    def choose(self, there: dict[Source, Mp4Track]) -> None:
        """Go on with what is there: of a track that is not, the first of its medium takes the place."""
        self.tracks = {}
        for source in self.wanted:
            if source not in there:
                others = [each for each in there if each.kind == source.kind]
                if not others:
                    continue
                source = min(others)
            self.tracks[source] = there[source]

    def begin(self) -> None:
        """What comes does not follow on what came."""
        if self.tracks:
            self.rendition.segmenter.begin(list(self.tracks.values()))

    @property
    def held_bytes(self) -> int:
        """What its frames cost that are in no part yet."""
        return self._waiting_bytes + self.rendition.segmenter.held_bytes

    def wait(self, source: Source, timed: Timed) -> bool:
        """Keep a frame for ``catch_up``; False if no more may wait."""
        self.waiting.append((source, timed))
        self._waiting_bytes += cost(timed.sample)
        return self._waiting_bytes < _MOST_BYTES

    def catch_up(self, until: float) -> None:
        """Place what waits and is before that time (s)."""
        waiting = self.waiting
        while waiting and waiting[0][1].decode_time < until * waiting[0][1].track.timescale:
            source, timed = waiting.popleft()
            self._waiting_bytes -= cost(timed.sample)
            self.place(source, timed)

    def lacks(self, source: Source) -> bool:
        """Whether nothing of this track's medium flows, and something is wanted."""
        kinds = {each.kind for each in self.tracks}
        return source.kind not in kinds and any(each.kind == source.kind for each in self.wanted)

    def place(self, source: Source, timed: Timed) -> None:
        """A frame of one of its tracks."""
        track = self.tracks.get(source)
        if timed.track is not track and timed.track != track:
            there = self.tracks | {source: timed.track}
            self.tracks = {each: there[each] for each in sorted(there, key=lambda each: -each.kind)}
            self.begin()
        segmenter = self.rendition.segmenter
        if source == next(iter(self.tracks)):
            segmenter.lead(timed.decode_time, timed.sample)
        else:
            segmenter.follow(timed.track.track_id, timed.decode_time, timed.sample)


class Layout:
    """All renditions of a stream. Which there are is decided once."""

    def __init__(self, outputs: Sequence[Output], stats: HlsStats) -> None:
        self._outputs = outputs
        self._stats = stats
        self._routes: dict[Source, list[Output]] = {}
        self._pictures = [each for each in outputs if each.wanted[0].kind == VIDEO]
        self._sounds = [each for each in outputs if each not in self._pictures]
        self.captions: set[str] = set()
        """What the pictures of the first rendition carry."""
        self._looks = _LOOKS
        self._events = 0
        self._leader, *others = [*self._pictures, *self._sounds]
        self._followers = [each for each in outputs if each in others]
        for each in self._followers:
            each.rendition.segmenter.follow_cuts()
        self._leader.rendition.segmenter.cut = self._cut

    @property
    def renditions(self) -> list[Rendition]:
        """In the order of their tracks, video first."""
        return [each.rendition for each in self._outputs]

    def begin(self, frames: Iterable[tuple[Source, Timed]], unix_offset: float) -> None:
        """Go on with these frames, which do not follow on what came; ``unix_offset`` as of ``Segmenter``."""
        there: dict[Source, Mp4Track] = {}
        for source, timed in frames:
            there.setdefault(source, timed.track)
        self._routes.clear()
        for each in self._outputs:
            each.rendition.segmenter.unix_offset = unix_offset
            each.choose(there)
            each.begin()
            for source in each.tracks:
                self._routes.setdefault(source, []).append(each)

    def begin_anew(self) -> None:
        """The same tracks go on, but what comes does not follow on what came."""
        for each in self._outputs:
            each.catch_up(inf)
            each.begin()

    def place(self, source: Source, timed: Timed) -> None:
        """A frame, for all who have its track."""
        outputs = self._routes.get(source)
        if outputs is None:
            outputs = [each for each in self._outputs if each.lacks(source)]
            self._routes[source] = outputs
        for each in outputs:
            if each is self._leader:
                if source.kind == VIDEO and (self._looks or timed.sample.is_sync):
                    self._look_for_captions(timed)
                each.place(source, timed)
            elif not each.wait(source, timed):
                self._stats.overfull[Overfull.TURN] += 1
                each.catch_up(inf)
        if self._followers:
            # So that they know where a segment begins before they get there.
            ends = self._leader.rendition.segmenter.ends
            late = timed.decode_time / timed.track.timescale - _SILENT
            for each in self._followers:
                each.catch_up(max(ends, late))

    @property
    def held_bytes(self) -> int:
        """What frames cost that are in no part yet."""
        return sum([each.held_bytes for each in self._outputs])

    @property
    def long_gops(self) -> int:
        """Segments of the first rendition that begin without a key frame, because none came in time."""
        return self._leader.rendition.segmenter.long_gops

    def flush(self) -> None:
        """Nothing follows on what has come."""
        for each in self._outputs:
            each.catch_up(inf)
            each.rendition.segmenter.flush()

    def hasten(self) -> None:
        """See ``Segmenter.hasten``."""
        self._leader.rendition.segmenter.hasten()

    def add_event(self, time: int, name: str, text: str) -> None:
        """Something is said at ``time`` (ms), by whatever ``name``."""
        self._events += 1
        box = event_box(self._events, 1000, time, name, text)
        for each in self._pictures or self._sounds[:1]:
            each.rendition.segmenter.add_event(box)

    def _look_for_captions(self, timed: Timed) -> None:
        self._looks = max(self._looks - 1, 0)
        self.captions |= captions_in(timed.track.codec, timed.sample.data)

    def _cut(self, time: float, keyed: bool) -> None:
        for each in self._followers:
            each.rendition.segmenter.cut_at(time, keyed)

    # What the multivariant playlist says

    def variants(self) -> list[Variant]:
        """Renditions with video, or the first without."""
        return [_variant(each) for each in self._pictures or self._sounds[:1]]

    def sounds(self) -> list[Sound]:
        """Audio renditions beside them."""
        if not self._pictures and len(self._sounds) == 1:
            return []
        found: list[Sound] = []
        for number, each in enumerate(self._sounds, 1):
            track = next(iter(each.tracks.values()), None)
            if track is not None:
                peak, mean = each.rendition.shelf.rates
                label, first = f"Audio {number}", number == 1
                found.append(
                    Sound(each.rendition.name, label, track.codec, peak, mean, track.channels, first)
                )
        return found


def lay_out(
    frames: Iterable[tuple[Source, Timed]],
    make: Callable[[str, Source], Rendition],
    stats: HlsStats,
    left_out: Container[Source] = (),
) -> Layout:
    """The renditions of a stream with these tracks, but for those ``left_out``.

    ``make(name, source)`` makes one that is led by a track.
    """
    tracks: dict[Source, Mp4Track] = {}
    for source, timed in frames:
        if source not in left_out:
            tracks.setdefault(source, timed.track)
    pictures = sorted([source for source in tracks if source.kind == VIDEO])
    sounds = sorted([source for source in tracks if source.kind == AUDIO])
    if len(pictures) <= 1 and len(sounds) <= 1:
        both = [*(pictures or [Source(VIDEO, 0)]), *(sounds or [Source(AUDIO, 0)])]
        return Layout([Output(make(MAIN, (pictures or sounds)[0]), both)], stats)
    shown = [(source.track, tracks[source]) for source in pictures]
    names = name_pictures([Picture(track, of.width, of.height, of.frame_rate) for track, of in shown])
    outputs = [Output(make(names[source.track], source), [source]) for source in pictures]
    for number, source in enumerate(sounds, 1):
        outputs.append(Output(make("audio" if number == 1 else f"audio-{number}", source), [source]))
    return Layout(outputs, stats)


def _codecs(output: Output) -> tuple[str, ...]:
    return tuple([track.codec for track in output.tracks.values()])


def _variant(output: Output) -> Variant:
    rendition = output.rendition
    picture = next((track for track in output.tracks.values() if track.kind == VIDEO), None)
    peak, mean = rendition.shelf.rates
    if picture is None:
        return Variant(rendition.name, _codecs(output), peak, mean)
    return Variant(
        rendition.name,
        _codecs(output),
        peak,
        mean,
        picture.width,
        picture.height,
        1.0 / rendition.plan.frame,
    )
