"""A stream some of whose audience is behind, has gone back, or is shown what is made of it."""

from __future__ import annotations

from collections.abc import Callable

from rtmpd.engine.broadcast import Broadcast
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.covered import Covered
from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import PacketSink, PlayOptions, Sink, TapOptions
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.tap import Tap


class Delaying(Covered):
    """Its own audience is shown at once what is on air; others are in ``later`` or ``apart``."""

    __slots__ = ("_numbers", "apart", "later")

    def __init__(
        self,
        key: StreamKey,
        flusher: Flusher,
        budget: MemoryBudget,
        server_stats: ServerStats,
        limits: EngineLimits,
        observer: StreamObserver,
        cue: Callable[[Covered, Publication], None],
        branch: str,
    ) -> None:
        """As ``Covered``."""
        self.later: dict[float, DelayedStream] = {}
        """Audiences that are behind, by how many seconds."""
        self.apart: dict[int, DelayedStream] = {}
        """Audiences by number that are shown what somebody gives them: who has gone back, or wants fragments
        of MP4."""
        self._numbers = 0
        super().__init__(key, flusher, budget, server_stats, limits, observer, cue, branch)

    @property
    def players(self) -> int:
        """Subscriptions that are an audience, of all its audiences."""
        return self._crowd.players

    @property
    def behind(self) -> list[DelayedStream]:
        """All audiences that are not shown at once what is on air, as it is."""
        return [*self.later.values(), *self.apart.values()]

    @property
    def watched(self) -> bool:
        return bool(self._audience.members) or self._crowd.players > 0

    @property
    def everybody(self) -> list[Subscription]:
        """Every subscription of all its audiences."""
        members = list(self.subscriptions)
        for each in self.behind:
            members += each.subscriptions
        return members

    def attach(self, sink: Sink, outlet: Outlet, options: PlayOptions, now: float) -> Subscription:
        """Add a subscriber, who may be behind; see ``Registry.attach``."""
        if options.apart:
            return self.apart[options.apart].attach(sink, outlet, options, now)
        delay = self.limits.delay if options.delay is None else options.delay
        if delay:
            return self.delayed(delay).attach(sink, outlet, options, now)
        self._queueing = True  # As in what is overridden, without a call: everybody comes this way.
        return self._audience.attach(sink, outlet, options, now)

    def tap(self, sink: PacketSink, options: TapOptions, now: float) -> Tap:
        """Add a packet sink, which may be given what an audience is shown; see ``Registry.tap``."""
        source = self.source(options)
        return super().tap(sink, options, now) if source is self else source.tap(sink, options, now)

    def source(self, options: TapOptions) -> Broadcast:
        """Whose packets a sink with these options is given."""
        if options.apart:
            return self.apart[options.apart]
        delay = self.limits.delay if options.delay is None else options.delay
        return self.delayed(delay) if delay else self

    def move(self, subscription: Subscription, apart: int, now: float) -> None:
        """Have a subscription go on with the audience of that number, or with everybody (0): it begins there
        with its ``join``.
        """
        delay = self.limits.delay
        audience: Broadcast = self.delayed(delay) if delay else self
        (self.apart[apart] if apart else audience).take_over(subscription, now)

    def delayed(self, seconds: float) -> DelayedStream:
        """The audience that is so much behind, made if there is none."""
        found = self.later.get(seconds)
        if found is None:
            found = self.later[seconds] = self._make_later(seconds)
        return found

    def set_apart(self, seconds: float, *, made: bool = False) -> DelayedStream:
        """An audience of its own that begins so much behind: for ``PlayOptions.apart``, by its number.
        ``made`` as in ``DelayedStream``.
        """
        self._numbers += 1
        audience = self.apart[self._numbers] = self._make_later(seconds, self._numbers, made=made)
        return audience

    def _make_later(self, seconds: float, number: int = 0, *, made: bool = False) -> DelayedStream:
        return DelayedStream(
            self.key,
            seconds,
            self._totals,
            self._flusher,
            self._budget,
            self._server_stats,
            self.limits,
            self._forget_later,
            self._observer,
            self._crowd,
            number,
            made=made,
        )

    def _forget_later(self, delayed: DelayedStream) -> None:
        if delayed.number:
            self.apart.pop(delayed.number, None)
        else:
            self.later.pop(delayed.seconds, None)
        self._settle()

    def _cut_later(self) -> bool:
        """Show nobody what waits for them; whether anything did."""
        waiting = [each for each in self.behind if each.fed and not each.made]
        for each in waiting:
            each.give_up()
        return bool(waiting)

    def _look_at_later(self, now: float) -> None:
        for each in self.behind:
            each.look(now)
