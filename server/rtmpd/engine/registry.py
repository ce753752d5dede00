"""All streams of the process: who publishes under a name, who waits for it, what they may cost together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from rtmpd.engine.branches import Branches
from rtmpd.engine.budget import MemoryBudget, Unfinished
from rtmpd.engine.claim import (
    MAIN,
    REFUSE,
    Claim,
    ClaimPolicy,
    Place,
    of_one_stream,
    seconds_held,
)
from rtmpd.engine.continuity import Continuity
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits, Quota, counted
from rtmpd.engine.media_limits import MediaRules
from rtmpd.engine.observer import Announcer, StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.outlet import Outlet, Outlets
from rtmpd.engine.prompter import Prompter
from rtmpd.engine.publication import Publication, PublicationOwner
from rtmpd.engine.sessions import SessionTable
from rtmpd.engine.sink import CloseReason, Ending, PacketSink, PlayOptions, Sink, TapOptions
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.stream import LiveStream
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.tap import Tap
from rtmpd.engine.terms import Terms
from rtmpd.engine.vod import Viewers
from rtmpd.exceptions import ResourceExhausted, StreamBusy
from rtmpd.media.tracks import DEFAULT, TrackChoice
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode

_AT_A_TIME: Final = " at a time: try again when one has left."
_IDLE: Final = Ending(CloseReason.IDLE)

_logger = logging.getLogger(__name__)


class Registry:
    """StreamKey -> LiveStream. An entry exists while it has a publisher, a subscriber or a tap.

    What it refuses it raises as ``Refused``; counting refusals is up to who answers the peer. ``limits_of``
    says what holds for one stream instead of the limits of all.
    """

    def __init__(
        self,
        flusher: Flusher,
        stats: ServerStats,
        limits: EngineLimits | None = None,
        limits_of: Callable[[StreamKey, EngineLimits], EngineLimits] | None = None,
    ) -> None:
        self.limits = limits or EngineLimits()
        self._limits_of = limits_of or (lambda _key, limits: limits)
        self.stats = stats
        self.budget = MemoryBudget(self.limits.memory_bytes, self._relieve)
        self.outlets = Outlets(self.budget, stats)
        """Every transport that the engine writes to belongs to it."""
        self.sessions = SessionTable()
        """Everybody who is connected; each protocol puts its own in."""
        self._announcer = Announcer(flusher.call_soon)
        self.viewers = Viewers(stats, self._announcer)
        """Of files: counted in ``stats.players``, and as players of the stream of that name."""
        self.prompter = Prompter()
        self._relievers: list[Callable[[Unfinished], None]] = []
        self._companions: list[Callable[[Publication], None]] = []
        self._flusher = flusher
        self.branches = Branches(
            flusher, self.budget, stats, self.limits_at, self.prompter.cue, self._announcer
        )
        self._continuity = Continuity(stats.levels)
        self._streams: dict[StreamKey, LiveStream] = {}
        self.streams: Mapping[StreamKey, LiveStream] = MappingProxyType(self._streams)
        """Live view of every entry, waiting ones included; copy it before anything that may end one."""

    def limits_at(self, key: StreamKey) -> EngineLimits:
        """What holds for that stream now, be it there or not."""
        return self._limits_of(key, self.limits)

    def end_hold(self, key: StreamKey) -> bool:
        """Tell the audience of ``key`` that who it is kept for does not come; False if it is not kept."""
        stream = self._streams.get(key)
        return stream is not None and stream.end_hold()

    def apply(self, limits: EngineLimits) -> None:
        """``limits`` hold from now on, and for each stream what ``limits_of`` makes of them now.

        Whoever is there already stays, as far as memory lasts; what a stream's caches hold beyond its limits
        goes.
        """
        self.limits = limits
        for stream in list(self._streams.values()):
            stream.apply(self._limits_of(stream.key, limits))
        self.branches.apply()
        self.budget.limit(limits.memory_bytes)

    def observe(self, observer: StreamObserver, *, borrowed: bool = False) -> None:
        """Tell ``observer`` of everybody who comes and goes from now on.

        Not of publications that are borrowed (``Origin.is_borrowed``), unless it wants to know.
        """
        self._announcer.observe(observer, borrowed=borrowed)

    def accompany(self, join: Callable[[Publication], None]) -> None:
        """Have ``join`` called with every publication from now on, before anything of it has come: observers
        are told when some has. It may tap the stream. What it raises is logged.
        """
        self._companions.append(join)

    def add_reliever(self, relieve: Callable[[Unfinished], None]) -> None:
        """Have ``relieve`` called when memory is short: close who holds most of an unfinished message, of
        those that it is told, until ``budget.used`` is not above ``budget.target``.
        """
        self._relievers.append(relieve)

    def claim(
        self,
        key: StreamKey,
        owner: PublicationOwner,
        origin: Origin,
        now: float,
        policy: ClaimPolicy = REFUSE,
        max_players: int | None = None,
        media: MediaRules | None = None,
        place: Place = MAIN,
        mode: str = "live",
    ) -> Publication:
        """Take the publisher's place of ``key``; when somebody has it, ``policy`` decides, as it does whether
        an audience that waits for somebody else has got who it waits for.

        ``max_players`` holds while it is on air instead of ``EngineLimits.max_players_per_stream``, ``media``
        for as long as the publication lasts. A backup in ``place`` of one stands by, or is stood by for.
        ``mode`` is as in ``Terms``.

        Raises ``StreamBusy`` when the place is taken and stays so, ``ResourceExhausted`` at a ceiling.
        """
        rival, reason = self.check_claim(key, origin, now, policy, place)
        stream = self._streams.get(key)
        before = rival or (None if stream is None else stream.lost)
        if stream is not None and before is not None:
            known = of_one_stream(origin, place, before.origin, before.place)
            if not known and not policy.resumes(_facts(before, origin, now)):
                rival = None
                stream.begin_anew(CloseReason.SUPERSEDED, origin)
        stream = self._stream(key)
        publication = stream.add_publication(
            owner, origin, now, Terms(policy, max_players, media, place, mode)
        )
        if rival is not None and reason is not None:
            # First, so that the audience waits for it.
            if rival is stream.holder:
                stream.switch(publication)
            rival.dismiss(reason, by=origin)
        _join(self._companions, publication)
        return publication

    def check_claim(
        self, key: StreamKey, origin: Origin, now: float, policy: ClaimPolicy = REFUSE, place: Place = MAIN
    ) -> tuple[Publication | None, CloseReason | None]:
        """Whom ``claim`` would have go now, and why, with nothing done about it. Raises what it would."""
        rival = _rival(self._streams.get(key), origin, place)
        reason = None if rival is None else _decide(policy, rival, origin, now)
        self._check_claim(origin, rival)
        self._check_quota(self.limits_at(key).publishers, rival)
        return rival, reason

    def give_way(self, key: StreamKey, origin: Origin, now: float, policy: ClaimPolicy, place: Place) -> None:
        """Have the publication go that ``claim`` would have superseded, for one of another process.

        Raises ``StreamBusy`` where it stays.
        """
        rival = _rival(self._streams.get(key), origin, place)
        if rival is not None and not rival.origin.is_borrowed:
            rival.dismiss(_decide(policy, rival, origin, now), by=origin)

    def contest(
        self, key: StreamKey, origin: Origin, now: float, policy: ClaimPolicy, place: Place = MAIN
    ) -> tuple[Publication, float] | None:
        """The publication that ``claim`` would be refused for now, and after how many more seconds of its
        silence ``policy`` would have it go; None where there is nothing to wait for.
        """
        rival = _rival(self._streams.get(key), origin, place)
        if rival is None:
            return None
        claim = _facts(rival, origin, now)
        patience = 0.0 if policy.supersede(claim) is not None else policy.patience(claim)
        return (rival, patience) if patience > 0.0 else None

    def check_attach(
        self, key: StreamKey, tracks: TrackChoice = DEFAULT, network: str = "", *, vod: bool = False
    ) -> None:
        """Raise ``ResourceExhausted`` if ``attach`` would: for who must answer before media flows, or plays
        a file (``vod``).
        """
        limits = self.limits_at(key)
        stream = self._streams.get(key)
        if limits.max_players and self.stats.players >= limits.max_players:
            text = f"This server takes {counted(limits.max_players, 'player')}{_AT_A_TIME}"
            raise ResourceExhausted(StatusCode.PLAY_FAILED, text, Refusal.PLAYERS)
        quota = limits.players
        if quota.most and self._players_of(quota) >= quota.most:
            text = f"{quota.name} takes {counted(quota.most, 'player')}{_AT_A_TIME}"
            raise ResourceExhausted(StatusCode.PLAY_FAILED, text, Refusal.PLAYERS_PER_APP)
        if stream is None and not vod:
            self._check_waiting(network)
        most = limits.max_players_per_stream if stream is None else _max_players(stream, limits)
        if most and self.viewers.of(key) + (0 if stream is None else stream.players) >= most:
            text = f"This stream takes {counted(most, 'player')}{_AT_A_TIME}"
            raise ResourceExhausted(StatusCode.PLAY_FAILED, text, Refusal.PLAYERS_PER_STREAM)
        # Nearly everybody takes the default, for which there always is room.
        if stream is not None and tracks != DEFAULT:
            stream.check_tracks(tracks, limits.max_track_choices)
        if self.budget.exhausted:
            raise ResourceExhausted(
                StatusCode.PLAY_FAILED, "This server is out of memory for media.", Refusal.MEMORY
            )

    def attach(
        self, key: StreamKey, sink: Sink, outlet: Outlet, options: PlayOptions, now: float
    ) -> Subscription:
        """Subscribe ``sink``, which writes to ``outlet``, to ``key``.

        Nothing is written before ``Subscription.join``, so that a peer is only promised what it has got for
        sure. Without a publisher the subscription waits. Raises ``ResourceExhausted`` at a ceiling of the
        audience.
        """
        if options.audience:
            self.check_attach(key, sink.wire_format.tracks, options.origin.network)
        return self._stream(key).attach(sink, outlet, options, now)

    def tap(self, key: StreamKey, sink: PacketSink, options: TapOptions, now: float) -> Tap:
        """Give ``sink`` the packets of ``key``, through a bounded queue; it takes from it when it likes.

        What a joiner gets waits there already. Without a publisher the tap waits; it keeps the stream's entry
        as a subscription does, and is no audience: no ceiling holds for it, and it makes no stream wanted.
        """
        return self._stream(key).tap(sink, options, now)

    def sample(self, now: float) -> None:
        """Derive rates, enforce deadlines of publishers and slow players; call it about once a second."""
        self.stats.sample(now)
        self._continuity.begin(now)
        for stream in list(self._streams.values()):
            try:
                self._continuity.look(stream, now)
                stream.sample(now)
                for publication in stream.publications:
                    if publication.inspect():
                        _expect_media(publication, stream.limits, now)
            except Exception:  # It costs this stream its figures, and nobody else anything.
                _logger.exception("sampling of %s failed", stream.key)
        self.branches.sample(now)
        self._make_room_to_wait()
        self.outlets.sample(now)
        self._continuity.end(self.outlets.behind)

    def _stream(self, key: StreamKey) -> LiveStream:
        stream = self._streams.get(key)
        if stream is None:
            stream = LiveStream(
                key,
                self._flusher,
                self.budget,
                self.stats,
                self.limits_at(key),
                self._release,
                self._announcer,
                self.prompter.cue,
            )
            self._streams[key] = stream
        return stream

    def _check_claim(self, origin: Origin, holder: Publication | None) -> None:
        """Raise ``ResourceExhausted`` if there may be no publication more in the place of ``holder``'s."""
        limit, network = self.limits.max_publishers, origin.network
        if limit and self.stats.publishers - (holder is not None) >= limit:
            text = f"This server takes {counted(limit, 'publisher')}{_AT_A_TIME}"
            raise ResourceExhausted(StatusCode.PUBLISH_REJECTED, text, Refusal.PUBLISHERS)
        share = self.limits.max_publishers_per_network
        if share and network:
            replaced = holder is not None and holder.origin.network == network
            if self._published_by(network) - replaced >= share:
                text = f"This server takes {counted(share, 'publisher')} from one address{_AT_A_TIME}"
                raise ResourceExhausted(StatusCode.PUBLISH_REJECTED, text, Refusal.PUBLISHERS_PER_ADDRESS)
        if self.budget.exhausted:
            text = "This server is out of memory for media."
            raise ResourceExhausted(StatusCode.PUBLISH_REJECTED, text, Refusal.MEMORY)

    def _check_quota(self, quota: Quota, holder: Publication | None) -> None:
        """The same of the streams with this quota."""
        if not quota.most:
            return
        there = [len(each.publications) for each in self._streams.values() if each.limits.publishers == quota]
        if sum(there) - (holder is not None) >= quota.most:
            text = f"{quota.name} takes {counted(quota.most, 'publisher')}{_AT_A_TIME}"
            raise ResourceExhausted(StatusCode.PUBLISH_REJECTED, text, Refusal.PUBLISHERS_PER_APP)

    def _players_of(self, quota: Quota) -> int:
        live = sum([each.players for each in self._streams.values() if each.limits.players == quota])
        of = self.viewers.items()
        return live + sum([len(plays) for key, plays in of if self.limits_at(key).players == quota])

    def _check_waiting(self, network: str) -> None:
        """Raise ``ResourceExhausted`` if nobody, or nobody of ``network``, may wait for one name more."""
        limits = self.limits
        text = ""
        waiting, share = self._awaited_names, limits.max_waiting_names_per_network
        if limits.max_waiting_names and waiting >= limits.max_waiting_names:
            text, reason = "too many players wait for others already", Refusal.WAITING_NAMES
        # Counted only when there are as many as that.
        elif share and network and waiting >= share and self._awaited_by(network) >= share:
            text, reason = "your address waits for too many others already", Refusal.WAITING_NAMES_PER_ADDRESS
        if text:
            text = f"Nobody publishes this stream, and {text}."
            raise ResourceExhausted(StatusCode.PLAY_STREAM_NOT_FOUND, text, reason)

    def _published_by(self, network: str) -> int:
        streams = self._streams.values()
        return sum(each.origin.network == network for stream in streams for each in stream.publications)

    @property
    def _awaited_names(self) -> int:
        """Names without a publisher; those that are kept for one are not awaited."""
        return len(self._streams) - self.stats.published_streams - self.stats.held_streams

    def _waiting(self) -> Iterator[tuple[LiveStream, str]]:
        """Of those that players wait for, each with the network of the first of them."""
        for stream in list(self._streams.values()):
            if stream.watched and not (stream.publications or stream.lost):
                yield stream, stream.everybody[0].origin.network

    def _awaited_by(self, network: str) -> int:
        return sum(each == network for _, each in self._waiting())

    def _make_room_to_wait(self) -> None:
        """Names to wait for are short: whoever waits for more than its share, as publishers have left, loses
        what is beyond."""
        limits, awaited = self.limits, Counter[str]()
        share = limits.max_waiting_names_per_network
        if not (share and 0 < limits.max_waiting_names <= self._awaited_names):
            return
        for stream, network in self._waiting():
            awaited[network] += 1
            if network and awaited[network] > share:
                for subscription in stream.everybody:
                    if subscription.origin.network == network:
                        subscription.close(CloseReason.CROWDED)

    def _release(self, stream: LiveStream) -> None:
        if self._streams.get(stream.key) is stream:
            del self._streams[stream.key]

    def _relieve(self) -> None:
        """Memory is short: who sits on much of a message goes first, then whoever is behind, then who holds
        half a message and publishes nothing, then caches, then what waits for packet sinks, and at last
        everybody with half a message.
        """
        budget = self.budget
        self._give_up(Unfinished.STUCK)
        self.outlets.relieve(strained=True)
        self._give_up(Unfinished.STRANGERS)
        streams = sorted(
            [*self._streams.values(), *self.branches],
            key=lambda stream: stream.gop_charged_bytes,
            reverse=True,
        )
        for _ in range(3):
            for stream in streams:
                if budget.used <= budget.target:
                    return
                stream.trim()
        taps = [tap for stream in streams for tap in stream.taps]
        taps.sort(key=lambda tap: tap.held_bytes, reverse=True)
        for tap in taps:
            if budget.used <= budget.target:
                return
            tap.give_back()
        self.outlets.relieve(strained=False)
        self._give_up(Unfinished.ALL)

    def _give_up(self, unfinished: Unfinished) -> None:
        for relieve in self._relievers:
            relieve(unfinished)


def _facts(holder: Publication, claimant: Origin, now: float) -> Claim:
    return Claim(holder.key, claimant, holder.origin, holder.silent_for(now))


def _expect_media(publication: Publication, limits: EngineLimits, now: float) -> None:
    """End a publication that sends nothing: pings alone do not keep a name."""
    begun = publication.stats.last_media_at is not None
    patience = limits.idle_publisher_timeout if begun else limits.first_media_timeout
    silent_for = publication.silent_for(now)
    if silent_for < patience:
        return
    if begun and publication.origin.via.hops:
        # Another rtmpd keeps its connections while its encoder is away.
        patience += seconds_held(publication.policy, publication.key, _IDLE)
    if silent_for >= patience:
        publication.dismiss(CloseReason.IDLE)


def _max_players(stream: LiveStream, limits: EngineLimits) -> int:
    """What the publication on air was granted, or else what holds for the stream."""
    on_air = stream.publication
    granted = None if on_air is None else on_air.max_players
    return limits.max_players_per_stream if granted is None else granted


def _rival(stream: LiveStream | None, origin: Origin, place: Place) -> Publication | None:
    return None if stream is None else stream.rival(origin, place)


def _join(companions: Iterable[Callable[[Publication], None]], publication: Publication) -> None:
    for join in companions:
        try:
            join(publication)
        except Exception:
            _logger.exception("a companion of %s failed", publication.key)


def _decide(policy: ClaimPolicy, holder: Publication, claimant: Origin, now: float) -> CloseReason:
    """The one place where a second claim on a name is decided. Raises ``StreamBusy`` if it is refused."""
    reason = policy.supersede(_facts(holder, claimant, now))
    if reason is None:
        raise StreamBusy(
            StatusCode.PUBLISH_BAD_NAME,
            f"{holder.key.name} is being published by somebody else. If that was you, try again in a moment.",
            Refusal.STREAM_BUSY,
        )
    return reason
