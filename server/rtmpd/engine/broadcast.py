"""What is on air of a stream, and how it gets to everybody who is attached."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from rtmpd.engine.audience import Audience, Crowd
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits, counted
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.packet import CACHED_HEADER, Packet
from rtmpd.engine.publication import Home
from rtmpd.engine.segment import Segment
from rtmpd.engine.sink import PacketSink, PlayOptions, Sink, TapOptions
from rtmpd.engine.subscriber import Seat, Subscription
from rtmpd.engine.tap import Tap
from rtmpd.exceptions import ResourceExhausted
from rtmpd.media.tags import END_OF_SEQUENCE, KEYFRAME
from rtmpd.media.tracks import TrackChoice
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode

_NOT_CACHED: Final = CACHED_HEADER | END_OF_SEQUENCE
"""Packets that are in no GOP cache, and so in segments of their own."""
_CUTS: Final = _NOT_CACHED | KEYFRAME
"""Packets before which a segment may have to end."""


class Broadcast(Home):
    """One publication after another, as their audience has it.

    Packets are taken in (see ``Intake``) when they are delivered, not when they are received, so that a
    joiner finds in the caches exactly what everybody else has been sent, and the pending rest reaches it with
    the next flush. With nobody attached nothing is pending and packets are taken in at once.
    """

    __slots__ = (
        "_audience",
        "_flusher",
        "_flushing",
        "_marked",
        "_pending",
        "_queueing",
        "flush_due",
        "flush_period",
        "headers",
        "intake",
        "limits",
        "stats",
    )

    def __init__(
        self,
        key: StreamKey,
        intake: Intake,
        flusher: Flusher,
        budget: MemoryBudget,
        limits: EngineLimits,
        observer: StreamObserver,
        crowd: Crowd,
    ) -> None:
        """``crowd`` are all players of the stream, who may have other audiences besides."""
        super().__init__(key)
        self.limits = limits
        """As they hold for this stream."""
        self.intake = intake
        """Of what is on air, or the last that was."""
        self.headers = intake.headers
        self.stats = intake.books.stream
        self._audience = Audience(key, intake, budget, observer, self._settle, crowd)
        self._flusher = flusher
        self.flush_due = 0.0
        self.flush_period = 0
        self._pending: list[Packet] = []
        self._queueing = False
        """Packets go to ``_pending``: somebody is attached, or there are pending ones before them."""
        self._marked = False
        self._flushing = False

    @property
    def subscriptions(self) -> Collection[Subscription]:
        """Every subscription, in order of arrival; live, copy it before attaching or detaching."""
        return self._audience.members

    @property
    def seat(self) -> Seat:
        """What its own subscriptions know of it."""
        return self._audience

    @property
    def taps(self) -> Collection[Tap]:
        """Those who take packets; live like ``subscriptions``."""
        return self._audience.taps

    @property
    def watched(self) -> bool:
        return bool(self._audience.members)

    def check_tracks(self, tracks: TrackChoice, most: int) -> None:
        """Raise ``ResourceExhausted`` if players may not choose these besides ``most`` others."""
        if not self._audience.has_room_for(tracks, most):
            text = f"The players of this stream have chosen {counted(most, 'set')} of tracks already."
            raise ResourceExhausted(StatusCode.PLAY_FAILED, text, Refusal.TRACK_CHOICES)

    # The publisher on air

    def push(self, packet: Packet) -> None:
        if self._queueing:
            self._pending.append(packet)
            if not self._marked:
                self._marked = True
                self._flusher.mark(self)
        elif packet.flags & CACHED_HEADER:
            self.intake.take_in_header(packet)
        else:
            self.intake.take_in(packet)

    def flush(self, now: float) -> int:
        """Called by the Flusher: deliver what is pending; returns to how many."""
        self._marked = False
        self._audience.now = now
        members = len(self._audience.members)
        self._flush_pending()
        return members

    # The subscribers' side

    def attach(self, sink: Sink, outlet: Outlet, options: PlayOptions, now: float) -> Subscription:
        """Add a subscriber; see ``Registry.attach``."""
        self._queueing = True
        return self._audience.attach(sink, outlet, options, now)

    def take_over(self, subscription: Subscription, now: float) -> None:
        """One of another audience of the stream goes on with this; see ``Audience.take_over``."""
        self._queueing = True
        self._audience.take_over(subscription, now)

    def tap(self, sink: PacketSink, options: TapOptions, now: float) -> Tap:
        """Add a packet sink; see ``Registry.tap``."""
        self._queueing = True
        return self._audience.tap(sink, options, now)

    # Inside

    def _flush_pending(self) -> None:
        if self._flushing or not self._pending:
            return
        batch = self._pending
        self._pending = []
        self._flushing = True
        self._audience.hold()
        try:
            self._deliver_batch(batch)
        finally:
            self._flushing = False
            self._audience.release()
            self._settle()
        self._after_flush()

    def _deliver_batch(self, batch: list[Packet]) -> None:
        """Cut into segments: no header changes inside one, and a GOP begins with one of its own."""
        take_in = self.intake.take_in
        if self.headers.withheld:
            batch = self.intake.announced(batch)
        version = self.headers.version
        segment: list[Packet] = []
        cached = True
        for packet in batch:
            flags = packet.flags
            if flags & _CUTS or not cached:
                apart = flags & _NOT_CACHED != 0
                if segment and (apart is cached or flags & KEYFRAME):
                    self._audience.deliver(Segment(segment, version, cached=cached))
                    version = self.headers.version
                    segment = []
                cached = not apart
            if flags & CACHED_HEADER:
                segment += self.intake.take_in_header(packet)
            elif take_in(packet):
                segment.append(packet)
        if segment:
            self._audience.deliver(Segment(segment, version, cached=cached))

    def _tune(self, intake: Intake) -> None:
        """Another publication goes on air; nothing of the last one is pending."""
        intake.headers.succeed(self.headers)
        self.intake = intake
        self.headers = intake.headers
        self.stats = intake.books.stream
        self._audience.tune(intake)

    def _after_flush(self) -> None:
        """What was put off while packets were delivered may be done."""
        raise NotImplementedError

    def _settle(self) -> None:
        """Somebody left."""
        raise NotImplementedError
