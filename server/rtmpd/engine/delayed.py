"""Streams as those see them who are shown them later, or again, or something that is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rtmpd.engine.audience import Crowd
from rtmpd.engine.books import Books
from rtmpd.engine.broadcast import Broadcast
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.packet import Packet
from rtmpd.engine.publication import Publication
from rtmpd.engine.stats import ServerStats, StreamStats, Totals


class DelayedStream(Broadcast):
    """An audience of a stream that is ``seconds`` behind it. Somebody gives it the packets when it is time,
    or others that are ``made`` of them.

    Its players are told that the stream begins, and ends, when that has come to them.
    """

    __slots__ = ("_budget", "_release", "_server_stats", "cut", "live", "made", "number", "seconds")

    def __init__(
        self,
        key: StreamKey,
        seconds: float,
        totals: Totals,
        flusher: Flusher,
        budget: MemoryBudget,
        server_stats: ServerStats,
        limits: EngineLimits,
        release: Callable[[DelayedStream], None],
        observer: StreamObserver,
        crowd: Crowd,
        number: int = 0,
        *,
        made: bool = False,
    ) -> None:
        """``totals`` are those of the stream, where it is counted what its players are sent."""
        self.seconds = seconds
        self.number = number
        """Of an audience apart: one that has gone back, or is shown what is made; 0 for one that is behind by
        the settings."""
        self.made = made
        """What it is shown is no media of RTMP: no medium is looked for in it."""
        self.live = False
        """Its players are shown something."""
        self.cut: Callable[[], None] | None = None
        """Has what waits for them be shown to nobody; None while nobody gives them anything."""
        self._budget = budget
        self._server_stats = server_stats
        self._release = release
        if made:
            limits = _promising_all(limits)
        intake = Intake.within(limits, key, Books(StreamStats(totals, 0.0), server_stats), budget, 0.0)
        super().__init__(key, intake, flusher, budget, limits, observer, crowd)

    @property
    def fed(self) -> bool:
        """Something waits for its players, or may come."""
        return self.cut is not None

    @property
    def attended(self) -> bool:
        """There is a subscription or a tap."""
        return self._audience.attended

    def feed(self, cut: Callable[[], None] | None) -> None:
        """Somebody gives it packets from now on, who shows nothing of what waits at ``cut``; or nobody."""
        self.cut = cut
        self._settle()

    def begin(self, stats: StreamStats, now: float) -> None:
        """The stream begins for its players; ``stats`` are those of its publication."""
        self.finish()
        self.live = True
        books = Books(stats, self._server_stats)
        self._tune(Intake.within(self.limits, self.key, books, self._budget, now))
        self._audience.notify_started(now)

    def finish(self) -> None:
        """It is over for them: what is pending goes out, and they are told."""
        if self.live:
            self._flush_pending()
            self.live = False
            self.intake.clear()
            self._audience.notify_ended()
            self._settle()

    def give_up(self) -> None:
        """Nobody is shown what waits: it is over for them."""
        if self.cut is not None:
            self.cut()

    def apply(self, limits: EngineLimits) -> None:
        """Other limits from now on."""
        self.limits = _promising_all(limits) if self.made else limits

    def look(self, now: float) -> None:
        """Call it about once a second."""
        if self.live:
            self.intake.look(now)
            self._audience.look(now, flows=True)

    def switched(self, _publication: Publication, _packet: Packet, _steady_for: float) -> bool:
        """It has no publications."""
        return False

    def end(self, _publication: Publication) -> None:
        """It has no publications."""

    def _after_flush(self) -> None:
        """Nothing is put off."""

    def _settle(self) -> None:
        if self._flushing or self._audience.attended:
            return
        if not self._pending:
            self._queueing = False
            self.headers.withhold(0)
        if not self.live and not self.fed:
            self._audience.disband()
            self._release(self)


def _promising_all(limits: EngineLimits) -> EngineLimits:
    """Who joins is promised all that is announced: whoever makes it knows what flows."""
    return replace(limits, headers=replace(limits.headers, absent_after=0.0))
