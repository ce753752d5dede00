"""One name: publications, one of them on air, an audience, and the loop that carries packets to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.claim import HoldEnd, Place, is_covered, of_one_stream, seconds_held
from rtmpd.engine.covered import Covered
from rtmpd.engine.delaying import Delaying
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.packet import DATA, SWITCH, Packet
from rtmpd.engine.publication import Publication, PublicationOwner
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.slate import SlateEnd
from rtmpd.engine.sources import Life, Rebased, Standby, catch_up
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.terms import USUAL, Terms
from rtmpd.media.tags import KEYFRAME

_KEYFRAME_PATIENCE: Final = 2.0
"""Seconds for which an encoder that comes back with none is waited for to send one."""


class LiveStream(Delaying):
    """An entry of the registry, alive while it has a publisher, a subscriber or a tap.

    A publication that begins while another one is on air, or while the audience is held for one, stands by
    with caches of its own. It goes on air with a frame that somebody can begin with, and the audience is sent
    the headers that differ, then that frame, and nothing more of the other one. Time goes on as the clock.
    """

    __slots__ = (
        "_ended",
        "_release",
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
        cue: Callable[[Covered, Publication], None],
        branch: str = "",
    ) -> None:
        """``cue`` and ``branch`` as in ``Covered``."""
        self._release = release
        self._ended: list[Publication] = []
        """They were closed from inside a flush, which will finish them."""
        super().__init__(key, flusher, budget, server_stats, limits, observer, cue, branch)

    def __repr__(self) -> str:
        return f"<LiveStream {self.key}: {len(self.subscriptions)} subscribers>"

    @property
    def life(self) -> Life:
        """What the audience has."""
        return self._sources.life

    @property
    def held_since(self) -> float | None:
        """Clock reading at which its audience began to wait for an encoder; see ``Sources.held_since``."""
        return self._sources.held_since

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

    def rival(self, origin: Origin, place: Place) -> Publication | None:
        """Whose name it is that somebody else wants for an encoder in ``place``.

        That is the one in the same place, or else one of a stranger's: a stream has a main encoder and a
        backup of one owner.
        """
        holder = self.holder
        same = [each for each in self.publications if each.place.backup is place.backup]
        if same:
            return holder if holder in same else same[-1]
        strangers = [
            each for each in self.publications if not of_one_stream(origin, place, each.origin, each.place)
        ]
        return strangers[-1] if strangers else None

    @property
    def lost(self) -> Publication | None:
        """The audience is kept for this one, which has ended, and nobody is due to go on for it."""
        sources = self._sources
        return sources.last if sources.holding and sources.heir is None else None

    @property
    def last(self) -> Publication | None:
        """It was on air and has ended, and the audience waits for another to go on."""
        return self._sources.last if self._sources.holding else None

    @property
    def gop_charged_bytes(self) -> int:
        """What the GOP caches cost the memory budget."""
        return sum([intake.gop.charged_bytes for intake in self._intakes()])

    # The publishers' side

    def add_publication(
        self, owner: PublicationOwner, origin: Origin, now: float, terms: Terms = USUAL
    ) -> Publication:
        """Start a publication. On a stream that is idle it is on air at once, else it stands by."""
        intake = self._new_intake(now)
        publication = Publication(self, intake, owner, origin, terms, self._observer, now)
        intake.checkup.source = terms.place.source if terms.place.backup else None
        intake.books.count_begun(first=not self.publications)
        on_air = self._sources.add(publication)
        self._observer.published(publication)
        if on_air:
            self._put_on_air(publication)
            self._audience.notify_started(now)
        else:
            publication.channel = Standby(self, publication)
        return publication

    def switch(self, to: Publication) -> None:
        """Have ``to`` go on air with its next keyframe; the one on air goes on until then, if it does.

        With any frame where players begin ``LIVE``, and with audio where no video is announced.
        """
        self._sources.heir = None if to is self.publication or to.closed else to

    def switched(self, publication: Publication, packet: Packet, steady_for: float) -> bool:
        sources = self._sources
        if self._flushing:
            return False
        urgent = sources.urgent(publication, _latest(publication))
        if urgent or sources.handed_back(publication, steady_for):
            sources.heir = publication
        returns = self._returns(publication)
        if not (returns or sources.awaits(publication)):
            return False
        at_once = urgent or (returns and steady_for >= _KEYFRAME_PATIENCE)
        begun = catch_up(publication, sources, packet) if at_once and not packet.flags & KEYFRAME else []
        if not begun and not publication.intake.may_begin(packet):
            return False
        self._flush_pending()
        if returns or sources.awaits(publication):  # Nothing that was written just now has ended it.
            self._go_on(publication, packet, begun)
        return True

    def end(self, publication: Publication) -> None:
        if self._flushing:
            self._ended.append(publication)
            return
        self._flush_pending()
        self._end_now(publication)

    def end_hold(self) -> bool:
        """Tell an audience that is kept for an encoder that the stream is over; False if none is."""
        kept = self._sources.kept
        if kept:
            self._make_way(HoldEnd.ENDED)
        return kept or (not self.publications and self._cut_later())

    def begin_anew(self, reason: CloseReason, by: Origin) -> None:
        """End every publication, because ``by`` wants it so, and with them the stream for its audience."""
        for publication in self.publications:
            publication.dismiss(reason, by)
        self._make_way(HoldEnd.REPLACED)

    def sample(self, now: float) -> None:
        """Derive rates, and hold nobody for longer than is meant; call it about once a second."""
        self._totals.sample(now)
        for publication in self.publications:
            publication.sample(now)
        on_air = self.publication
        if on_air is not None:
            self._audience.look(now, flows=on_air.silent_for(now) < self.limits.stall)
        self._look_at_later(now)
        if self._sources.overdue(now):
            self._let_go(HoldEnd.EXPIRED)
        if self.limits.slate is not None or self._sources.cover is not None:
            self._prompt(now)

    def apply(self, limits: EngineLimits) -> None:
        """Other limits from now on."""
        self.limits = limits
        self._sources.apply(limits)
        for intake in self._intakes():
            intake.apply(limits)
        for each in self.behind:
            each.apply(limits)

    def trim(self) -> None:
        """Memory is short: give back the GOP caches step by step, see ``GopCache.trim``."""
        for intake in self._intakes():
            intake.gop.trim()

    def _intakes(self) -> list[Intake]:
        """Of what is on air, and of every publication."""
        behind = [each.intake for each in self.behind]
        return [*dict.fromkeys([self.intake, *[each.intake for each in self.publications], *behind])]

    # On air and off

    def _returns(self, publication: Publication) -> bool:
        """Whether it is on air, but for what is shown in its stead."""
        sources = self._sources
        return sources.cover is not None and sources.on_air is publication and sources.heir is None

    def _put_on_air(self, publication: Publication) -> None:
        """Nothing of another one is pending."""
        self._sources.put_on_air(publication)
        publication.stats.on_air = True
        self._tune(publication.intake)

    def _go_on(self, heir: Publication, packet: Packet, begun: list[Packet]) -> None:
        """Go on with what has ``begun`` and ``packet`` of another publication than the last one's."""
        before, last, told, idle = self.publication, self._sources.last, self.headers, self.life is Life.IDLE
        now = _latest(heir)
        since = self._sources.time_on_air(packet, now, self._due())
        packet.timestamp -= heir.offset  # Its own again, which the channel puts forward.
        heir.offset = since - packet.timestamp
        since = begun[0].timestamp if begun else since
        heir.channel = Rebased(self, heir.intake, heir.offset, since) if heir.offset else self
        if before is not None and before is not heir:
            before.channel = Standby(self, before)
            before.intake.gop.forget_images()
        headers = heir.intake.headers.packets(since)
        changed = [header.restamped(since) for header in headers if not told.told(header)]
        heir.intake.reopen(since)
        self._chronicle.switched(heir, before or last, now)
        self._put_on_air(heir)
        if before is None:
            told.clear()  # It was kept for this comparison.
        self._uncover(before or last, SlateEnd.RESUMED)
        if idle:
            self._audience.notify_started(now)
        else:
            self._audience.notify_switched()
            if last is not None:
                outage = last.silent_for(now)
                self._observer.resumed(heir, outage)
                self._held_no_more(last, HoldEnd.RESUMED, round(outage, 3))
        if changed and self._queueing:
            self._pending += [Packet(DATA, since, b"", SWITCH), *changed]
            self._flush_pending()
        for early in begun:
            self.push(early)
        heir.channel.push(packet)

    # Ends

    def _after_flush(self) -> None:
        while self._ended:
            self.end(self._ended.pop(0))

    def _end_now(self, publication: Publication) -> None:
        was_heir = self._sources.awaits(publication)
        was_on_air = self._sources.remove(publication)
        publication.stats.stop()
        ending = publication.ending
        reason = None if ending is None else ending.reason
        publication.intake.books.count_ended(reason, last=not self.publications)
        self._observer.unpublished(publication)
        if not was_on_air:
            publication.intake.clear()
            if was_heir:
                self._wait_anew(publication)
        elif (self._audience.attended or self._keeps_unwatched()) and self._sources.hold(
            self._grace(publication)
        ):
            self._observer.held(publication)
            self._note_held(publication)
            lost = is_covered(publication.policy, publication.key, publication.ending)
            if self._sources.heir is None and lost:
                self._miss(publication)
            if self._sources.cover is None:
                self.intake.pause()
            else:
                publication.intake.clear()
        else:
            publication.intake.clear()
            self._let_go(HoldEnd.EXPIRED)
        self._settle()

    def _grace(self, publication: Publication) -> float:
        """Seconds for which its audience is kept. One that has shown nothing leaves nothing to go on with."""
        if publication.latest is None:
            return 0.0
        cover = self._sources.cover
        shown = 0.0 if cover is None else cover.shown_for
        return seconds_held(publication.policy, publication.key, publication.ending, shown)

    def _wait_anew(self, heir: Publication) -> None:
        """Have the audience that waited for ``heir``, which is lost unseen, wait as long again."""
        sources, kept = self._sources, self._sources.kept
        seconds = seconds_held(heir.policy, heir.key, heir.ending)
        if sources.holding and seconds > 0.0:
            sources.hold(seconds)
            if not kept:
                self._note_held(heir)

    def _let_go(self, why: HoldEnd) -> None:
        """The audience has nothing to wait for."""
        last = self._sources.let_go()
        if last is not None:
            self._held_no_more(last, why)
        self._uncover(last, SlateEnd.ENDED)
        self.intake.clear()
        self._audience.notify_ended()
        if last is not None:
            self._observer.ended(last)
        self._settle()

    def _make_way(self, why: HoldEnd) -> None:
        if self._sources.holding:
            self._let_go(why)

    def _note_held(self, lost: Publication) -> None:
        if self._sources.kept:
            self._chronicle.held(lost, self._sources.seconds)

    def _held_no_more(self, lost: Publication, why: HoldEnd, outage: float | None = None) -> None:
        """Nobody waits any more for an encoder that was lost, if anybody did."""
        if self._sources.kept:
            self._sources.kept = False
            self._chronicle.held_no_more(lost, why, outage)

    def _settle(self) -> None:
        """Somebody left: stop queueing without subscribers, vanish without a publisher too."""
        if self._flushing or self._audience.attended:
            return
        if self._sources.holding and not self._keeps_unwatched():
            self._let_go(HoldEnd.LEFT)
            return
        if not self._pending:
            self._queueing = False
            # Nobody is left who was promised less than there is.
            self.headers.withhold(0)
        if not self.publications and not (self._sources.holding or self.later or self.apart):
            self._audience.disband()
            self._release(self)


def _latest(publication: Publication) -> float:
    """Clock reading of its last audio or video, or of its begin."""
    last = publication.stats.last_media_at
    return publication.started_at if last is None else last
