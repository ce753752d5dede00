"""Transports that bytes leave by: flow control, and what they hold unsent, each byte counted once."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.congestion import Congestion
from rtmpd.engine.sink import CloseReason, SlowPlayerPolicy
from rtmpd.engine.stats import ServerStats

_logger = logging.getLogger(__name__)


_DEFAULT_POLICY: Final = SlowPlayerPolicy()


class Transport(Protocol):
    """What an outlet is the account of."""

    def backlog(self) -> int:
        """Bytes that it has accepted and not sent."""

    def abort(self, reason: CloseReason) -> None:
        """End it at once."""


class _Lost:
    """The transport of an outlet that is closed."""

    def backlog(self) -> int:
        return 0

    def abort(self, reason: CloseReason) -> None:
        """It needs no end."""


_LOST: Final = _Lost()


class Feed:
    """What writes to an outlet: a subscription."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = False
        """Has been written something, or would have been."""

    @property
    def backlog(self) -> Backlog:
        """What those hold unsent who are sent the same images."""
        raise NotImplementedError

    def flow_changed(self, now: float) -> None:
        """The outlet paused or resumed."""
        raise NotImplementedError

    def close(self, reason: CloseReason) -> None:
        """End it, and with it the connection."""
        raise NotImplementedError


class Outlets:
    """The outlets of the process that are congested."""

    __slots__ = ("_congested", "budget", "stats")

    def __init__(self, budget: MemoryBudget, stats: ServerStats) -> None:
        self.budget = budget
        self.stats = stats
        self._congested: dict[Outlet, None] = {}

    @property
    def behind(self) -> int:
        """How many have been past their bound since they fell behind, as of the last look."""
        congestions = [outlet.congestion for outlet in self._congested]
        return sum([each is not None and each.behind_since is not None for each in congestions])

    def add(self, outlet: Outlet) -> None:
        """It has paused."""
        self._congested[outlet] = None

    def remove(self, outlet: Outlet) -> None:
        """It has resumed or gone."""
        del self._congested[outlet]

    def sample(self, now: float) -> None:
        """Look at all of them: bring the budget in line, give up on who is behind for too long."""
        for outlet in list(self._congested):
            try:
                outlet.measure(now)
                outlet.judge(now)
            except Exception:
                _logger.exception("a transport could not be judged")
        for backlog in {outlet.backlog for outlet in self._congested}:
            if backlog is not None:
                backlog.settle()

    def relieve(self, *, strained: bool) -> None:
        """Memory is short: close who has most unsent, of those past half of their bound or of all."""
        budget = self.budget
        behind = [
            outlet
            for outlet in self._congested
            if not strained or (outlet.congestion is not None and outlet.congestion.strained)
        ]
        behind.sort(key=lambda outlet: outlet.unsent_bytes, reverse=True)
        for outlet in behind:
            if budget.used <= budget.target:
                return
            backlog = outlet.backlog
            outlet.close_all(CloseReason.MEMORY)
            if backlog is not None:
                backlog.settle()


class Backlog:
    """What outlets hold unsent of the same images: as much as the one that holds most of it.

    It grows at once, and falls when somebody looks (see ``settle``).
    """

    __slots__ = ("_budget", "_largest", "_shares")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._largest = 0
        """What the budget is charged."""
        self._shares: dict[Outlet, int] = {}

    def hold(self, outlet: Outlet, size: int) -> None:
        """``outlet`` holds ``size`` bytes of it now."""
        self._shares[outlet] = size
        if size > self._largest:
            growth = size - self._largest
            self._largest = size
            self._budget.charge_backlog(growth)

    def leave(self, outlet: Outlet) -> None:
        """``outlet`` holds nothing of it any more."""
        self._shares.pop(outlet, None)
        if not self._shares:
            self.settle()

    def settle(self) -> None:
        """Find out who holds most now."""
        largest = max(self._shares.values(), default=0)
        growth = largest - self._largest
        self._largest = largest
        self._budget.charge_backlog(growth)


class Outlet:
    """One transport, however many plays it has: what it has not sent, and since when it is behind.

    With ``private`` it holds bytes of its own, as TLS does, and no references to what others are sent.
    Whoever owns the transport calls ``pause_writing``, ``resume_writing`` and, when it is lost, ``close``.
    Who is not told when to do so has a ``PolledOutlet``.
    """

    __slots__ = (
        "_feeds",
        "_outlets",
        "_policy",
        "_private",
        "_private_bytes",
        "_transport",
        "backlog",
        "burst_bytes",
        "congestion",
        "peak_bytes",
    )

    def __init__(self, outlets: Outlets, transport: Transport, *, private: bool = False) -> None:
        self._outlets = outlets
        self._transport = transport
        self._private = private
        self._feeds: tuple[Feed, ...] = ()
        self._policy = _DEFAULT_POLICY
        self.backlog: Backlog | None = None
        """What it has a share of while congested: its only feed's, or one of its own."""
        self._private_bytes = 0
        """Of what is unsent, what the budget is charged beside ``backlog``."""
        self.burst_bytes = 0
        """Size of a burst while it is being written."""
        self.congestion: Congestion | None = None
        """Between ``pause_writing`` and ``resume_writing``."""
        self.peak_bytes = 0
        """Most that was unsent whenever it was measured."""

    @property
    def unsent_bytes(self) -> int:
        """While congested, as last measured; else 0."""
        return 0 if self.congestion is None else self.congestion.backlog

    def attach(self, feed: Feed, policy: SlowPlayerPolicy) -> None:
        """One more writes to it. The bounds are those of whoever came last."""
        self._feeds = (*self._feeds, feed)
        self._policy = policy
        if self.congestion is not None:
            self.congestion.policy = policy

    def detach(self, feed: Feed) -> None:
        """It writes no more; what it has written may still be unsent."""
        self._feeds = tuple([each for each in self._feeds if each is not feed])

    def pause_writing(self, now: float) -> None:
        """Flow control: the transport passed its high-water mark; the slow-player policy applies."""
        if self.congestion is None:
            size = self._transport.backlog()
            begun = [feed for feed in self._feeds if feed.begun]
            shared = len(begun) == 1 and not self._private
            self.backlog = begun[0].backlog if shared else Backlog(self._outlets.budget)
            self.congestion = Congestion(self._policy, size, now, self.burst_bytes)
            self._outlets.add(self)
            self._charge(size, size, 0)
            self._tell(now)

    def resume_writing(self, now: float) -> None:
        """Flow control: the transport fell under its low-water mark."""
        if self.congestion is not None:
            self._uncongest()
            self._tell(now)

    def close(self) -> None:
        """The transport is lost; refer to its owner no more."""
        if self.congestion is not None:
            self._uncongest()
        self._transport = _LOST

    def wrote(self, now: float, size: int, private: int) -> None:
        """A feed handed over ``size`` bytes more, ``private`` of them to nobody else."""
        if self.congestion is not None:
            self.congestion.wrote(now, size, private)

    def measure(self, now: float) -> None:
        """Look again how far behind it is. The budget may close feeds meanwhile, any of them."""
        congestion = self.congestion
        if congestion is not None:
            size = self._transport.backlog()
            growth = size - congestion.backlog
            congestion.measure(now, size)
            self._charge(growth, size, min(congestion.private_bytes, size))

    def judge(self, now: float) -> None:
        """Close who is behind for too long."""
        if self.congestion is not None and self.congestion.overdue(now):
            self.close_all(CloseReason.SLOW)

    def close_all(self, reason: CloseReason) -> None:
        """End every feed, and the transport with what it holds."""
        feeds = self._feeds
        for feed in feeds:
            feed.close(reason)
        if not feeds:
            self._transport.abort(reason)
        if self.congestion is not None:
            self._uncongest()

    def _charge(self, growth: int, size: int, private: int) -> None:
        """It has ``growth`` bytes more unsent: ``size``, ``private`` of them nobody else's."""
        if size > self.peak_bytes:
            self.peak_bytes = size
        self._outlets.stats.unsent_bytes += growth
        private_growth = private - self._private_bytes
        self._private_bytes = private
        self._outlets.budget.charge_backlog(private_growth)
        if self.backlog is not None:  # The budget may just have closed us.
            self.backlog.hold(self, size - private)

    def _uncongest(self) -> None:
        self._outlets.stats.unsent_bytes -= self.unsent_bytes
        self.congestion = None
        self._outlets.remove(self)
        self._outlets.budget.charge_backlog(-self._private_bytes)
        self._private_bytes = 0
        if self.backlog is not None:
            self.backlog.leave(self)
            self.backlog = None

    def _tell(self, now: float) -> None:
        for feed in self._feeds:
            feed.flow_changed(now)
