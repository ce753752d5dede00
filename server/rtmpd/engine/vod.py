"""Pieces of files that are played, and who plays them: counted with other players, attached to no stream."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple, Protocol

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.key import StreamKey
from rtmpd.engine.outlet import Backlog, Feed
from rtmpd.engine.packet import Packet
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats

HOLE_MS: Final = 10_000
"""Nobody waits through a longer hole in the times of a file."""
BACK_MS: Final = 3000
"""A longer step back is a new beginning. A piece ends before either."""


class Place(NamedTuple):
    """Somewhere to begin in a file."""

    cursor: int
    """For whoever reads there."""
    position: int
    """Its time (ms)."""


class Block(NamedTuple):
    """A piece of a file."""

    packets: list[Packet]
    """In order, with times from its beginning on (ms)."""
    cursor: int
    """Where the next piece begins."""
    next_position: int | None
    """Its time (ms), where it is known: too late for this piece, or no step from it."""
    ended: bool
    """There is no next piece."""


class Viewer(Protocol):
    """Who plays a file."""

    def flow_changed(self, now: float) -> None:
        """Its transport is full, or takes more again."""

    def close(self, reason: CloseReason) -> None:
        """It does not read, or memory is short: end the connection."""


class VodFeed(Feed):
    """What a viewer is sent, for its outlet: images that nobody else is sent."""

    __slots__ = ("_backlog", "_viewer")

    def __init__(self, viewer: Viewer, budget: MemoryBudget) -> None:
        super().__init__()
        self.begun = True
        self._viewer = viewer
        self._backlog = Backlog(budget)

    @property
    def backlog(self) -> Backlog:
        return self._backlog

    def flow_changed(self, now: float) -> None:
        self._viewer.flow_changed(now)

    def close(self, reason: CloseReason) -> None:
        self._viewer.close(reason)


class Viewers:
    """Who plays files, by name."""

    def __init__(self, stats: ServerStats) -> None:
        self._stats = stats
        self._counts: Counter[StreamKey] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def of(self, key: StreamKey) -> int:
        """How many play the file of that name."""
        return self._counts.get(key, 0)

    def items(self) -> list[tuple[StreamKey, int]]:
        """Names that somebody plays, and how many do."""
        return list(self._counts.items())

    def add(self, key: StreamKey) -> None:
        """One more plays it."""
        self._counts[key] += 1
        self._stats.players += 1
        self._stats.viewers += 1
        self._stats.plays_total += 1

    def remove(self, key: StreamKey) -> None:
        """One less."""
        self._stats.players -= 1
        self._stats.viewers -= 1
        self._counts[key] -= 1
        if self._counts[key] <= 0:
            del self._counts[key]
