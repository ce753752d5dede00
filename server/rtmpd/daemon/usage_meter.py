"""Who watches how much, noted by the minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.engine.stats import StreamStats
from rtmpd.engine.vod import VodPlay
from rtmpd.state.rows import MinuteRow

INTERVAL: Final = 10.0
"""Seconds between looks: who stays for less may not be seen."""
OTHER: Final = StreamKey("_other", "_other")
"""Stands for the streams of an hour beyond those that are told apart."""
_ALL: Final = ("", "")


class StreamView(Protocol):
    """What is read of a stream; ``rtmpd.engine.stream.LiveStream`` is one."""

    @property
    def stats(self) -> StreamStats: ...

    @property
    def publication(self) -> object | None: ...

    @property
    def held_since(self) -> float | None: ...

    @property
    def players(self) -> int: ...


class PlaysView(Protocol):
    """Who plays files; ``rtmpd.engine.vod.Viewers`` is one."""

    def items(self) -> Iterable[tuple[StreamKey, Sequence[VodPlay]]]: ...


@dataclass(slots=True)
class _Figures:
    """Of one stream in this minute, or of all."""

    players: int = 0
    player_seconds: float = 0.0
    live_seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    file_seconds: float = 0.0


@dataclass(slots=True)
class _Look:
    """What a stream has at one moment."""

    players: int = 0
    live: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    viewers: int = 0
    """Who play the file of that name."""
    file_seconds: float = 0.0
    """Since the last look, as the bytes are."""

    def add(self, other: _Look) -> None:
        self.players += other.players
        self.viewers += other.viewers
        self.file_seconds += other.file_seconds
        self.live = self.live or other.live
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out


class UsageMeter:
    """Looks at all ``streams`` every ten seconds, and gives ``add`` what each had in a minute that is over.

    Names that nobody publishes come from strangers and are not noted. Of an hour ``max_streams`` streams are
    told apart, first come, first served. Plays of files are noted to the second, as ``vod_ended`` tells.
    """

    def __init__(
        self,
        streams: Mapping[StreamKey, StreamView],
        plays: PlaysView,
        add: Callable[[MinuteRow], None],
        max_streams: int,
    ) -> None:
        self._streams = streams
        self._plays = plays
        self._sent: dict[VodPlay, int] = {}
        """Bytes that have been noted, of the plays that go on."""
        self._add = add
        self._max_streams = max_streams
        self._looked_at: float | None = None
        self._seen: dict[StreamKey, tuple[int, int]] = {}
        """Bytes that have been noted, of the streams that are still there."""
        self._minute = 0
        self._hour = 0
        self._figures: dict[tuple[str, str], _Figures] = {}
        self._named: set[StreamKey] = set()
        """Those that are told apart in this hour."""

    def apply(self, max_streams: int) -> None:
        """Another ``max_streams``."""
        self._max_streams = max_streams

    def look(self, now: float, wall: float) -> None:
        """Look if it is time to: ``now`` on the engine's clock, ``wall`` in seconds since 1970."""
        elapsed = None if self._looked_at is None else now - self._looked_at
        if elapsed is not None and elapsed < INTERVAL:
            return
        self._looked_at = now
        minute = int(wall) // 60
        if minute != self._minute:
            self.flush()
            self._begin(minute, wall)
        looks = self._take()
        self._take_files(looks, now, now if elapsed is None else now - elapsed)
        if elapsed is not None:  # What was before nobody has seen.
            for key, look in looks.items():
                self._note(key, look, elapsed)

    def vod_ended(self, play: VodPlay) -> None:
        """Note what was left of it at the last look, or all if nobody has seen it."""
        if self._looked_at is None:
            return
        size = play.bytes_out - self._sent.pop(play, 0)
        look = _Look(0, False, 0, size, 1, max(play.until - max(play.since, self._looked_at), 0.0))
        for place in (self._place(play.key), _ALL):
            self._note(place, look, 0.0)

    def flush(self) -> None:
        """Give what there is of this minute."""
        for (app, name), each in self._figures.items():
            self._add(
                MinuteRow(
                    self._hour,
                    self._minute,
                    app,
                    name,
                    each.players,
                    round(each.player_seconds, 3),
                    round(each.live_seconds, 3),
                    each.bytes_in,
                    each.bytes_out,
                    round(each.file_seconds, 3),
                )
            )
        self._figures.clear()

    def _begin(self, minute: int, wall: float) -> None:
        self._minute = minute
        # Some time zones are half an hour off: their days begin in the middle of an hour of UTC.
        hour = int(wall) - (int(wall) + time.localtime(wall).tm_gmtoff) % 3600
        if hour != self._hour:
            self._hour = hour
            self._named.clear()

    def _take(self) -> dict[tuple[str, str], _Look]:
        """What each has now, and all of them, and the bytes since the last look."""
        before, self._seen = self._seen, {}
        looks: dict[tuple[str, str], _Look] = {}
        for key, stream in self._streams.items():
            stats = stream.stats
            live = stream.publication is not None
            received = stats.audio.bytes_in + stats.video.bytes_in + stats.data_bytes_in
            sent = stats.totals.bytes_out
            watched = live or stream.held_since is not None
            if not (watched or received):
                continue
            self._seen[key] = received, sent
            # A publish that begins anew begins its counters anew.
            last_in, last_out = before.get(key, (0, 0))
            look = _Look(
                stream.players if watched else 0,
                live,
                received - last_in if received >= last_in else received,
                sent - last_out if sent >= last_out else sent,
            )
            for place in (self._place(key), _ALL):
                looks.setdefault(place, _Look()).add(look)
        return looks

    def _take_files(self, looks: dict[tuple[str, str], _Look], now: float, since: float) -> None:
        """Add who plays files, and what they were sent since then."""
        before, self._sent = self._sent, {}
        for key, plays in self._plays.items():
            look = _Look()
            for play in plays:
                self._sent[play] = play.bytes_out
                size = play.bytes_out - before.get(play, 0)
                look.add(_Look(0, False, 0, size, 1, now - max(play.since, since)))
            for place in (self._place(key), _ALL):
                looks.setdefault(place, _Look()).add(look)

    def _place(self, key: StreamKey) -> tuple[str, str]:
        if key not in self._named and len(self._named) < self._max_streams:
            self._named.add(key)
        named = key if key in self._named else OTHER
        return named.app, named.name

    def _note(self, place: tuple[str, str], look: _Look, elapsed: float) -> None:
        watchers = look.players + look.viewers
        if not (look.live or watchers or look.bytes_in or look.bytes_out):
            return
        figures = self._figures.setdefault(place, _Figures())
        figures.players = max(figures.players, watchers)
        figures.player_seconds += look.players * elapsed
        figures.live_seconds += elapsed if look.live else 0.0
        figures.bytes_in += look.bytes_in
        figures.bytes_out += look.bytes_out
        figures.file_seconds += look.file_seconds
