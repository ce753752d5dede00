"""HLS of one stream: a packet sink that cuts what it takes, for as long as somebody asks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import DATA, STREAM_METADATA, SWITCH, VIDEO, Packet
from rtmpd.engine.packet_queue import Item, Mark
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, TapOptions
from rtmpd.media.mp4_feed import Timed
from rtmpd.media.timed_metadata import timed_metadata
from rtmpd.net.scratch import Scratch
from rtmpd.packaging.feeds import Encoder, Feeds, Source, read_encoder
from rtmpd.packaging.folder import StreamFolder
from rtmpd.packaging.gathering import Gathering
from rtmpd.packaging.layout import Layout, lay_out
from rtmpd.packaging.multivariant import Member, Sound, Variant, write_multivariant
from rtmpd.packaging.newcomers import Newcomers
from rtmpd.packaging.package import Package, Waiting
from rtmpd.packaging.plan import Plan, key_frame_patience, make_plan
from rtmpd.packaging.rendered import Rendered, render
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stats import HlsStats, Overfull

_logger = logging.getLogger(__name__)

_TAP: Final = TapOptions(delay=None)


class Surroundings(NamedTuple):
    """What all packages have in common."""

    registry: Registry
    stats: HlsStats
    clock: Callable[[], float]
    unix_time: Callable[[], float]
    scratch: Scratch
    """Room on a drive, if it has any."""
    folder: Callable[[StreamKey, HlsRules, str], StreamFolder | None]
    """Where the stream is in files besides, by the name of the run."""


class StreamPackage(Package):
    """Of one stream, as its players see it: with its delay, its slates and its holds."""

    def __init__(
        self, around: Surroundings, key: StreamKey, rules: HlsRules, run: str, *, asked: bool
    ) -> None:
        """``run`` names this package in those of its files. ``asked``: somebody waits for it."""
        super().__init__(key)
        self.rules = rules
        self._around = around
        self._run = run
        self._asked = asked
        self._wanted_at = around.clock()
        self._feeds = Feeds()
        self._gathering: Gathering | None = Gathering(paced=False)
        self._layout: Layout | None = None
        self._newcomers = Newcomers(self._make, rules, around.stats)
        self._renditions: dict[str, Rendition] = {}
        self._multivariant: dict[str, Rendered] = {}
        self._waiting = Waiting()
        self.ready_at: float | None = None
        """Since when there is a multivariant playlist."""
        self._ended_at: float | None = None
        self.ended = False
        """Its playlists say so; what comes of the stream later is another package's."""
        self._corrections = self._jumps = 0
        self._encoder = Encoder()
        self._told: set[Source] = set()
        self._long_gops = 0
        self.held_bytes = 0
        """What the budget is charged for segments, and for frames that are in none yet:"""
        self._pending_bytes = 0
        self._folder = around.folder(key, rules, run)
        around.stats.packages += 1
        around.stats.packages_total += 1
        self._tap = around.registry.tap(key, self, _TAP, self._wanted_at)
        self.ready()

    # Those who ask

    def wanted(self, now: float) -> None:
        self._wanted_at = now

    def multivariant(self, query: str = "") -> Rendered | None:
        if self.ready_at is None or self.over:
            return None
        rendered = self._multivariant.get(query)
        if rendered is None:
            rendered = render(write_multivariant([Member("", *self.told())], query))
            if not query:
                self._multivariant[query] = rendered
        return rendered

    def told(self) -> tuple[Sequence[Variant], Sequence[Sound], Sequence[str]]:
        """What a multivariant playlist says: variants, further sound, and captions."""
        layout = self._layout
        if layout is None:
            return (), (), ()
        return layout.variants(), layout.sounds(), sorted(layout.captions)

    def on_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._waiting.add(callback)

    def rendition(self, playlist: str) -> Rendition | None:
        found = self._renditions.get(playlist.partition(f"_{self._run}.")[0])
        return found if found is not None and found.names.playlist == playlist else None

    @property
    def renditions(self) -> Iterable[Rendition]:
        """All there are."""
        return self._renditions.values()

    def owner(self, name: str) -> Rendition | None:
        stem, run, _ = name.partition(f"_{self._run}_")
        return self._renditions.get(stem) if run else None

    # The stream

    def ready(self) -> None:
        """Take what is there."""
        while items := self._tap.take():
            for item in items:
                self._take(item)
        self._settle()
        self._charge_pending()

    def close(self, _reason: CloseReason) -> None:
        """The engine has ended the tap."""
        self.drop()

    # Whoever has all of them

    def look(self, now: float, *, kept: bool) -> None:
        """End what is over; call it about once a second. ``kept``: it goes on though nobody asks."""
        ended = self._ended_at
        if ended is not None and not self.ended and now - ended >= self.rules.grace:
            self._end()
        if any(rendition.awaited for rendition in self._renditions.values()):
            self._wanted_at = now
        since = self._wanted_at
        if self.ended and ended is not None and self._folder is not None:
            since = max(since, ended + self.rules.window)
        if not kept and now - since >= self.rules.idle:
            self.drop()

    def give_back(self) -> bool:
        """Memory is short: give up the oldest segments; False where none can be."""
        found = [rendition.shelf.give_back() for rendition in self._renditions.values()]
        self._around.stats.relieved += sum(found)
        for rendition in self._renditions.values():
            rendition.changed()
        return any(found)

    def drop(self) -> None:
        if not self.over:
            self.over = True
            self._around.stats.packages -= 1
            self._tap.detach()
            self._feeds.forget()
            self._newcomers.forget()
            self._gathering = self._layout = None
            for rendition in self._renditions.values():
                rendition.drop()
            self._charge_pending()
            if self._folder is not None:
                self._folder.remove()
            self._waiting.call()

    # Inside: what comes

    def _take(self, item: Item) -> None:
        if isinstance(item, Mark):
            self._pass(item)
        elif item.kind == DATA:
            self._take_data(item)
        else:
            self._take_media(item)

    def _take_media(self, packet: Packet) -> None:
        found = self._feeds.take(packet)
        if found is not None:
            self._place(*found)
        if self._feeds.jumps != self._jumps:
            self._jumps = self._feeds.jumps
            if self._gathering is None and self._layout is not None:
                self._layout.begin_anew()

    def _take_data(self, packet: Packet) -> None:
        if packet.flags & SWITCH:
            self._break()
        elif packet.flags & STREAM_METADATA:
            self._encoder = read_encoder(packet.payload)
        elif self.rules.timed_metadata and self._layout is not None:
            told = timed_metadata(packet.payload)
            if told is not None:
                self._layout.add_event(self._feeds.place(packet.timestamp), *told)

    def _pass(self, mark: Mark) -> None:
        match mark:
            case Mark.STARTED:
                self._ended_at = None
                self._break()
                self._feeds.forget()
            case Mark.SWITCHED | Mark.GAP:
                self._break()
            case Mark.ENDED:
                self._break()
                self._ended_at = self._around.clock()

    def _break(self) -> None:
        """What comes next does not follow on what came last."""
        for source, timed in self._feeds.flush():
            self._place(source, timed)
        if self._gathering is not None:
            self._begin()
        if self._layout is not None:
            self._layout.flush()
        for rendition in self._renditions.values():
            rendition.pause()
        self._newcomers.forget()
        self._gathering = Gathering(paced=self._layout is not None)

    def _place(self, source: Source, timed: Timed) -> None:
        """Give a frame to whom it is for."""
        gathering = self._gathering
        if gathering is not None:
            gathering.add(source, timed)
            if gathering.overfull:
                self._around.stats.overfull[Overfull.GATHERING] += 1
                self._begin()
        elif self._layout is not None:
            if self._newcomers.meet(self._layout, self._encoder, source, timed):
                self._introduce(self._layout)
            self._layout.place(source, timed)

    def _settle(self) -> None:
        """A batch has been taken."""
        gathering = self._gathering
        if gathering is not None and self._knows_enough(gathering):
            self._begin()
        self._warn()
        now = self._around.clock()
        changed = [rendition.settle(now) for rendition in self._renditions.values()]
        corrections = self._feeds.corrections
        self._around.stats.corrections += corrections - self._corrections
        self._corrections = corrections
        if any(changed):
            self._multivariant.clear()
            if self._layout is not None:
                self._layout.promote()
            if self.ready_at is None and all(rendition.begun for rendition in self._renditions.values()):
                self.ready_at = now
                self._waiting.call()
            self._write_files()

    def _warn(self) -> None:
        """Tell once what its viewers will notice."""
        key, refused, layout = self.key, self._feeds.refused, self._layout
        for source, problem in refused.items():
            if source not in self._told:
                self._told.add(source)
                fields = {
                    "app": key.app,
                    "stream": key.name,
                    "medium": "video" if source.kind == VIDEO else "audio",
                    "track": source.track,
                    "problem": problem,
                }
                _logger.warning("track left out of HLS", extra={"fields": fields})
        if self._gathering is not None and refused and not self._feeds.announced:
            self.problem = " ".join(f"{problem}." for problem in refused.values())
            self._end()
        elif layout is not None and layout.long_gops != self._long_gops:
            more, self._long_gops = layout.long_gops - self._long_gops, layout.long_gops
            stream = self._around.registry.streams.get(key)
            if stream is not None:
                stream.stats.keyless_segments += more

    def _knows_enough(self, gathering: Gathering) -> bool:
        """Whether it is known of what the stream is, and how far apart its key frames are: of that playlists
        make a promise that holds for good.
        """
        if not gathering.enough(self._feeds.announced):
            return False
        known = gathering.leader.kind != VIDEO or self._key_frame_interval() is not None
        return known or self._layout is not None or gathering.lasted >= key_frame_patience(self.rules.segment)

    # Inside: how it is cut

    def _begin(self) -> None:
        """Go on with what has been gathered."""
        gathering, self._gathering = self._gathering, None
        if gathering is None or not gathering.frames:
            return
        begun = self._layout is not None
        layout = self._layout or self._lay_out(gathering)
        offset = self._around.unix_time() - self._feeds.time.latest / 1000
        layout.begin(gathering.frames, offset)
        hastes = gathering.last_of_leader if self._asked and not begun else -1
        for number, (source, timed) in enumerate(gathering.frames):
            if number == hastes:
                layout.hasten()
            layout.place(source, timed)

    def _lay_out(self, gathering: Gathering) -> Layout:
        leader = gathering.leader
        key_frames = self._key_frame_interval() if leader.kind == VIDEO else 0.0
        tracks = gathering.tracks_for(all_sounds=self._encoder.tells_all_sounds(self.rules.vod_track))
        rules = self.rules

        def make(name: str, source: Source) -> Rendition:
            frame = gathering.frame_time(source, self._encoder.frame_rate)
            return self._make(name, make_plan(frame, rules.part, rules.segment, key_frames))

        self._layout = layout = lay_out(tracks, make, self._around.stats)
        self._introduce(layout)
        return layout

    def _make(self, name: str, plan: Plan) -> Rendition:
        around = self._around
        return Rendition(name, self._run, plan, self.rules, around.stats, self._charge, around.scratch)

    def _introduce(self, layout: Layout) -> None:
        """Have all renditions know the others."""
        self._renditions = {rendition.name: rendition for rendition in layout.renditions}
        for rendition in layout.renditions:
            rendition.others = [each for each in layout.renditions if each is not rendition]

    def _key_frame_interval(self) -> float | None:
        stream = self._around.registry.streams.get(self.key)
        if stream is None or stream.stats.keyframe_interval_max_ms is None:
            return None
        return stream.stats.keyframe_interval_max_ms / 1000

    def _end(self) -> None:
        """The stream is over, and its playlists say so."""
        self.ended = True
        self._tap.detach()
        for rendition in self._renditions.values():
            rendition.end()
        self._write_files()
        if self.ready_at is None:
            self.drop()

    def _write_files(self) -> None:
        if self._folder is not None:
            index = self.multivariant()
            self._folder.settle(self._renditions.values(), b"" if index is None else index.plain)

    def _charge_pending(self) -> None:
        """Charge what frames cost that are in no part yet."""
        held = self._feeds.held_bytes
        for each in (self._gathering, self._newcomers, self._layout):
            if each is not None:
                held += each.held_bytes
        more, self._pending_bytes = held - self._pending_bytes, held
        if more:
            self._around.stats.pending_bytes += more
            self._around.registry.budget.charge_queues(more)

    def _charge(self, size: int) -> None:
        self.held_bytes += size
        self._around.stats.held_bytes += size
        self._around.registry.budget.charge_queues(size)
