"""Tracks that come when their stream is packaged already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rtmpd.engine.packet import AUDIO
from rtmpd.media.mp4_feed import Timed
from rtmpd.packaging.feeds import Encoder, Source
from rtmpd.packaging.gathering import Gathering
from rtmpd.packaging.layout import Layout
from rtmpd.packaging.plan import Plan, make_plan
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stats import HlsStats


class Newcomers:
    """Of one package; ``make(name, plan)`` makes a rendition."""

    def __init__(self, make: Callable[[str, Plan], Rendition], rules: HlsRules, stats: HlsStats) -> None:
        self._make = make
        self._rules = rules
        self._stats = stats
        self._gathering: Gathering | None = None
        """All frames since a track has come that no rendition has; None mostly."""
        self._ignored: set[Source] = set()
        """Tracks that get none."""

    @property
    def held_bytes(self) -> int:
        """What frames cost here."""
        return 0 if self._gathering is None else self._gathering.held_bytes

    def forget(self) -> None:
        """What comes does not follow on what came."""
        self._gathering = None

    def meet(self, layout: Layout, encoder: Encoder, source: Source, timed: Timed) -> bool:
        """Look at a frame; whether renditions have been added to the ``layout``."""
        gathering = self._gathering
        if gathering is None:
            if source in self._ignored or layout.has_place(source):
                return False
            if source.kind == AUDIO and not encoder.tells_all_sounds(self._rules.vod_track):
                self._ignored.add(source)
                return False
            self._stats.late_tracks += 1
            gathering = self._gathering = Gathering(paced=False)
        gathering.add(source, timed)
        if not gathering.told_of_all():
            return False
        self._gathering = None
        self._extend(layout, encoder, gathering)
        return True

    def _extend(self, layout: Layout, encoder: Encoder, gathering: Gathering) -> None:
        rules, first = self._rules, layout.renditions[0].plan
        come = gathering.tracks_for(all_sounds=encoder.tells_all_sounds(rules.vod_track))

        def make(name: str, source: Source) -> Rendition:
            frame = gathering.frame_time(source, encoder.frame_rate)
            plan = make_plan(frame, rules.part, rules.segment, 0.0)
            return self._make(name, replace(plan, target_duration=first.target_duration))

        if not layout.extend(layout.tracks | come, make):
            self._ignored.update(come)
