"""Streams as those see them who are shown them later, or again: the same packets, to other audiences."""

from __future__ import annotations

from collections.abc import Callable

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
    """An audience of a stream that is ``seconds`` behind it. Somebody gives it the packets when it is time.

    Its players are told that the stream begins, and ends, when that has come to them.
    """

    __slots__ = ("_budget", "_release", "_server_stats", "cut", "live", "number", "seconds")

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
    ) -> None:
        """``totals`` are those of the stream, where it is counted what its players are sent."""
        self.seconds = seconds
        self.number = number
        """Of an audience that has gone back; 0 for one that is behind by the settings."""
        self.live = False
        """Its players are shown something."""
        self.cut: Callable[[], None] | None = None
        """Has what waits for them be shown to nobody; None while nobody gives them anything."""
        self._budget = budget
        self._server_stats = server_stats
        self._release = release
        intake = Intake.within(limits, key, Books(StreamStats(totals, 0.0), server_stats), budget, 0.0)
        super().__init__(key, intake, flusher, budget, limits, observer, crowd)

    @property
    def fed(self) -> bool:
        """Something waits for its players, or may come."""
        return self.cut is not None

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
