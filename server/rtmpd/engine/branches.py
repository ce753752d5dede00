"""Streams that are in no list: what somebody alone is sent of one, with a slate of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.covered import Covered
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Publication
from rtmpd.engine.slate import Slate, SlateEnd, SlateRules
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.stream import LiveStream

_logger = logging.getLogger(__name__)


class _SlatesAlone(StreamObserver):
    """Passes on what is told of slates: all else is told of the stream itself."""

    def __init__(self, observer: StreamObserver) -> None:
        self._observer = observer

    def slate_shown(self, publication: Publication, slate: Slate, target: str) -> None:
        self._observer.slate_shown(publication, slate, target)

    def slate_over(
        self, publication: Publication, slate: Slate, target: str, why: SlateEnd, seconds: float
    ) -> None:
        self._observer.slate_over(publication, slate, target, why, seconds)


class Branches:
    """All of them. What they send counts in ``stats``, and nothing else of them does.

    ``limits_of(key)`` is what holds for the stream of that name; ``cue`` as in ``Covered``. ``observer`` is
    told of their slates.
    """

    def __init__(
        self,
        flusher: Flusher,
        budget: MemoryBudget,
        stats: ServerStats,
        limits_of: Callable[[StreamKey], EngineLimits],
        cue: Callable[[Covered, Publication], None],
        observer: StreamObserver,
    ) -> None:
        self._flusher = flusher
        self._budget = budget
        self._stats = stats
        self._limits_of = limits_of
        self._cue = cue
        self._observer = _SlatesAlone(observer)
        self._streams: dict[LiveStream, tuple[ServerStats, SlateRules]] = {}

    def __iter__(self) -> Iterator[LiveStream]:
        return iter(list(self._streams))

    def add(
        self, key: StreamKey, name: str, slate: SlateRules, release: Callable[[LiveStream], None]
    ) -> LiveStream:
        """One more, for who is sent ``key`` with another slate than everybody else.

        ``name`` is that of whoever it is, for the log and for observers. ``release`` is called when it has
        neither a publisher nor a subscriber: it is of no use any more.
        """

        def released(stream: LiveStream) -> None:
            found = self._streams.pop(stream, None)
            if found is not None:
                self._count(found[0])
            release(stream)

        stats, limits = ServerStats(), self._limits(key, slate)
        stream = LiveStream(
            key, self._flusher, self._budget, stats, limits, released, self._observer, self._cue, name
        )
        self._streams[stream] = stats, slate
        return stream

    def apply(self) -> None:
        """Other limits from now on."""
        for stream, (_, slate) in list(self._streams.items()):
            stream.apply(self._limits(stream.key, slate))

    def sample(self, now: float) -> None:
        """See ``Registry.sample``."""
        for stream, (stats, _) in list(self._streams.items()):
            try:
                stream.sample(now)
            except Exception:  # It costs this one its figures, and nobody else anything.
                _logger.exception("sampling of %s failed", stream.key)
            self._count(stats)

    def _limits(self, key: StreamKey, slate: SlateRules) -> EngineLimits:
        return replace(self._limits_of(key), slate=slate, delay=0.0)

    def _count(self, stats: ServerStats) -> None:
        self._stats.bytes_out += stats.bytes_out
        self._stats.messages_out += stats.messages_out
        stats.bytes_out = stats.messages_out = 0
