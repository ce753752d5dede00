"""Streams that are shown later: packets wait in line, and go to those who are shown them in their time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from rtmpd.engine.budget import Unfinished
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life
from rtmpd.outputs.kept import Kept, KeptLimits, KeptLoss
from rtmpd.outputs.ring import Ring
from rtmpd.outputs.showing import Handle, Showing, Stage
from rtmpd.outputs.spool import Spool

PIECE_MS: Final = 100
"""What goes out at once."""
_MARGIN: Final = 30.0
"""Seconds for which more is kept than the delay: a drive may take so long to read."""
_TELL_EVERY: Final = 60.0

_logger = logging.getLogger(__name__)


class Line:
    """What waits of one stream for those who are shown it ``seconds`` later."""

    def __init__(
        self,
        registry: Registry,
        key: StreamKey,
        seconds: float,
        limits: KeptLimits,
        spool: Spool,
        clock: Callable[[], float],
        losses: Counter[KeptLoss],
    ) -> None:
        self.key = key
        self.seconds = seconds
        self._registry = registry
        self._ring = Ring(registry, key, limits, spool, clock, losses, PIECE_MS)
        self.kept = self._ring.kept
        self._showing = Showing(registry.streams[key].delayed(seconds), self.kept, seconds, clock)
        self._told_lost = 0
        """Packets that could not be kept, as far as that was logged."""

    @property
    def over(self) -> bool:
        """Nothing waits, and nothing comes."""
        stream = self._registry.streams.get(self.key)
        return self._showing.done and (stream is None or stream.life is Life.IDLE)

    @property
    def watched(self) -> bool:
        """Somebody is shown it, or waits to be."""
        return self._showing.audience.attended

    def turn(self, now: float) -> None:
        """Send what is due, and forget what was sent."""
        self._showing.turn(now)
        self.kept.forget_before(self._showing.next)

    def tell_lost(self) -> None:
        """Log that something was."""
        lost = self.kept.lost - self._told_lost
        if lost:
            self._told_lost = self.kept.lost
            fields = {"app": self.key.app, "stream": self.key.name, "delay": self.seconds, "packets": lost}
            _logger.warning("delayed stream does not fit", extra={"fields": fields})

    def forget(self) -> None:
        """Nobody is shown anything any more."""
        self._showing.close()
        self._ring.forget()


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
        self._stage = Stage(clock, call_later)
        self._limits = (64 * 1024 * 1024, 0)
        self._spool = Spool("", clock)
        self._lines: dict[tuple[StreamKey, float], Line] = {}
        self.losses: Counter[KeptLoss] = Counter(dict.fromkeys(KeptLoss, 0))
        """Packets that were given up before their time."""
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

    @property
    def kept(self) -> list[Kept]:
        """What waits."""
        return [line.kept for line in self._lines.values()]

    @property
    def write_failures(self) -> int:
        """Writes to the drive that failed."""
        return self._spool.failures

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
        self._stage.close()
        for line in list(self._lines.values()):
            line.forget()
        self._lines.clear()
        self._spool.close()

    # The streams

    def published(self, publication: Publication) -> None:
        self._begin(publication.key)

    # Inside

    def _begin(self, key: StreamKey) -> None:
        for seconds in self._delays_of(key):
            if (key, seconds) not in self._lines:
                limits = self._limits_of(seconds)
                line = Line(self._registry, key, seconds, limits, self._spool, self._clock, self.losses)
                self._lines[key, seconds] = line
                self._stage.add(line.turn, partial(self._drop, line))

    def _limits_of(self, seconds: float) -> KeptLimits:
        return KeptLimits(seconds + _MARGIN, *self._limits)

    def _tidy(self) -> None:
        """Lines go of which nothing waits, and whose stream is over; and those that the settings do not have
        any more, once nobody is shown them."""
        for line in list(self._lines.values()):
            if line.over or not (line.watched or line.seconds in self._delays_of(line.key)):
                self._drop(line)

    def _drop(self, line: Line) -> None:
        self._stage.remove(line.turn)
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
