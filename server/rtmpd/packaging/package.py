"""HLS of one stream: a packet sink that cuts what it takes, for as long as somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import DATA, SWITCH, VIDEO, Packet
from rtmpd.engine.packet_queue import Item, Mark
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, TapOptions
from rtmpd.media.mp4_feed import Timed
from rtmpd.packaging.feeds import Feeds, Source
from rtmpd.packaging.gathering import Gathering
from rtmpd.packaging.layout import Layout, lay_out
from rtmpd.packaging.multivariant import write_multivariant
from rtmpd.packaging.plan import Plan, make_plan
from rtmpd.packaging.rendition import Rendered, Rendition, render
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stats import HlsStats

_TAP: Final = TapOptions(delay=None)


class Surroundings(NamedTuple):
    """What all packages have in common."""

    registry: Registry
    stats: HlsStats
    clock: Callable[[], float]
    unix_time: Callable[[], float]


class Package:
    """Of one stream, as its players see it: with its delay, its slates and its holds."""

    def __init__(
        self, around: Surroundings, key: StreamKey, rules: HlsRules, run: str, *, asked: bool
    ) -> None:
        """``run`` names this package in those of its files. ``asked``: somebody waits for it."""
        self.key = key
        self.rules = rules
        self.over = False
        """Nothing is here any more: who asks for the stream finds another one."""
        self._around = around
        self._run = run
        self._asked = asked
        self._wanted_at = around.clock()
        self._feeds = Feeds()
        self._gathering: Gathering | None = Gathering(paced=False)
        self._layout: Layout | None = None
        self._renditions: dict[str, Rendition] = {}
        self._plan: Plan | None = None
        self._multivariant: dict[str, Rendered] = {}
        self._waiting: dict[int, Callable[[], None]] = {}
        self._waiter = 0
        self._ready = False
        self._ended_at: float | None = None
        self.ended = False
        """Its playlists say so; what comes of the stream later is another package's."""
        self._corrections = self._jumps = 0
        self.held_bytes = 0
        """What the budget is charged."""
        around.stats.packages += 1
        around.stats.packages_total += 1
        self._tap = around.registry.tap(key, self, _TAP, self._wanted_at)
        self.ready()

    # Those who ask

    def wanted(self, now: float) -> None:
        """Somebody asks: it goes on."""
        self._wanted_at = now

    def multivariant(self, query: str = "") -> Rendered | None:
        """The playlist of all renditions, with ``query`` behind each URI; None until there is one."""
        if not self._ready or self.over:
            return None
        rendered = self._multivariant.get(query)
        if rendered is None:
            rendered = render(self._write_multivariant(query))
            if not query:
                self._multivariant[query] = rendered
        return rendered

    def on_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called once there is a multivariant playlist, or will be none; call what is
        returned to hear nothing."""
        self._waiter += 1
        number = self._waiter
        self._waiting[number] = callback
        return lambda: (self._waiting.pop(number, None), None)[1]

    def rendition(self, name: str) -> Rendition | None:
        """A rendition by its name."""
        return self._renditions.get(name)

    @property
    def renditions(self) -> Iterable[Rendition]:
        """All there are."""
        return self._renditions.values()

    def owner(self, name: str) -> Rendition | None:
        """The rendition to which a file of that name belongs."""
        stem, run, _ = name.partition(f"_{self._run}_")
        return self._renditions.get(stem) if run else None

    def file(self, name: str) -> bytes | None:
        """An init segment, a segment or a part by its name, if it is in memory."""
        owner = self.owner(name)
        return None if owner is None else owner.file(name)

    def expects(self, name: str) -> bool:
        """Whether that file is the part that comes next."""
        owner = self.owner(name)
        return owner is not None and owner.expects(name)

    # The stream

    def ready(self) -> None:
        """Take what is there."""
        while items := self._tap.take():
            for item in items:
                self._take(item)
        self._settle()

    def close(self, _reason: CloseReason) -> None:
        """The engine has ended the tap."""
        self.drop()

    # Whoever has all of them

    def look(self, now: float, *, kept: bool) -> None:
        """End what is over; call it about once a second. ``kept``: it goes on though nobody asks."""
        ended = self._ended_at
        if ended is not None and not self.ended and now - ended >= self.rules.grace:
            self._end()
        if not kept and now - self._wanted_at >= self.rules.idle:
            self.drop()

    def give_back(self) -> bool:
        """Memory is short: give up the oldest segments; False where none can be."""
        found = [rendition.shelf.give_back() for rendition in self._renditions.values()]
        self._around.stats.relieved += sum(found)
        for rendition in self._renditions.values():
            rendition.changed()
        return any(found)

    def drop(self) -> None:
        """Take nothing more and forget everything."""
        if not self.over:
            self.over = True
            self._around.stats.packages -= 1
            self._tap.detach()
            for rendition in self._renditions.values():
                rendition.drop()
            self._tell_waiting()

    # Inside: what comes

    def _take(self, item: Item) -> None:
        if isinstance(item, Mark):
            self._pass(item)
        elif item.kind == DATA:
            if item.flags & SWITCH:
                self._break()
        else:
            self._take_media(item)

    def _take_media(self, packet: Packet) -> None:
        self._ended_at = None
        found = self._feeds.take(packet)
        if found is not None:
            self._place(*found)
        if self._feeds.jumps != self._jumps:
            self._jumps = self._feeds.jumps
            if self._gathering is None and self._layout is not None:
                self._layout.begin_anew()

    def _pass(self, mark: Mark) -> None:
        match mark:
            case Mark.STARTED:
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
        self._gathering = Gathering(paced=self._plan is not None)

    def _place(self, source: Source, timed: Timed) -> None:
        """Give a frame to whom it is for."""
        gathering = self._gathering
        if gathering is not None:
            gathering.add(source, timed)
        elif self._layout is not None:
            self._layout.place(source, timed)

    def _settle(self) -> None:
        """A batch has been taken."""
        gathering = self._gathering
        if gathering is not None and gathering.enough(self._feeds.announced):
            self._begin()
        now = self._around.clock()
        changed = [rendition.settle(now) for rendition in self._renditions.values()]
        corrections = self._feeds.corrections
        self._around.stats.corrections += corrections - self._corrections
        self._corrections = corrections
        if any(changed):
            self._multivariant.clear()
            if not self._ready and all(rendition.begun for rendition in self._renditions.values()):
                self._ready = True
                self._tell_waiting()

    # Inside: how it is cut

    def _begin(self) -> None:
        """Go on with what has been gathered."""
        gathering, self._gathering = self._gathering, None
        if gathering is None or not gathering.frames:
            return
        if self._layout is None:
            self._lay_out(gathering)
        layout = self._layout
        if layout is None:
            return
        offset = self._around.unix_time() - self._feeds.time.latest / 1000
        layout.begin(gathering.frames, offset)
        for source, timed in gathering.frames:
            layout.place(source, timed)

    def _lay_out(self, gathering: Gathering) -> None:
        rules = self.rules
        leader = gathering.leader
        key_frames = self._key_frame_interval() if leader.kind == VIDEO else 0.0
        self._plan = plan = make_plan(gathering.frame_time, rules.part, rules.segment, key_frames)

        def make(name: str) -> Rendition:
            return Rendition(name, self._run, plan, rules.window, self._around.stats, self._charge)

        self._layout = lay_out(gathering.frames, make)
        self._renditions = {rendition.name: rendition for rendition in self._layout.renditions}
        if self._asked:
            self._layout.hasten()
        for rendition in self._layout.renditions:
            rendition.others = [each for each in self._layout.renditions if each is not rendition]

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
        if not self._ready:
            self.drop()

    def _write_multivariant(self, query: str) -> str:
        layout = self._layout
        if layout is None:
            return ""
        return write_multivariant(layout.variants(), layout.sounds(), (), query)

    def _charge(self, size: int) -> None:
        self.held_bytes += size
        self._around.stats.held_bytes += size
        self._around.registry.budget.charge_queues(size)

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for callback in waiting.values():
            callback()
