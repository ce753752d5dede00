"""All rings: which streams have one, and what is taken out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Final

from rtmpd.engine.budget import Unfinished
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life
from rtmpd.outputs.kept import Kept, KeptLimits, KeptLoss
from rtmpd.outputs.ring import Ring
from rtmpd.outputs.spool import Spool

_HALVINGS: Final = 3
"""Of what rings hold, at one time that memory is short."""


class Rings(StreamObserver):
    """A ring for each stream that is published and that ``limits_of`` says is to have one."""

    def __init__(
        self,
        registry: Registry,
        limits_of: Callable[[StreamKey], KeptLimits | None],
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._limits_of = limits_of
        self._clock = clock
        self._spool = Spool("", clock)
        self._rings: dict[StreamKey, Ring] = {}
        self._left: list[Ring] = []
        """They are no stream's any more, but somebody is shown what is in them."""
        self.losses: Counter[KeptLoss] = Counter(dict.fromkeys(KeptLoss, 0))
        """Packets that were given up before their time."""
        registry.add_reliever(self._relieve)

    def apply(self, folder: str) -> None:
        """Follow other settings; what does not fit into memory goes to ``folder``, if that is not empty."""
        self._spool.move(folder)
        for ring in list(self._rings.values()):
            limits = self._limits_of(ring.key)
            if limits is None:
                self._leave(ring)
            else:
                ring.kept.limits = limits
        for stream in list(self._registry.streams.values()):
            if stream.publications:
                self._begin(stream.key)

    def find(self, key: StreamKey) -> Ring | None:
        """That of a stream."""
        return self._rings.get(key)

    @property
    def kept(self) -> list[Kept]:
        """What all of them hold."""
        return [ring.kept for ring in chain(self._rings.values(), self._left)]

    @property
    def write_failures(self) -> int:
        """Writes to the drive that failed."""
        return self._spool.failures

    @property
    def spare_bytes(self) -> int:
        """What of that they give back when memory is short, before anybody else loses anything."""
        held = [kept.memory_bytes for kept in self.kept]
        return sum([size - (size >> _HALVINGS) for size in held])

    def look(self) -> None:
        """Call it about once a second."""
        now = self._clock()
        for ring in list(self._rings.values()):
            if not ring.look(now):
                self._leave(ring)
        for ring in list(self._left):
            if not (ring.readers and ring.look(now)):
                self._left.remove(ring)
                ring.forget()

    def close(self) -> None:
        """Keep nothing any more."""
        for ring in chain(self._rings.values(), self._left):
            ring.forget()
        self._rings.clear()
        self._left.clear()
        self._spool.close()

    # The streams

    def published(self, publication: Publication) -> None:
        self._begin(publication.key)

    def ended(self, publication: Publication) -> None:
        self._stop(publication.key)

    def unpublished(self, publication: Publication) -> None:
        self._stop(publication.key)

    # Inside

    def _begin(self, key: StreamKey) -> None:
        limits, before = self._limits_of(key), self._rings.get(key)
        if limits is None or (before is not None and before.ended_at is None):
            return
        if before is not None:
            self._leave(before)
        self._rings[key] = Ring(self._registry, key, limits, self._spool, self._clock, self.losses)

    def _stop(self, key: StreamKey) -> None:
        """Unless its audience waits for another encoder, or has one already."""
        stream, ring = self._registry.streams.get(key), self._rings.get(key)
        if ring is not None and (stream is None or stream.life is Life.IDLE):
            ring.stop()

    def _leave(self, ring: Ring) -> None:
        """The stream has it no more."""
        self._rings.pop(ring.key, None)
        if ring.readers:
            self._left.append(ring)
        else:
            ring.forget()

    def _relieve(self, unfinished: Unfinished) -> None:
        """Memory is short: the largest first, each half of what it has."""
        budget = self._registry.budget
        if unfinished is not Unfinished.STUCK:
            return
        largest = sorted(self.kept, key=lambda kept: kept.memory_bytes, reverse=True)
        for _ in range(_HALVINGS):
            for kept in largest:
                if budget.used <= budget.target:
                    return
                kept.give_back()
