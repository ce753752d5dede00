"""One stream as fragments of MP4, made once for all who are sent the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from rtmpd.engine.broadcast import Broadcast
from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.key import StreamKey
from rtmpd.engine.mp4_wire import Mp4Wish, init_packet
from rtmpd.engine.packet import AUDIO, DIFFERS, VIDEO, Packet, payload_for
from rtmpd.engine.packet_queue import Item, Mark
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, TapOptions
from rtmpd.engine.tap import Tap
from rtmpd.media.fmp4 import init_segment
from rtmpd.media.mp4_entries import Mp4Track
from rtmpd.media.tags import CODED_FRAME, KEYFRAME
from rtmpd.packaging.cutting import Cutter, Fragment, Init
from rtmpd.packaging.fragment_stats import FragmentStats

_MEDIA: Final = (VIDEO, AUDIO)
_NAMES: Final = {VIDEO: "video", AUDIO: "audio"}


class Fragmenter:
    """Takes what players of a stream are sent, and shows an audience of its own what it makes of that."""

    def __init__(
        self,
        registry: Registry,
        key: StreamKey,
        wish: Mp4Wish,
        source: TapOptions,
        clock: Callable[[], float],
        new_timeline: Callable[[], str],
        stats: FragmentStats,
    ) -> None:
        """``source`` says whose packets it takes; ``new_timeline`` names each time that it begins."""
        self.key = key
        self.wish = wish
        self.problem = ""
        """Why nobody can be shown it, a sentence for people; empty if somebody can."""
        self.changing = False
        """Its audience is told of an end, behind which it goes on at once with another init segment."""
        self.over = False
        self.idle_since: float | None = None
        """Clock reading since which somebody has found that nobody is shown it."""
        self._clock = clock
        self._new_timeline = new_timeline
        self._timeline = ""
        self._stats = stats
        self._budget = registry.budget
        self._charged = 0
        self._kinds = (wish.only,) if wish.only else _MEDIA
        self._tap: Tap = registry.tap(key, self, source, clock())
        stream = registry.streams[key]
        self._source: Broadcast = stream.source(source)
        behind = self._source.seconds if isinstance(self._source, DelayedStream) else 0.0
        self._audience = stream.set_apart(behind, made=True)
        self._audience.feed(self._audience.finish)
        self._cutter = self._begin()
        self.ready()

    @property
    def number(self) -> int:
        """Of its audience, for ``PlayOptions.apart``."""
        return self._audience.number

    @property
    def watched(self) -> bool:
        """Somebody is shown it, or waits to be."""
        return self._audience.watched

    def ready(self) -> None:
        while items := self._tap.take():
            for item in items:
                self._take(item)
        held = self._cutter.held_bytes
        if held != self._charged:
            charge, self._charged = held - self._charged, held
            self._budget.charge_queues(charge)

    def close(self, reason: CloseReason) -> None:
        """Show nobody anything any more, who is there still is ended for ``reason``. Idempotent."""
        if self.over:
            return
        self.over = True
        self._tap.detach()
        self._budget.charge_queues(-self._charged)
        self._charged = 0
        for subscription in list(self._audience.subscriptions):
            subscription.close(reason)
        self._audience.finish()
        self._audience.feed(None)

    # Inside

    def _begin(self) -> Cutter:
        self.problem = ""
        self._timeline = self._new_timeline()
        return Cutter(self._kinds, self.wish.part, self._expects, self._stats.corrections)

    def _expects(self, kind: int) -> bool:
        headers = self._source.headers
        return headers.announces(kind) and headers.withheld != kind

    def _take(self, item: Item) -> None:
        match item:
            case Packet():
                payload: bytes | None = item.payload
                if item.flags & DIFFERS:
                    payload = payload_for(item, self.wish.tracks) if item.kind in self._kinds else None
                if payload:
                    self._show(self._cutter.take(item.kind, item.timestamp, payload, item.flags))
                    self._look_at_problem()
            case Mark.STARTED:
                self._cutter = self._begin()
            case Mark.ENDED:
                self._show(self._cutter.finish())
                self._audience.finish()

    def _show(self, made: list[Init | Fragment]) -> None:
        for each in made:
            if isinstance(each, Init):
                self._announce(each)
            else:
                self._stats.fragments += 1
                flags = CODED_FRAME
                if each.kind == VIDEO and each.is_sync:
                    flags |= KEYFRAME
                self._audience.push(Packet(each.kind, each.time, each.data, flags))

    def _announce(self, init: Init) -> None:
        """Who comes from now on begins with this; nothing before it can be decoded with it."""
        audience = self._audience
        self.changing = audience.live
        audience.begin(self._source.stats, self._clock())
        self.changing = False
        told = self._describe(init.tracks)
        audience.push(init_packet(init.time, told, init_segment(init.tracks)))

    def _describe(self, tracks: tuple[Mp4Track, ...]) -> str:
        codecs = ",".join(track.codec for track in tracks)
        kind = "video" if any(track.kind == VIDEO for track in tracks) else "audio"
        return json.dumps(
            {
                "type": "init",
                "timeline": self._timeline,
                "mime": f'{kind}/mp4; codecs="{codecs}"',
                "tracks": [_described(track) for track in tracks],
                "fragment": "part" if self.wish.part else "frame",
                "delay": self._audience.seconds,
            },
            separators=(",", ":"),
        )

    def _look_at_problem(self) -> None:
        problem = self._cutter.problem
        if problem != self.problem:
            self.problem = problem
            if problem:
                for subscription in list(self._audience.subscriptions):
                    subscription.close(CloseReason.CODEC)
                self._audience.finish()


def _described(track: Mp4Track) -> dict[str, int | str]:
    told: dict[str, int | str] = {"id": track.track_id, "kind": _NAMES[track.kind], "codec": track.codec}
    figures = {
        "width": track.width,
        "height": track.height,
        "sample_rate": track.sample_rate,
        "channels": track.channels,
    }
    return told | {name: value for name, value in figures.items() if value}
