"""One name: a publisher's place, an audience, and the loop that carries packets from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from rtmpd.engine.audience import Audience
from rtmpd.engine.books import Books
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.gop import GopCache
from rtmpd.engine.headers import HeaderCache
from rtmpd.engine.health import Health
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.packet import CACHED_HEADER, Packet
from rtmpd.engine.publication import Channel, Publication, Publisher
from rtmpd.engine.segment import Segment
from rtmpd.engine.sink import PlayOptions, Sink
from rtmpd.engine.stats import ServerStats, StreamStats, count
from rtmpd.engine.subscriber import Subscription
from rtmpd.exceptions import UsageError
from rtmpd.media.tags import END_OF_SEQUENCE, KEYFRAME
from rtmpd.media.tracks import DEFAULT, TrackChoice

_NOT_CACHED: Final = CACHED_HEADER | END_OF_SEQUENCE
"""Packets that are in no GOP cache, and so in segments of their own."""
_CUTS: Final = _NOT_CACHED | KEYFRAME
"""Packets before which a segment may have to end."""


class Stream(Channel):
    """An entry of the registry, alive while it has a publisher or a subscriber.

    Packets are taken in (see ``Intake``) when they are delivered, not when they are received, so that a
    joiner finds in the caches exactly what everybody else has been sent, and the pending rest reaches it with
    the next flush. Without subscribers nothing is pending and packets are taken in at once.
    """

    __slots__ = (
        "_audience",
        "_ended",
        "_flusher",
        "_flushing",
        "_marked",
        "_observer",
        "_pending",
        "_queueing",
        "_release",
        "flush_due",
        "flush_period",
        "intake",
        "publication",
        "server_stats",
    )

    def __init__(
        self,
        key: StreamKey,
        flusher: Flusher,
        budget: MemoryBudget,
        server_stats: ServerStats,
        limits: EngineLimits,
        release: Callable[[Stream], None],
        observer: StreamObserver,
    ) -> None:
        stats = StreamStats()
        books = Books(stats, server_stats)
        headers = HeaderCache(limits.headers, budget)
        super().__init__(key, books, headers)
        self.publication: Publication | None = None
        """None while nobody publishes."""
        self.server_stats = server_stats
        gop = GopCache(limits.gop, budget, stats, server_stats)
        self.intake = Intake(key, headers, gop, books, limits.start, limits.keyframe_timeout)
        self._audience = Audience(key, self.intake, books, budget, observer, self._settle)
        self._flusher = flusher
        self.flush_due = 0.0
        self.flush_period = 0
        self._release = release
        self._observer = observer
        self._pending: list[Packet] = []
        self._queueing = False
        """Packets go to ``_pending``: there are subscribers, or packets before them that are pending."""
        self._marked = False
        self._flushing = False
        self._ended: Publication | None = None
        """It was closed from inside a flush, which will finish it."""

    def __repr__(self) -> str:
        return f"<Stream {self.key}: {len(self.subscriptions)} subscribers>"

    @property
    def players(self) -> int:
        """Subscriptions that are an audience."""
        return self._audience.players

    @property
    def subscriptions(self) -> Collection[Subscription]:
        """Everybody attached, in order of arrival; live, copy it before attaching or detaching."""
        return self._audience.members

    @property
    def watched(self) -> bool:
        return bool(self._audience.members)

    def has_room_for(self, tracks: TrackChoice, choices: int) -> bool:
        """Whether somebody may choose ``tracks`` where ``choices`` may be made beside the default."""
        made = {fanout.encoding.tracks for fanout in self._audience.fanouts} | {DEFAULT}
        return tracks in made or len(made) <= choices

    @property
    def health(self) -> Health:
        """What is wrong with what is published."""
        return self.intake.checkup.health

    @property
    def gop_charged_bytes(self) -> int:
        """What the GOP cache costs the memory budget."""
        return self.intake.gop.charged_bytes

    # The publisher's side

    def begin(self, publisher: Publisher, origin: Origin, now: float) -> Publication:
        """Start a publication. Raises ``UsageError`` when there is one."""
        if self.publication is not None:
            raise UsageError(f"{self.key} has a publisher")
        publication = self.publication = Publication(self, publisher, origin, now)
        self.server_stats.publishers += 1
        self.server_stats.publishes_total += 1
        self.stats.begin(now)
        self.intake.begin(now)
        self._observer.published(publication)
        self._audience.notify_started(now)
        return publication

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

    def end(self, publication: Publication) -> None:
        if self._flushing:
            self._ended = publication
            return
        self._flush_pending()
        self._end_now(publication)

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

    def sample(self, now: float) -> None:
        """Derive rates; call it about once a second."""
        if self.publication is not None:
            self.stats.sample(now)
            self.intake.look(now)
            self.intake.checkup.judge(now)

    def trim(self) -> None:
        """Memory is short: give back the GOP cache step by step, see ``GopCache.trim``."""
        self.intake.gop.trim()

    # Delivery

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
        if self._ended is not None:
            publication, self._ended = self._ended, None
            self.end(publication)

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

    # Ends

    def _end_now(self, publication: Publication) -> None:
        self.publication = None
        self.stats.stop()
        if self.stats.last_media_at is None:
            self.server_stats.publishes_without_media += 1
        self.intake.clear()
        self.server_stats.publishers -= 1
        if publication.ending is not None:
            count(self.server_stats.publishes_ended, publication.ending.reason)
        self._observer.unpublished(publication)
        self._audience.notify_ended()
        self._settle()

    def _settle(self) -> None:
        """Somebody left: stop queueing without subscribers, vanish without a publisher too."""
        if not self._flushing and not self.subscriptions:
            if not self._pending:
                self._queueing = False
                # Nobody is left who was promised less than there is.
                self.headers.withhold(0)
            if self.publication is None:
                self._audience.disband()
                self._release(self)
