"""One name: publications, one of them on air, an audience, and the loop that carries packets to it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from rtmpd.engine.audience import Audience
from rtmpd.engine.books import Books
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.claim import REFUSE, ClaimPolicy, seconds_held
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.health import Health
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.media_limits import MediaRules
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.packet import CACHED_HEADER, DATA, SWITCH, Packet
from rtmpd.engine.publication import Home, Publication, PublicationOwner
from rtmpd.engine.segment import Segment
from rtmpd.engine.sink import PacketSink, PlayOptions, Sink, TapOptions
from rtmpd.engine.sources import Life, Rebased, Sources, Standby
from rtmpd.engine.stats import ServerStats, StreamStats, Totals
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.tap import Tap
from rtmpd.media.tags import END_OF_SEQUENCE, KEYFRAME
from rtmpd.media.tracks import TrackChoice

_NOT_CACHED: Final = CACHED_HEADER | END_OF_SEQUENCE
"""Packets that are in no GOP cache, and so in segments of their own."""
_CUTS: Final = _NOT_CACHED | KEYFRAME
"""Packets before which a segment may have to end."""


class LiveStream(Home):
    """An entry of the registry, alive while it has a publisher, a subscriber or a tap.

    Packets are taken in (see ``Intake``) when they are delivered, not when they are received, so that a
    joiner finds in the caches exactly what everybody else has been sent, and the pending rest reaches it with
    the next flush. With nobody attached nothing is pending and packets are taken in at once.

    A publication that begins while another one is on air, or while the audience is held for one, stands by
    with caches of its own. It goes on air with a frame that somebody can begin with, and the audience is sent
    the headers that differ, then that frame, and nothing more of the other one. Time goes on as the clock.
    """

    __slots__ = (
        "_audience",
        "_budget",
        "_ended",
        "_flusher",
        "_flushing",
        "_marked",
        "_observer",
        "_pending",
        "_queueing",
        "_release",
        "_server_stats",
        "_sources",
        "_totals",
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
        flusher: Flusher,
        budget: MemoryBudget,
        server_stats: ServerStats,
        limits: EngineLimits,
        release: Callable[[LiveStream], None],
        observer: StreamObserver,
    ) -> None:
        super().__init__(key)
        self._sources = Sources()
        self._server_stats = server_stats
        self._totals = Totals()
        self._budget = budget
        self.limits = limits
        """As they hold for this stream."""
        intake = self._new_intake(0.0)
        self.intake = intake
        """Of the publication on air, or the last that was."""
        self.headers = intake.headers
        self.stats = intake.books.stream
        self._audience = Audience(key, intake, budget, observer, self._settle)
        self._flusher = flusher
        self.flush_due = 0.0
        self.flush_period = 0
        self._release = release
        self._observer = observer
        self._pending: list[Packet] = []
        self._queueing = False
        """Packets go to ``_pending``: somebody is attached, or there are pending ones before them."""
        self._marked = False
        self._flushing = False
        self._ended: list[Publication] = []
        """They were closed from inside a flush, which will finish them."""

    def __repr__(self) -> str:
        return f"<LiveStream {self.key}: {len(self.subscriptions)} subscribers>"

    @property
    def life(self) -> Life:
        """What the audience has."""
        return self._sources.life

    @property
    def publication(self) -> Publication | None:
        """The one on air."""
        return self._sources.on_air

    @property
    def publications(self) -> tuple[Publication, ...]:
        """All there are, in order of arrival."""
        return self._sources.publications

    @property
    def holder(self) -> Publication | None:
        """Whose the name is: the publication that is due to go on air, or else the one that is."""
        return self._sources.heir or self._sources.on_air

    @property
    def players(self) -> int:
        """Subscriptions that are an audience."""
        return self._audience.players

    @property
    def subscriptions(self) -> Collection[Subscription]:
        """Every subscription, in order of arrival; live, copy it before attaching or detaching."""
        return self._audience.members

    @property
    def taps(self) -> Collection[Tap]:
        """Those who take packets; live like ``subscriptions``."""
        return self._audience.taps

    @property
    def watched(self) -> bool:
        return self._audience.attended

    def has_room_for(self, tracks: TrackChoice, choices: int) -> bool:
        """See ``Audience.has_room_for``."""
        return self._audience.has_room_for(tracks, choices)

    @property
    def health(self) -> Health:
        """What is wrong with what is published."""
        return self.intake.checkup.health

    @property
    def gop_charged_bytes(self) -> int:
        """What the GOP caches cost the memory budget."""
        return sum([each.intake.gop.charged_bytes for each in self.publications])

    # The publishers' side

    def add_publication(
        self,
        owner: PublicationOwner,
        origin: Origin,
        now: float,
        policy: ClaimPolicy = REFUSE,
        max_players: int | None = None,
        media: MediaRules | None = None,
    ) -> Publication:
        """Start a publication. On a stream that is idle it is on air at once, else it stands by."""
        intake = self._new_intake(now)
        publication = Publication(
            self, intake, owner, origin, policy, max_players, self._observer, media, now
        )
        intake.books.count_begun(first=not self.publications)
        on_air = self._sources.add(publication)
        self._observer.published(publication)
        if on_air:
            self._put_on_air(publication)
            self._audience.notify_started(now)
        else:
            publication.channel = Standby(self, intake)
        return publication

    def switch(self, to: Publication) -> None:
        """Have ``to`` go on air with its next keyframe; the one on air goes on until then, if it does.

        With any frame where players begin ``LIVE``, and with audio where no video is announced.
        """
        self._sources.heir = None if to is self.publication or to.closed else to

    def switched(self, intake: Intake, packet: Packet) -> bool:
        heir = self._sources.heir
        if heir is None or heir.intake is not intake or self._flushing or not intake.may_begin(packet):
            return False
        self._flush_pending()
        if self._sources.heir is heir:  # Nothing that was written just now has ended it.
            self._go_on(heir, packet)
        return True

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
            self._ended.append(publication)
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

    def tap(self, sink: PacketSink, options: TapOptions, now: float) -> Tap:
        """Add a packet sink; see ``Registry.tap``."""
        self._queueing = True
        return self._audience.tap(sink, options, now)

    def sample(self, now: float) -> None:
        """Derive rates, and hold nobody for longer than is meant; call it about once a second."""
        for publication in self.publications:
            publication.sample(now)
        if self._sources.overdue(now):
            self._let_go()

    def apply(self, limits: EngineLimits) -> None:
        """Other limits from now on."""
        self.limits = limits
        for intake in dict.fromkeys([self.intake, *[each.intake for each in self.publications]]):
            intake.apply(limits)

    def trim(self) -> None:
        """Memory is short: give back the GOP caches step by step, see ``GopCache.trim``."""
        for publication in self.publications:
            publication.intake.gop.trim()

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
        while self._ended:
            self.end(self._ended.pop(0))

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

    # On air and off

    def _new_intake(self, now: float) -> Intake:
        books = Books(StreamStats(self._totals, now), self._server_stats)
        return Intake.within(self.limits, self.key, books, self._budget, now)

    def _put_on_air(self, publication: Publication) -> None:
        """Nothing of another one is pending."""
        intake = publication.intake
        intake.headers.succeed(self.headers)
        self._sources.put_on_air(publication)
        self.intake = intake
        self.headers = intake.headers
        self.stats = intake.books.stream
        self._audience.tune(intake)

    def _go_on(self, heir: Publication, packet: Packet) -> None:
        """Go on with ``packet`` of another publication than the last one's."""
        before, last, told, idle = self.publication, self._sources.last, self.headers, self.life is Life.IDLE
        now = heir.started_at if heir.stats.last_media_at is None else heir.stats.last_media_at
        since = self._sources.time_on_air(packet, now)
        heir.offset = since - packet.timestamp
        heir.channel = Rebased(self, heir.intake, heir.offset, since) if heir.offset else self
        if before is not None:
            before.channel = Standby(self, before.intake)
            before.intake.gop.forget_images()
        headers = heir.intake.headers.packets(since)
        changed = [header.restamped(since) for header in headers if not told.told(header)]
        heir.intake.reopen(since)
        self._put_on_air(heir)
        if before is None:
            told.clear()  # It was kept for this comparison.
        if idle:
            self._audience.notify_started(now)
        elif last is not None:
            self._observer.resumed(heir, last.silent_for(now))
        if changed and self._queueing:
            self._pending += [Packet(DATA, since, b"", SWITCH), *changed]
            self._flush_pending()
        heir.channel.push(packet)

    # Ends

    def _end_now(self, publication: Publication) -> None:
        was_on_air = self._sources.remove(publication)
        publication.stats.stop()
        ending = publication.ending
        reason = None if ending is None else ending.reason
        publication.intake.books.count_ended(reason, last=not self.publications)
        self._observer.unpublished(publication)
        if not was_on_air:
            publication.intake.clear()
        elif self.watched and self._sources.hold(seconds_held(publication.policy, ending)):
            self.intake.pause()
            self._observer.held(publication)
        else:
            self._let_go()
        self._settle()

    def _let_go(self) -> None:
        """The audience has nothing to wait for."""
        last = self._sources.let_go()
        self.intake.clear()
        self._audience.notify_ended()
        if last is not None:
            self._observer.ended(last)
        self._settle()

    def _settle(self) -> None:
        """Somebody left: stop queueing without subscribers, vanish without a publisher too."""
        if self._flushing or self._audience.attended:
            return
        if self._sources.holding:
            self._let_go()
            return
        if not self._pending:
            self._queueing = False
            # Nobody is left who was promised less than there is.
            self.headers.withhold(0)
        if not self.publications:
            self._audience.disband()
            self._release(self)
