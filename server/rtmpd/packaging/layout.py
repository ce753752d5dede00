"""Which tracks of a stream make which renditions, and where each frame goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Final

from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.media.captions import captions_in
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.media.mp4_feed import Timed
from rtmpd.media.timed_metadata import event_box
from rtmpd.media.track_names import Picture, name_pictures
from rtmpd.packaging.feeds import MAX_TRACKS, Source
from rtmpd.packaging.multivariant import Sound, Variant
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.stats import HlsStats, Overfull, cost

_SILENT: Final = 3.0
"""Seconds after which nobody waits for the first rendition any more, nor for a track that has ended."""
_MOST: Final = MAX_TRACKS + 1
"""Renditions: further tracks are left out."""
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
        self.told = True
        """A multivariant playlist has it."""

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

    @property
    def has_own(self) -> bool:
        """No other track stands in for the one that leads."""
        return self.wanted[0] in self.tracks

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
    """All renditions of a stream. What a playlist has named stays there; tracks that come later get more."""

    def __init__(self, outputs: Sequence[Output], stats: HlsStats) -> None:
        self._outputs = list(outputs)
        self._stats = stats
        self._routes: dict[Source, list[Output]] = {}
        self._newest: dict[Source, float] = {}
        """When the last frame of each track was (s)."""
        self.captions: set[str] = set()
        """What the pictures of the first rendition carry."""
        self._looks = _LOOKS
        self._events = 0
        self._coming: list[Output] | None = None
        """Those that are told of instead, once all of them have begun."""
        self._leader = (self._pictures or self._sounds)[0]
        self._followers = [each for each in outputs if each is not self._leader]
        for each in self._followers:
            each.rendition.segmenter.follow_cuts(self._leader.rendition.shelf)
        self._leader.rendition.segmenter.cut = self._cut

    @property
    def _pictures(self) -> list[Output]:
        """Those with video that are told of."""
        return [each for each in self._outputs if each.told and each.wanted[0].kind == VIDEO]

    @property
    def _sounds(self) -> list[Output]:
        return [each for each in self._outputs if each.told and each.wanted[0].kind != VIDEO]

    @property
    def renditions(self) -> list[Rendition]:
        """In the order of their tracks, video first."""
        return [each.rendition for each in self._outputs]

    def begin(self, frames: Iterable[tuple[Source, Timed]], unix_offset: float) -> None:
        """Go on with these frames, which do not follow on what came; ``unix_offset`` as of ``Segmenter``."""
        there: dict[Source, Mp4Track] = {}
        for source, timed in frames:
            there.setdefault(source, timed.track)
        self._newest.clear()
        for each in self._outputs:
            each.rendition.segmenter.unix_offset = unix_offset
            each.choose(there)
            each.begin()
        self._route()

    def begin_anew(self) -> None:
        """The same tracks go on, but what comes does not follow on what came."""
        for each in self._outputs:
            each.catch_up(inf)
            each.begin()

    @property
    def tracks(self) -> dict[Source, Mp4Track]:
        """All that some rendition has."""
        return {source: track for each in self._outputs for source, track in each.tracks.items()}

    def has_place(self, source: Source) -> bool:
        """Whether some rendition is to have a track."""
        return any(source in each.wanted or each.lacks(source) for each in self._outputs)

    def extend(self, tracks: Mapping[Source, Mp4Track], make: Callable[[str, Source], Rendition]) -> bool:
        """Make what there is to be of all these tracks, of which some have come later; what there was goes on
        for whoever has it. False if there are too many.
        """
        coming: list[Output] = []
        for name, wanted in _renditions_of(tracks):
            there = [each for each in self._outputs if list(each.wanted) == list(wanted)]
            if not there and len(self._outputs) >= _MOST:
                return False
            coming += there or [self._add(name, wanted, tracks, make)]
        self._coming = coming
        return True

    def promote(self) -> bool:
        """Tell of what has come later, as soon as all of it can be played; whether this is now."""
        coming = self._coming
        if coming is None or not all(each.rendition.begun for each in coming):
            return False
        self._coming = None
        for each in self._outputs:
            each.told = each in coming
        return True

    def place(self, source: Source, timed: Timed) -> None:
        """A frame, for all who have its track."""
        time = timed.decode_time / timed.track.timescale
        self._newest[source] = time
        if timed.sample.is_sync and len(self._newest) > 1:
            self._redirect(source, timed.track, time)
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
            late = time - _SILENT
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

    def _add(
        self,
        name: str,
        wanted: Sequence[Source],
        tracks: Mapping[Source, Mp4Track],
        make: Callable[[str, Source], Rendition],
    ) -> Output:
        """One more, which follows the first."""
        names = {each.rendition.name for each in self._outputs}
        added = Output(make(name if name not in names else f"{name}_{wanted[0].track}", wanted[0]), wanted)
        added.told = False
        segmenter, leader = added.rendition.segmenter, self._leader.rendition
        segmenter.unix_offset = leader.segmenter.unix_offset
        segmenter.follow_cuts(leader.shelf)
        added.tracks = {source: tracks[source] for source in wanted}
        added.begin()
        self._outputs.append(added)
        self._followers.append(added)
        self._route()
        return added

    def _redirect(self, source: Source, track: Mp4Track, time: float) -> None:
        """At a key frame: whoever has another track in place of this one goes on with it, and so does whoever
        has one that has ended. Renditions break off together, for players that change between them.
        """
        changed = False
        for each in self._outputs:
            now = next((other for other in each.tracks if other.kind == source.kind), source)
            if now == source:
                continue
            ended = time - self._newest.get(now, time) > _SILENT
            if ended or (source in each.wanted and now not in each.wanted):
                each.catch_up(inf)
                each.tracks = {other if other != now else source: of for other, of in each.tracks.items()}
                each.tracks[source] = track
                changed = True
        if changed:
            self._route()
            self.begin_anew()

    def _route(self) -> None:
        self._routes.clear()
        for each in self._outputs:
            for source in each.tracks:
                self._routes.setdefault(source, []).append(each)

    def _look_for_captions(self, timed: Timed) -> None:
        self._looks = max(self._looks - 1, 0)
        self.captions |= captions_in(timed.track.codec, timed.sample.data)

    def _cut(self, time: float, keyed: bool) -> None:
        for each in self._followers:
            each.rendition.segmenter.cut_at(time, keyed)

    # What the multivariant playlist says

    def variants(self) -> list[Variant]:
        """Renditions with video, or the first without."""
        own = [each for each in self._pictures if each.has_own]
        return [_variant(each) for each in own or self._pictures or self._sounds[:1]]

    def sounds(self) -> list[Sound]:
        """Audio renditions beside them."""
        if not self._pictures and len(self._sounds) == 1:
            return []
        found: list[Sound] = []
        for number, each in enumerate(self._sounds, 1):
            track = next(iter(each.tracks.values()), None)
            if track is not None:
                peak, mean = each.rendition.shelf.rates
                label, playlist = f"Audio {number}", each.rendition.names.playlist
                found.append(Sound(playlist, label, track.codec, peak, mean, track.channels, number == 1))
        return found


def lay_out(
    tracks: Mapping[Source, Mp4Track], make: Callable[[str, Source], Rendition], stats: HlsStats
) -> Layout:
    """The renditions of a stream with these tracks; ``make(name, source)`` makes one, led by a track."""
    return Layout([Output(make(name, of[0]), of) for name, of in _renditions_of(tracks)], stats)


def _renditions_of(tracks: Mapping[Source, Mp4Track]) -> list[tuple[str, Sequence[Source]]]:
    """What they are called, and which tracks they want."""
    pictures = sorted([source for source in tracks if source.kind == VIDEO])
    sounds = sorted([source for source in tracks if source.kind == AUDIO])
    if len(pictures) <= 1 and len(sounds) <= 1:
        return [(MAIN, [*(pictures or [Source(VIDEO, 0)]), *(sounds or [Source(AUDIO, 0)])])]
    shown = [(source.track, tracks[source]) for source in pictures]
    names = name_pictures([Picture(track, of.width, of.height, of.frame_rate) for track, of in shown])
    found: list[tuple[str, Sequence[Source]]] = [(names[source.track], [source]) for source in pictures]
    for number, source in enumerate(sounds, 1):
        found.append(("audio" if number == 1 else f"audio-{number}", [source]))
    return found


def _codecs(output: Output) -> tuple[str, ...]:
    return tuple([track.codec for track in output.tracks.values()])


def _variant(output: Output) -> Variant:
    rendition = output.rendition
    picture = next((track for track in output.tracks.values() if track.kind == VIDEO), None)
    peak, mean = rendition.shelf.rates
    if picture is None:
        return Variant(rendition.names.playlist, _codecs(output), peak, mean)
    return Variant(
        rendition.names.playlist,
        _codecs(output),
        peak,
        mean,
        picture.width,
        picture.height,
        1.0 / rendition.plan.frame,
    )
