"""The events of this process, as somebody follows them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rtmpd.control.actor import Actor
from rtmpd.control.control import Notice
from rtmpd.control.event_answers import EventQuery, Missed, MissedReason
from rtmpd.control.times import on_wall
from rtmpd.engine.key import StreamKey
from rtmpd.events.model import Event, EventKind

if TYPE_CHECKING:
    from rtmpd.events.ring import EventRing, KeptEvent

_MOST_WAITING: Final = 1000
"""Events beside those that were kept when somebody began to follow."""


class LocalEvents:
    """``control.Events`` of this process."""

    def __init__(self, ring: Callable[[], EventRing], wall_clock: Callable[[], float]) -> None:
        self._ring = ring
        self._wall_clock = wall_clock

    async def follow(self, query: EventQuery, after: str, by: Actor) -> LocalFollowing:
        following = LocalFollowing(self._ring(), _wanted(query, by))
        if after:
            following.resume(after, self._wall_clock())
        return following


class LocalFollowing:
    """``control.Following`` of this process. Nobody waits for who follows: who is far behind is cut off."""

    def __init__(self, ring: EventRing, wanted: Callable[[Event], bool]) -> None:
        self.cut_off = False
        self._ring = ring
        self._wanted = wanted
        self._waiting: deque[Notice | KeptEvent] = deque()
        self._most = _MOST_WAITING
        self._news = asyncio.Event()
        ring.tell(self._hear)

    @property
    def place(self) -> str:
        # Of all that there were, wanted or not: who follows little is not to fall behind for that.
        return _spell(self._ring, self._ring.last)

    def resume(self, after: str, now: float) -> None:
        """Begin behind ``after``; ``now`` is seconds since 1970."""
        ring = self._ring
        number, reason = _parse(ring, after)
        lost = ring.first - 1 - number if reason is None else None
        kept = ring.since(number)
        if reason is None and lost and lost > 0 and after != "0":
            reason = MissedReason.GONE
        if reason is not None:
            since = on_wall(kept[0].event.at if kept else now)
            missed = Missed(reason=reason, number=lost, since=since)
            place = _spell(ring, ring.first - 1)
            self._waiting.append(Notice(place, "missed", missed.model_dump_json().encode()))
        self._waiting.extend(each for each in kept if self._wanted(each.event))
        self._most += len(self._waiting)
        if self._waiting:
            self._news.set()

    async def take(self) -> Sequence[Notice]:
        await self._news.wait()
        self._news.clear()
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._most = _MOST_WAITING
        return [each if isinstance(each, Notice) else self._notice(each) for each in waiting]

    def close(self) -> None:
        self._ring.leave(self._hear)
        self._waiting.clear()

    def _hear(self, kept: KeptEvent) -> None:
        if not self._wanted(kept.event):
            return
        if len(self._waiting) >= self._most:
            self.cut_off = True
            self.close()
        else:
            self._waiting.append(kept)
        self._news.set()

    def _notice(self, kept: KeptEvent) -> Notice:
        return Notice(_spell(self._ring, kept.number), "", kept.json)


def _spell(ring: EventRing, number: int) -> str:
    return f"{ring.instance}-{number}"


def _parse(ring: EventRing, after: str) -> tuple[int, MissedReason | None]:
    """The number of the event, or that before all; why it is not known."""
    if after == "0":
        return 0, None
    instance, dash, digits = after.rpartition("-")
    if not dash or not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        return 0, MissedReason.UNKNOWN
    if instance != ring.instance or int(digits) > ring.last:
        return 0, MissedReason.OTHER_START
    return int(digits), None


def _wanted(query: EventQuery, by: Actor) -> Callable[[Event], bool]:
    kinds = None if query.kinds is None else frozenset(query.kinds.split(","))
    path = None if query.stream is None else StreamKey.of_path(query.stream)

    def wanted(event: Event) -> bool:
        return (
            (kinds is None or str(event.kind) in kinds)
            and (query.app is None or event.key.app == query.app)
            and (path is None or event.key == path)
            and by.sees(event.key)
            # Who is in charge, and from where, is told to those who may ask for all changes.
            and not (by.is_scoped and event.kind is EventKind.AUDIT)
        )

    return wanted
