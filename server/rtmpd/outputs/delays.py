"""Streams that are shown later: packets wait in line, and go to those who are shown them in their time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

from rtmpd.engine.budget import Unfinished
from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.packet import CACHED_HEADER, VIDEO, Packet
from rtmpd.engine.packet_queue import Mark
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, TapOptions
from rtmpd.engine.sources import Life
from rtmpd.engine.stats import StreamStats
from rtmpd.engine.stream import LiveStream
from rtmpd.outputs.kept import Kept, KeptLimits, Piece
from rtmpd.outputs.spool import Spool

TICK: Final = 0.05
"""Seconds between two looks at what is due, of all that wait."""
PIECE_MS: Final = 100
"""What goes out at once."""
_MARGIN: Final = 30.0
"""Seconds for which more is kept than the delay: a drive may take so long to read."""
_TELL_EVERY: Final = 60.0
_TAP: Final = TapOptions()

_logger = logging.getLogger(__name__)


class Handle(Protocol):
    """A timer that has yet to run."""

    def cancel(self) -> None: ...


class Line:
    """What waits of one stream for those who are shown it ``seconds`` later. A packet sink."""

    def __init__(
        self,
        registry: Registry,
        key: StreamKey,
        seconds: float,
        limits: KeptLimits,
        spool: Spool,
        clock: Callable[[], float],
    ) -> None:
        self.key = key
        self.seconds = seconds
        self._registry = registry
        self._clock = clock
        self.kept = Kept(limits, registry.budget, spool, clock, PIECE_MS)
        self._marks: deque[tuple[int, float, bool, StreamStats]] = deque()
        """Before which piece, when, whether the stream begins or ends there, and the figures of it."""
        self._next = 0
        """Number of the piece that goes out next."""
        self._reading = self._turning = False
        self._told_lost = 0
        """Packets that could not be kept, as far as that was logged."""
        self._broken = False
        """Something was lost: pictures go on with a key frame."""
        self._closed = False
        self._tap = registry.tap(key, self, _TAP, clock())
        registry.streams[key].delayed(seconds).feed(self.end_now)
        self.ready()

    @property
    def stream(self) -> LiveStream | None:
        """That it is a tap of."""
        return self._registry.streams.get(self.key)

    @property
    def watched(self) -> bool:
        """Somebody is shown it, or waits to be."""
        delayed = self._delayed
        return delayed is not None and delayed.watched

    @property
    def empty(self) -> bool:
        """Nothing waits."""
        return not self._marks and self._next >= self.kept.end and not self._reading

    def ready(self) -> None:
        """Take what is there."""
        while items := self._tap.take():
            packets: list[Packet] = []
            for item in items:
                if isinstance(item, Packet):
                    if item.flags & CACHED_HEADER and item.kind == VIDEO and item.payload:
                        self.kept.headers = (item,)
                    packets.append(item)
                    continue
                self._keep(packets)
                packets = []
                self.kept.cut()
                if item in (Mark.STARTED, Mark.ENDED):
                    self._mark(begins=item is Mark.STARTED)
            self._keep(packets)

    def close(self, _reason: CloseReason) -> None:
        """The engine has ended the tap: what waits goes out, then it is over."""
        self._mark(begins=False)

    def turn(self, now: float) -> None:
        """Send what is due."""
        self._turning = True
        try:
            self._send_due(now)
        finally:
            self._turning = False

    def _send_due(self, now: float) -> None:
        while not self._reading and not self._closed:
            if self._marks and self._marks[0][0] <= self._next:
                _, at, begins, stats = self._marks[0]
                if at + self.seconds > now:
                    return
                self._marks.popleft()
                self._pass_mark(stats, now, begins=begins)
                continue
            piece = self.kept.piece(self._next)
            if piece is None or piece.at + self.seconds > now:
                return
            if piece.number == self.kept.end - 1:
                self.kept.cut()  # What still comes is another one.
            self._broken = self._broken or piece.number != self._next
            self._next = piece.number + 1
            self._reading = True
            self.kept.read(piece, partial(self._send, piece))

    def tell_lost(self) -> None:
        """Log that something was."""
        lost = self.kept.lost - self._told_lost
        if lost:
            self._told_lost = self.kept.lost
            fields = {"app": self.key.app, "stream": self.key.name, "delay": self.seconds, "packets": lost}
            _logger.warning("delayed stream does not fit", extra={"fields": fields})

    def end_now(self) -> None:
        """What waits is shown to nobody: it is over now."""
        self._marks.clear()
        self._next = self.kept.end
        self.kept.forget_before(self._next)
        if (delayed := self._delayed) is not None:
            delayed.finish()

    def forget(self) -> None:
        """Nobody is shown anything any more."""
        if not self._closed:
            self.end_now()
            self._closed = True
            if (delayed := self._delayed) is not None:
                delayed.feed(None)
            self._tap.detach()
            self.kept.close()

    # Inside

    def _keep(self, packets: list[Packet]) -> None:
        if packets:
            self.kept.add(packets)

    def _mark(self, *, begins: bool) -> None:
        stream = self.stream
        if stream is not None:
            self._marks.append((self.kept.end, self._clock(), begins, stream.stats))

    @property
    def _delayed(self) -> DelayedStream | None:
        stream = self.stream
        return None if stream is None else stream.later.get(self.seconds)

    def _pass_mark(self, stats: StreamStats, now: float, *, begins: bool) -> None:
        delayed = self._delayed
        if delayed is None:
            return
        if begins:
            self._broken = False
            delayed.begin(stats, now)
        else:
            delayed.finish()

    def _send(self, piece: Piece, outcome: list[Packet] | Exception) -> None:
        self._reading = False
        delayed = self._delayed
        if self._closed or delayed is None or not delayed.live:
            return
        packets = [] if isinstance(outcome, Exception) else outcome
        if not packets:
            self._broken = True
        elif self._broken and piece.keyed:
            self._broken = False
        self.kept.forget_before(self._next)
        for packet in packets:
            if not self._broken or packet.kind != VIDEO or packet.flags & CACHED_HEADER:
                delayed.push(packet)
        if not self._turning:  # It came from the drive, and more may be due.
            self.turn(self._clock())


class Delays(StreamObserver):
    """A line for each delay of each stream that is published; ``delays_of`` says which there are."""

    def __init__(
        self,
        registry: Registry,
        delays_of: Callable[[StreamKey], Iterable[float]],
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Handle],
    ) -> None:
        self._registry = registry
        self._delays_of = delays_of
        self._clock = clock
        self._call_later = call_later
        self._limits = (64 * 1024 * 1024, 0)
        self._spool = Spool("", clock)
        self._lines: dict[tuple[StreamKey, float], Line] = {}
        self._timer: Handle | None = None
        self._told_at = -_TELL_EVERY
        registry.add_reliever(self._relieve)

    def apply(self, folder: str, memory_bytes: int, disk_bytes: int) -> None:
        """Follow other settings: ``memory_bytes`` of each line are in memory, ``disk_bytes`` in a folder."""
        self._spool.move(folder)
        self._limits = (memory_bytes, disk_bytes)
        for line in self._lines.values():
            line.kept.limits = self._limits_of(line.seconds)
        for stream in list(self._registry.streams.values()):
            if stream.publications:
                self._begin(stream.key)

    def look(self) -> None:
        """Call it about once a second."""
        now = self._clock()
        if now - self._told_at >= _TELL_EVERY:
            self._told_at = now
            for line in self._lines.values():
                line.tell_lost()
        self._tidy()

    def close(self) -> None:
        """Show nothing any more."""
        for line in list(self._lines.values()):
            line.forget()
        self._lines.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._spool.close()

    # The streams

    def published(self, publication: Publication) -> None:
        self._begin(publication.key)

    # Inside

    def _begin(self, key: StreamKey) -> None:
        for seconds in self._delays_of(key):
            if (key, seconds) not in self._lines:
                limits = self._limits_of(seconds)
                line = Line(self._registry, key, seconds, limits, self._spool, self._clock)
                self._lines[key, seconds] = line
        if self._lines and self._timer is None:
            self._timer = self._call_later(TICK, self._turn)

    def _limits_of(self, seconds: float) -> KeptLimits:
        return KeptLimits(seconds + _MARGIN, *self._limits)

    def _turn(self) -> None:
        self._timer = self._call_later(TICK, self._turn) if self._lines else None
        now = self._clock()
        for line in list(self._lines.values()):
            try:
                line.turn(now)
            except Exception:
                _logger.exception("a delayed stream failed")
                self._drop(line)

    def _tidy(self) -> None:
        """Lines go of which nothing waits, and whose stream is over; and those that the settings do not have
        any more, once nobody is shown them."""
        for line in list(self._lines.values()):
            stream = line.stream
            over = line.empty and (stream is None or stream.life is Life.IDLE)
            if over or not (line.watched or line.seconds in self._delays_of(line.key)):
                self._drop(line)

    def _drop(self, line: Line) -> None:
        self._lines.pop((line.key, line.seconds), None)
        line.forget()

    def _relieve(self, unfinished: Unfinished) -> None:
        """Memory is short: who is shown a stream later misses something before anybody has to go."""
        budget = self._registry.budget
        if unfinished is not Unfinished.STRANGERS:
            return
        for line in sorted(self._lines.values(), key=lambda line: line.kept.memory_bytes, reverse=True):
            if budget.used <= budget.target:
                return
            line.kept.give_back()
