"""One name: a publisher's place, N subscribers, and the loop that carries packets from one to the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.fanout import Fanout, Segment
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.gop import GopCache, GopLimits
from rtmpd.engine.headers import HeaderCache, HeaderLimits
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import Notice
from rtmpd.engine.packet import CACHED_HEADER, Packet, WireFormat
from rtmpd.engine.publication import Publication, Publisher
from rtmpd.engine.sink import CloseReason, PlayOptions, Sink
from rtmpd.engine.stats import DropReason, ServerStats, StreamStats, count
from rtmpd.engine.subscriber import Subscription
from rtmpd.exceptions import UsageError
from rtmpd.rtmp.via import NO_VIA, Via

_logger = logging.getLogger(__name__)


class Stream:
    """An entry of the registry, alive while it has a publisher or a subscriber.

    Packets are taken in (see ``Intake``) when they are delivered, not when they are received, so that a
    joiner finds in the caches exactly what everybody else has been sent, and the pending rest reaches it with
    the next flush. Without subscribers nothing is pending and packets are taken in at once.
    """

    __slots__ = (
        "_announce",
        "_ended",
        "_fanouts",
        "_flusher",
        "_flushing",
        "_marked",
        "_pending",
        "_queueing",
        "_release",
        "_subscriptions",
        "_to_place",
        "_watched",
        "budget",
        "headers",
        "intake",
        "key",
        "now",
        "players",
        "publication",
        "server_stats",
        "stats",
    )

    def __init__(
        self,
        key: StreamKey,
        flusher: Flusher,
        budget: MemoryBudget,
        server_stats: ServerStats,
        header_limits: HeaderLimits,
        gop_limits: GopLimits,
        release: Callable[[Stream], None],
        announce: Callable[[Notice, StreamKey], None],
    ) -> None:
        self.key = key
        self.publication: Publication | None = None
        """None while nobody publishes."""
        self.players = 0
        """Subscriptions that are an audience."""
        self.stats = StreamStats()
        self.server_stats = server_stats
        self.budget = budget
        self.now = 0.0
        """Clock reading of the last flush or attach."""
        self.intake = Intake(
            HeaderCache(header_limits, budget),
            GopCache(gop_limits, budget, self.stats, server_stats),
            self.stats,
            self.drop,
        )
        self.headers = self.intake.headers
        self._flusher = flusher
        self._release = release
        self._announce = announce
        self._subscriptions: dict[Subscription, None] = {}
        self._watched: dict[Subscription, None] = {}
        self._fanouts: dict[WireFormat, Fanout] = {}
        self._to_place: list[Subscription] = []
        self._pending: list[Packet] = []
        self._queueing = False
        """Packets go to ``_pending``: there are subscribers, or packets before them that are pending."""
        self._marked = False
        self._flushing = False
        self._ended: CloseReason | None = None
        """The publication was closed from inside a flush, which will finish it."""

    def __repr__(self) -> str:
        return f"<Stream {self.key}: {len(self._subscriptions)} subscribers>"

    @property
    def subscriptions(self) -> Collection[Subscription]:
        """Everybody attached, in order of arrival; live, copy it before attaching or detaching."""
        return self._subscriptions.keys()

    @property
    def gop_charged_bytes(self) -> int:
        """What the GOP cache costs the memory budget."""
        return self.intake.gop.charged_bytes

    # The publisher's side

    def begin(self, publisher: Publisher, now: float, via: Via = NO_VIA) -> Publication:
        """Start a publication. Raises ``UsageError`` when there is one."""
        if self.publication is not None:
            raise UsageError(f"{self.key} has a publisher")
        publication = self.publication = Publication(self, publisher, now, via)
        self.server_stats.publishers += 1
        self.server_stats.publishes_total += 1
        self.now = now
        self.stats.begin(now)
        self.intake.begin()
        self._announce(Notice.PUBLISHED, self.key)
        for subscription in list(self._subscriptions):
            self._tell(subscription, partial(subscription.started, now))
        return publication

    def push(self, packet: Packet) -> None:
        """Take a packet from the publication."""
        if self._queueing:
            self._pending.append(packet)
            if not self._marked:
                self._marked = True
                self._flusher.mark(self)
        else:
            self.intake.take_in(packet)

    def end(self, reason: CloseReason) -> None:
        """Called by ``Publication.close``: deliver what is pending, then tell the subscribers."""
        if self._flushing:
            self._ended = reason
            return
        self._flush_pending()
        self._end_now(reason)

    def flush(self, now: float) -> None:
        """Called by the Flusher: deliver what is pending."""
        self._marked = False
        self.now = now
        self._flush_pending()

    # The subscribers' side

    def attach(self, sink: Sink, options: PlayOptions, now: float) -> Subscription:
        """Add a subscriber; see ``Registry.attach``."""
        self.now = now
        subscription = Subscription(self, sink, options, now)
        self._subscriptions[subscription] = None
        self._queueing = True
        if subscription.audience:
            self._count_in()
        packets, synced = self.intake.burst(options)
        subscription.begin(packets, synced=synced, now=now)
        self.place(subscription)
        return subscription

    def place(self, subscription: Subscription) -> None:
        """Put a subscription on the list that its state calls for; within a flush, after the segment."""
        if self._flushing:
            self._to_place.append(subscription)
        elif subscription.attached:
            if not subscription.fast:
                if subscription.on_fast_list:
                    subscription.fanout.remove(subscription)
                self._watched[subscription] = None
            elif not subscription.on_fast_list:
                self._watched.pop(subscription, None)
                subscription.fanout.add(subscription)

    def fanout(self, wire_format: WireFormat) -> Fanout:
        """The fast list of a wire format."""
        fanout = self._fanouts.get(wire_format)
        if fanout is None:
            fanout = self._fanouts[wire_format] = Fanout(wire_format)
        return fanout

    def remove(self, subscription: Subscription) -> None:
        """Called by ``Subscription.detach``."""
        del self._subscriptions[subscription]
        self._watched.pop(subscription, None)
        if subscription.on_fast_list:
            subscription.fanout.remove(subscription)
        if subscription.audience:
            self._count_out()
        self._settle()

    def fail(self, subscription: Subscription) -> None:
        """The sink raised, which is logged already: end this subscription and no other."""
        self.server_stats.sink_errors += 1
        subscription.close(CloseReason.INTERNAL_ERROR)

    def close_sink(self, subscription: Subscription, reason: CloseReason) -> None:
        """Tell a detached subscription's sink to close."""
        if subscription.audience:
            count(self.server_stats.players_closed, reason)
        try:
            subscription.sink.close(reason)
        except Exception:
            _logger.exception("a sink of %s failed to close", self.key)
            self.server_stats.sink_errors += 1

    def drop(self, reason: DropReason) -> None:
        """Count a packet that does not go where it was meant to go."""
        count(self.stats.drops, reason)
        count(self.server_stats.drops, reason)

    def count_out(self, size: int, messages: int) -> None:
        """Count what was handed to sinks."""
        self.stats.bytes_out += size
        self.stats.messages_out += messages
        self.server_stats.bytes_out += size
        self.server_stats.messages_out += messages

    def sample(self, now: float) -> None:
        """Derive rates; apply the deadlines of congested subscribers."""
        self.now = now
        if self.publication is not None:
            self.stats.sample(now)
        for subscription in list(self._watched):
            subscription.check(now)

    def trim(self) -> None:
        """Memory is short: give back the GOP cache in two steps, to the keyframe and then all."""
        self.intake.gop.trim()

    # Delivery

    def _flush_pending(self) -> None:
        if self._flushing or not self._pending:
            return
        batch = self._pending
        self._pending = []
        self._flushing = True
        try:
            self._deliver_batch(batch)
        finally:
            self._flushing = False
            self._place_all()
            self._settle()
        if self._ended is not None:
            reason, self._ended = self._ended, None
            self.end(reason)

    def _deliver_batch(self, batch: list[Packet]) -> None:
        version = self.headers.version
        segment: list[Packet] = []
        only_headers = True
        for packet in batch:
            if packet.flags & CACHED_HEADER:
                # Subscribers compare versions of the header cache, so no header changes inside a segment.
                if not only_headers:
                    self._deliver(Segment(segment, version))
                    version = self.headers.version
                    segment = []
                    only_headers = True
                if self.intake.take_in(packet):
                    segment.append(packet)
            elif self.intake.take_in(packet):
                segment.append(packet)
                only_headers = False
        if segment:
            self._deliver(Segment(segment, version))

    def _deliver(self, segment: Segment) -> None:
        watched = list(self._watched)
        messages = len(segment.packets)
        # A copy: somebody may join with a new wire format from inside a write.
        for fanout in list(self._fanouts.values()):
            members = len(fanout)
            if members:
                image = segment.image(fanout)
                failed = fanout.write(image)
                self.count_out(len(image) * members, messages * members)
                for subscription in failed:
                    self.fail(subscription)
        for subscription in watched:
            if subscription.attached:
                subscription.deliver(segment, self.now)
        if self._to_place:
            self._flushing = False
            self._place_all()
            self._flushing = True

    def _place_all(self) -> None:
        moved = self._to_place
        self._to_place = []
        for subscription in moved:
            self.place(subscription)

    # Ends

    def _end_now(self, reason: CloseReason) -> None:
        self.publication = None
        self.intake.clear()
        server_stats = self.server_stats
        server_stats.publishers -= 1
        count(server_stats.publishes_ended, reason)
        self._announce(Notice.UNPUBLISHED, self.key)
        for subscription in list(self._subscriptions):
            self._tell(subscription, subscription.sink.stream_ended)
        self._settle()

    def _tell(self, subscription: Subscription, notify: Callable[[], None]) -> None:
        if subscription.attached:
            try:
                notify()
            except Exception:
                _logger.exception("a sink of %s failed", self.key)
                self.fail(subscription)

    def _count_in(self) -> None:
        self.server_stats.players += 1
        self.server_stats.plays_total += 1
        self.players += 1
        if self.players == 1:
            self._announce(Notice.WANTED, self.key)

    def _count_out(self) -> None:
        self.server_stats.players -= 1
        self.players -= 1
        if not self.players:
            self._announce(Notice.UNWANTED, self.key)

    def _settle(self) -> None:
        """Somebody left: stop queueing without subscribers, vanish without a publisher too."""
        if not self._subscriptions and not self._flushing:
            if not self._pending:
                self._queueing = False
            if self.publication is None:
                self._release(self)
