"""Everybody attached to a stream: who is written every batch unseen, and whom somebody looks at first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.fanout import Fanout
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.levels import JOIN_BOUND, JoinEnd
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import RTMP
from rtmpd.engine.outlet import Backlog, Outlet
from rtmpd.engine.packet import WireFormat
from rtmpd.engine.packet_queue import Mark
from rtmpd.engine.segment import Encoding, Segment
from rtmpd.engine.sink import CloseReason, PacketSink, PlayOptions, Sink, TapOptions
from rtmpd.engine.stats import count
from rtmpd.engine.subscriber import Seat, Subscription
from rtmpd.engine.tap import Tap
from rtmpd.media.tracks import DEFAULT, TrackChoice

_OURS: Final = (CloseReason.INTERNAL_ERROR, CloseReason.MEMORY, CloseReason.SHUTDOWN)
"""Ends for which nobody else is to blame."""


class Crowd:
    """The players of a stream, whichever of its audiences they are in."""

    __slots__ = ("players",)

    def __init__(self) -> None:
        self.players = 0
        """Subscriptions that are an audience; relays are not."""


class Audience(Seat):
    """The subscriptions of a stream, each on the fast list of its wire format or watched; and its taps, which
    are always watched.

    Between ``hold`` and ``release`` no subscription changes lists but by leaving: what is delivered meanwhile
    finds everybody where they were.
    """

    __slots__ = (
        "_budget",
        "_chosen",
        "_crowd",
        "_emptied",
        "_fanouts",
        "_held",
        "_members",
        "_observer",
        "_taps",
        "_to_place",
        "_watched",
    )

    def __init__(
        self,
        key: StreamKey,
        intake: Intake,
        budget: MemoryBudget,
        observer: StreamObserver,
        emptied: Callable[[], None],
        crowd: Crowd,
    ) -> None:
        super().__init__(key, intake)
        self._crowd = crowd
        self._budget = budget
        self._observer = observer
        self._emptied = emptied
        self._members: dict[Subscription, None] = {}
        self._taps: dict[Tap, None] = {}
        self._watched: dict[Subscription | Tap, None] = {}
        self._fanouts: dict[WireFormat, Fanout] = {}
        self._to_place: list[Subscription] = []
        self._held = False
        self._chosen = -1
        """Version of the headers by which all have chosen who are sent tracks by name."""

    @property
    def members(self) -> Collection[Subscription]:
        """Every subscription, in order of arrival; live, copy it before attaching or detaching."""
        return self._members.keys()

    @property
    def taps(self) -> Collection[Tap]:
        """Those who take packets; live like ``members``."""
        return self._taps.keys()

    @property
    def attended(self) -> bool:
        """There is a subscription or a tap."""
        return bool(self._members) or bool(self._taps)

    def has_room_for(self, tracks: TrackChoice, choices: int) -> bool:
        """Whether somebody may choose ``tracks`` where ``choices`` may be made beside the default."""
        made = {wire_format.tracks for wire_format in self._fanouts} | {DEFAULT}
        return tracks in made or len(made) <= choices

    def attach(self, sink: Sink, outlet: Outlet, options: PlayOptions, now: float) -> Subscription:
        """Add a subscriber; it is written nothing before its ``join``."""
        self.now = now
        subscription = Subscription(self, self._fanout(sink.wire_format), sink, outlet, options, now)
        self._members[subscription] = None
        self._observer.play_started(subscription)
        if subscription.audience:
            self._count_in(subscription)
        self.place(subscription)
        return subscription

    def tap(self, sink: PacketSink, options: TapOptions, now: float) -> Tap:
        """Add a packet sink; what a joiner is given waits in its queue."""
        self.now = now
        tap = Tap(self, sink, options, self._budget, self._untap)
        self._taps[tap] = self._watched[tap] = None
        tap.join(now)
        return tap

    def take_over(self, subscription: Subscription, now: float) -> None:
        """One of another audience of the stream goes on with this; nothing is written before its ``join``."""
        self.now = now
        subscription.move(self, self._fanout(subscription.sink.wire_format))
        self._members[subscription] = None
        self.place(subscription)

    def rewire(self, subscription: Subscription) -> None:
        before, fanout = subscription.fanout, self._fanout(subscription.sink.wire_format)
        if subscription.on_fast_list:
            before.remove(subscription)
        subscription.move(self, fanout)
        self._let_go(before)
        self.place(subscription)

    def leave(self, subscription: Subscription) -> None:
        del self._members[subscription]
        self._watched.pop(subscription, None)
        if subscription.on_fast_list:
            subscription.fanout.remove(subscription)
        self._let_go(subscription.fanout)
        if not subscription.attached:
            self._observer.play_ended(subscription)
            if subscription.audience:
                self._count_out(subscription)
        if not self._members:
            self._emptied()

    def disband(self) -> None:
        """The stream has ended, and nobody is attached: nobody is told of anything any more."""
        self._emptied = _ignore

    def look(self, now: float, *, flows: bool) -> None:
        """Note who of a live stream waits for its first frame for too long; call it about once a second.

        Time in which media does not come (``flows``) is not theirs: nobody could be shown anything.
        """
        if not flows:
            self.flows_since = now
        since = max(self.live_since, self.flows_since)
        for member in self._watched:
            if not isinstance(member, Subscription) or member.joined:
                continue
            if now - max(member.since, since) >= JOIN_BOUND and _takes_anything(member):
                self.note_join(member, JoinEnd.TOO_LATE)

    # Delivery

    def place(self, subscription: Subscription) -> None:
        if self._held:
            self._to_place.append(subscription)
        else:
            self._place_now(subscription)

    def hold(self) -> None:
        """Deliveries follow."""
        self._held = True

    def release(self) -> None:
        """Everything is delivered."""
        self._held = False
        self._place_all()

    def deliver(self, segment: Segment) -> None:
        """Write ``segment`` to everybody who may have it, then move those whose state has changed."""
        watched = list(self._watched)
        messages = len(segment.packets)
        # A copy: somebody may join with a new wire format from inside a write.
        for fanout in list(self._fanouts.values()):
            members = len(fanout)
            if members:
                image = segment.image(fanout.encoding)
                if image:
                    failed = fanout.write(image)
                    self.books.count_out(len(image) * members, messages * members)
                    for member in failed:
                        member.sink_failed()
        for subscription in watched:
            if subscription.attached:
                subscription.deliver(segment, self.now)
        if segment.cached and self.intake.gop.whole:
            self.intake.gop.keep(segment)
        if self.choosers:
            self._have_chosen()
        if self._to_place:
            self._place_all()

    def tune(self, intake: Intake) -> None:
        """What is delivered from now on is of another publication."""
        self.intake = intake
        self.headers = intake.headers
        self.books = intake.books

    def notify_started(self, now: float) -> None:
        """A publisher has come."""
        self.now = self.live_since = now
        self.live = True
        # Who comes meanwhile finds it live.
        taps = list(self._taps)
        for subscription in list(self._members):
            subscription.notify_started()
        for tap in taps:
            tap.notify(Mark.STARTED)

    def notify_switched(self) -> None:
        """Another publication goes on for the last one."""
        for tap in list(self._taps):
            tap.notify(Mark.SWITCHED)

    def notify_ended(self) -> None:
        """The publisher has left."""
        self.live = False
        taps = list(self._taps)
        for subscription in list(self._members):
            subscription.notify_ended()
        for tap in taps:
            tap.notify(Mark.ENDED)

    # Lists

    def _have_chosen(self) -> None:
        """Have those look who are sent tracks by name, if there is something to see."""
        version, choosers = self.headers.version, self.choosers
        if version != self._chosen:
            self._chosen = version
            for chooser, seen in list(choosers.items()):
                if seen != version:
                    known = chooser.choose_tracks()
                    if chooser in choosers:
                        choosers[chooser] = version if known else -1
                    if not known:
                        self._chosen = -1

    def _untap(self, tap: Tap) -> None:
        del self._taps[tap], self._watched[tap]
        self._emptied()

    def _place_now(self, subscription: Subscription) -> None:
        if not subscription.attached:
            return
        if not subscription.fast:
            if subscription.on_fast_list:
                subscription.fanout.remove(subscription)
            self._watched[subscription] = None
        elif not subscription.on_fast_list:
            self._watched.pop(subscription, None)
            subscription.fanout.add(subscription)

    def _place_all(self) -> None:
        moved = self._to_place
        self._to_place = []
        for subscription in moved:
            self._place_now(subscription)

    def _fanout(self, wire_format: WireFormat) -> Fanout:
        """The fast list of a wire format, which has one user more."""
        fanout = self._fanouts.get(wire_format)
        if fanout is None:
            if wire_format.for_frames == wire_format:
                fanout = Fanout(Encoding(wire_format), Backlog(self._budget))
            else:
                shared = self._fanout(wire_format.for_frames)
                fanout = Fanout(Encoding(wire_format, shared.encoding), shared.backlog)
            self._fanouts[wire_format] = fanout
        fanout.users += 1
        return fanout

    def _let_go(self, fanout: Fanout) -> None:
        fanout.users -= 1
        if not fanout.users:
            encoding = fanout.encoding
            del self._fanouts[encoding.wire_format]
            self.intake.gop.forget(encoding)
            if encoding.for_frames is not encoding:
                self._let_go(self._fanouts[encoding.for_frames.wire_format])

    def _count_in(self, subscription: Subscription) -> None:
        server = self.books.server
        server.players += 1
        server.plays_total += 1
        if subscription.origin.protocol != RTMP:
            count(server.other_players, subscription.origin.protocol)
            count(server.other_plays, subscription.origin.protocol)
        self._crowd.players += 1
        if self._crowd.players == 1:
            self._observer.wanted(subscription)

    def _count_out(self, subscription: Subscription) -> None:
        if self.live and not subscription.joined:
            ending = subscription.ending
            ours = ending is not None and ending.reason in _OURS
            self.note_join(subscription, JoinEnd.FAILED if ours else JoinEnd.LEFT)
        server = self.books.server
        server.players -= 1
        if subscription.origin.protocol != RTMP:
            count(server.other_players, subscription.origin.protocol, -1)
        self._crowd.players -= 1
        if not self._crowd.players:
            self._observer.unwanted(subscription)


def _takes_anything(subscription: Subscription) -> bool:
    """What it is sent would get there, as far as it is up to the player."""
    wants = subscription.receives_audio or subscription.receives_video
    free = subscription.outlet.congestion is None
    return subscription.begun and wants and free and not subscription.paused


def _ignore() -> None:
    """Nobody minds."""
