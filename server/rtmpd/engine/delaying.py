"""A stream some of whose audience is behind, or has gone back."""

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
from rtmpd.engine.sink import PlayOptions, Sink
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.subscriber import Subscription


class Delaying(Covered):
    """Its own audience is shown at once what is on air; others are in ``later`` or ``rewound``."""

    __slots__ = ("_rewinds", "later", "rewound")

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
        self.rewound: dict[int, DelayedStream] = {}
        """Audiences that have gone back, by number: how far is up to whoever feeds them."""
        self._rewinds = 0
        super().__init__(key, flusher, budget, server_stats, limits, observer, cue, branch)

    @property
    def players(self) -> int:
        """Subscriptions that are an audience, of all its audiences."""
        return self._crowd.players

    @property
    def behind(self) -> list[DelayedStream]:
        """All audiences that are shown later, or again, what is on air."""
        return [*self.later.values(), *self.rewound.values()]

    def attach(self, sink: Sink, outlet: Outlet, options: PlayOptions, now: float) -> Subscription:
        """Add a subscriber, who may be behind; see ``Registry.attach``."""
        if options.rewind:
            return self.rewound[options.rewind].attach(sink, outlet, options, now)
        delay = self.limits.delay if options.delay is None else options.delay
        if delay:
            return self.delayed(delay).attach(sink, outlet, options, now)
        self._queueing = True  # As in what is overridden, without a call: everybody comes this way.
        return self._audience.attach(sink, outlet, options, now)

    def move(self, subscription: Subscription, rewind: int, now: float) -> None:
        """Have a subscription go on with the audience of that number, or with everybody (0): it begins there
        with its ``join``.
        """
        delay = self.limits.delay
        audience: Broadcast = self.delayed(delay) if delay else self
        (self.rewound[rewind] if rewind else audience).take_over(subscription, now)

    def delayed(self, seconds: float) -> DelayedStream:
        """The audience that is so much behind, made if there is none."""
        found = self.later.get(seconds)
        if found is None:
            found = self.later[seconds] = self._make_later(seconds)
        return found

    def rewind(self, seconds: float) -> DelayedStream:
        """An audience of its own that begins so much behind: for ``PlayOptions.rewind``, by its number."""
        self._rewinds += 1
        made = self.rewound[self._rewinds] = self._make_later(seconds, self._rewinds)
        return made

    def _make_later(self, seconds: float, number: int = 0) -> DelayedStream:
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
        )

    def _forget_later(self, delayed: DelayedStream) -> None:
        if delayed.number:
            self.rewound.pop(delayed.number, None)
        else:
            self.later.pop(delayed.seconds, None)
        self._settle()

    def _cut_later(self) -> bool:
        """Show nobody what waits for them; whether anything did."""
        waiting = [each for each in self.behind if each.fed]
        for each in waiting:
            each.give_up()
        return bool(waiting)

    def _look_at_later(self, now: float) -> None:
        for each in self.behind:
            each.look(now)
