"""Pieces of files that are played, and who plays them: counted with other players, attached to no stream."""

from __future__ import annotations

import math
from typing import Final, NamedTuple, Protocol

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import RTMP, Origin
from rtmpd.engine.outlet import Backlog, Feed
from rtmpd.engine.packet import Packet
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.engine.stats import ServerStats, count

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


class VodPlay:
    """Somebody plays a file: what becomes of it. Times are clock readings."""

    __slots__ = ("bytes_out", "ending", "key", "origin", "since", "until")

    def __init__(self, key: StreamKey, origin: Origin, since: float) -> None:
        self.key = key
        """Of the stream that the file is called by."""
        self.origin = origin
        """Who plays it."""
        self.since = since
        """When it was asked for."""
        self.until = math.inf
        """When it ended."""
        self.bytes_out = 0
        """Of the file that were written."""
        self.ending: Ending | None = None
        """How it ended; None while it goes on."""


class VodObserver(Protocol):
    """Who is told of those who play files."""

    def vod_started(self, play: VodPlay) -> None:
        """Somebody plays a file."""

    def vod_ended(self, play: VodPlay) -> None:
        """That is over, and ``ending`` says why."""


class Viewers:
    """Who plays files, by name."""

    def __init__(self, stats: ServerStats, observer: VodObserver) -> None:
        self._stats = stats
        self._observer = observer
        self._plays: dict[StreamKey, dict[VodPlay, None]] = {}

    def __len__(self) -> int:
        return sum([len(plays) for plays in self._plays.values()])

    def of(self, key: StreamKey) -> int:
        """How many play the file of that name."""
        return len(self._plays.get(key, ()))

    def items(self) -> list[tuple[StreamKey, list[VodPlay]]]:
        """Names that somebody plays, and their plays."""
        return [(key, list(plays)) for key, plays in self._plays.items()]

    def begin(self, play: VodPlay) -> None:
        """One more."""
        self._plays.setdefault(play.key, {})[play] = None
        stats, protocol = self._stats, play.origin.protocol
        stats.players += 1
        stats.viewers += 1
        stats.plays_total += 1
        if protocol != RTMP:
            count(stats.other_players, protocol)
            count(stats.other_plays, protocol)
        self._observer.vod_started(play)

    def end(self, play: VodPlay, now: float) -> None:
        """One less."""
        play.until = now
        stats, protocol, plays = self._stats, play.origin.protocol, self._plays[play.key]
        del plays[play]
        if not plays:
            del self._plays[play.key]
        stats.players -= 1
        stats.viewers -= 1
        if protocol != RTMP:
            count(stats.other_players, protocol, -1)
        self._observer.vod_ended(play)
