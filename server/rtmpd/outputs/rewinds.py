"""Players that have gone back: audiences that are shown again what the rings of their streams hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.outputs.ring import Ring
from rtmpd.outputs.rings import Rings
from rtmpd.outputs.showing import Handle, Showing, Stage

SPARE: Final = 10.0
"""Seconds for which a ring keeps more than somebody may go back: a drive may take so long to read."""
MOST: Final = 32
"""Audiences of a stream that have gone back, each as far as it likes. Who comes then shares the next one."""
_SHARED: Final = 0.5
"""Seconds of difference that nobody minds: so many who go back as far share an audience."""
_NOTHING: Final = 1.0
"""Nobody goes back by less (s)."""
_AT_ONCE: Final = 10.0
"""Seconds of the stream that somebody begins with at most."""


class Rewind:
    """An audience of one stream that has gone back, and its way through the rings of that."""

    def __init__(
        self, rings: Rings, ring: Ring, audience: DelayedStream, showing: Showing, forget: Callable[[], None]
    ) -> None:
        self._rings = rings
        self._ring = ring
        self.audience = audience
        self._showing = showing
        self._forget = forget
        ring.readers += 1

    @property
    def seconds(self) -> float:
        """How far it is behind."""
        return self._showing.seconds

    @property
    def jumps(self) -> int:
        """Times that something it was to be shown was not kept any more."""
        return self._showing.jumps

    def turn(self, now: float) -> None:
        """Show what is due; forget it when nobody looks."""
        if not self.audience.attended:
            self._forget()
            return
        if self._ring.ended_at is not None and self._showing.done:
            self._go_on()
        self._showing.turn(now)

    def close(self) -> None:
        """Nobody is shown anything any more."""
        self._showing.close()
        self._ring.readers -= 1

    def _go_on(self) -> None:
        """All of one ring has been shown: the stream may have another by now."""
        ring = self._rings.find(self._ring.key)
        if ring is not None and ring is not self._ring:
            self._ring.readers -= 1
            ring.readers += 1
            self._ring = ring
            self._showing.follow(ring.kept)


class Rewinds:
    """All of them. Whoever makes an audience attaches somebody to it at once, or it goes again."""

    def __init__(
        self,
        registry: Registry,
        rings: Rings,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Handle],
    ) -> None:
        self._registry = registry
        self._rings = rings
        self._clock = clock
        self._stage = Stage(clock, call_later)
        self._rewinds: dict[StreamKey, list[Rewind]] = {}
        self._jumps = 0
        """Of those that are gone."""

    @property
    def players(self) -> int:
        """Who has gone back."""
        return sum([len(rewind.audience.subscriptions) for rewind in self._all()])

    @property
    def jumps(self) -> int:
        """Times that something an audience was to be shown was not kept any more."""
        return self._jumps + sum([rewind.jumps for rewind in self._all()])

    def back(self, key: StreamKey, seconds: float) -> int:
        """The audience that is shown what players of that stream saw ``seconds`` ago, by its number.

        Who wants more than is kept gets the oldest. 0 where that is what players see now, or nothing is kept.
        """
        return self._find(key, self._registry.limits_at(key).delay + seconds)

    def at(self, key: StreamKey, time: int) -> int:
        """The same of what the stream had at ``time`` (64-bit ms)."""
        ring = self._rings.find(key)
        came = None if ring is None else ring.kept.came_at(time)
        return 0 if came is None else self._find(key, self._clock() - came)

    def close(self) -> None:
        """Show nothing any more."""
        self._stage.close()
        for rewind in self._all():
            rewind.close()
        self._rewinds.clear()

    # Inside

    def _all(self) -> list[Rewind]:
        return [rewind for rewinds in self._rewinds.values() for rewind in rewinds]

    def _find(self, key: StreamKey, seconds: float) -> int:
        stream, ring = self._registry.streams.get(key), self._rings.find(key)
        if stream is None or ring is None:
            return 0
        least, kept = self._registry.limits_at(key).delay, ring.kept
        seconds = min(seconds, kept.reach, kept.limits.seconds - SPARE)
        if seconds < least + _NOTHING:
            return 0
        there = self._rewinds.get(key, [])
        nearest = min(there, key=lambda each: abs(each.seconds - seconds), default=None)
        if nearest is not None and (len(there) >= MOST or abs(nearest.seconds - seconds) <= _SHARED):
            return nearest.audience.number
        piece = kept.before(self._clock() - seconds)
        if piece is None:
            return 0
        # From a key frame long ago nobody is sent all at once: it is further behind instead.
        seconds = max(seconds, self._clock() - piece.at - _AT_ONCE)
        audience = stream.set_apart(seconds)
        showing = Showing(audience, kept, seconds, self._clock, least=least)
        rewind = Rewind(self._rings, ring, audience, showing, lambda: self._forget(key, rewind))
        self._rewinds.setdefault(key, []).append(rewind)
        self._stage.add(rewind.turn, partial(self._forget, key, rewind))
        showing.begin_with(piece)
        showing.turn(self._clock())
        return audience.number

    def _forget(self, key: StreamKey, rewind: Rewind) -> None:
        self._jumps += rewind.jumps
        self._stage.remove(rewind.turn)
        there = self._rewinds[key]
        there.remove(rewind)
        if not there:
            del self._rewinds[key]
        rewind.close()
