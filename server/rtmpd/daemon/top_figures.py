"""What ``rtmpd top`` knows: the last answers of the API, and how the figures of each stream have moved."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from rtmpd.daemon.asked_server import printable

_HISTORY: Final = 120
"""Readings that are kept of a stream, as far as a wide terminal shows them."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_NUMBER: Final = re.compile("[0-9]+")
_LONGEST_NUMBER: Final = 20
_GROWN_FOR: Final = 10
"""Readings for which drops are news."""

Stream = dict[str, Any]
"""A stream of the list, as the API tells it."""


class Order(StrEnum):
    """What streams are sorted by."""

    BITRATE = "bitrate"
    NAME = "name"
    PLAYERS = "players"
    DROPS = "drops"
    HEALTH = "health"


@dataclass(slots=True)
class Course:
    """How one stream has got on."""

    rates: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    """bit/s, the newest last."""
    drops: deque[int] = field(default_factory=lambda: deque(maxlen=_GROWN_FOR))

    @property
    def loses(self) -> bool:
        """Packets have been dropped of late."""
        return len(self.drops) > 1 and self.drops[-1] > self.drops[0]


class Figures:
    """What was told last, and before that."""

    def __init__(self) -> None:
        self.server: Mapping[str, Any] | None = None
        """None before the first answer."""
        self.streams: Sequence[Stream] = ()
        self.courses: dict[str, Course] = {}
        """By name; of streams that there are."""
        self.trouble: str | None = None
        """Why there is no newer answer."""
        self.told_at = 0.0
        """Clock reading of the last answer."""

    def learn(self, server: Mapping[str, Any], streams: Sequence[Stream], now: float) -> None:
        """One more answer, at the clock reading ``now``."""
        again = self.server is not None and self.server["started"] == server["started"]
        before = self.courses if again else {}
        self.courses = {}
        for stream in streams:
            name = name_of(stream)
            course = self.courses[name] = before.get(name) or Course()
            course.rates.append(bitrate(stream, "1s"))
            course.drops.append(stream["dropped"])
        self.server, self.streams, self.told_at = server, streams, now
        self.trouble = None

    def sorted(self, order: Order) -> list[Stream]:
        """The most of it first; what is alike by name, as people count: many3 before many29."""
        return sorted(self.streams, key=lambda stream: (_ORDERS[order](stream), _counted(name_of(stream))))


def name_of(stream: Stream) -> str:
    """As people write it, without what would move a cursor."""
    return printable(f"{stream['app']}/{stream['name']}")


def _counted(name: str) -> str:
    """With numbers of one length, which sort as they count."""
    return _NUMBER.sub(lambda number: number[0].zfill(_LONGEST_NUMBER), name)


def bitrate(stream: Stream, over: str) -> float:
    """bit/s of both media, over ``1s`` or ``10s``."""
    media = (stream["video"], stream["audio"])
    return float(sum(medium[f"bits_per_second_{over}"] for medium in media if medium))


def sparkline(readings: Sequence[float], width: int) -> str:
    """The newest ``width`` of them as bars: nothing is the lowest, the largest of them the highest."""
    shown = list(readings)[-width:]
    most = max(shown, default=0.0)
    top = len(_BARS) - 1
    bars = (_BARS[round(each / most * top)] if most else _BARS[0] for each in shown)
    return "".join(bars).rjust(width)


_ORDERS: Final[Mapping[Order, Callable[[Stream], float]]] = {
    Order.BITRATE: lambda stream: -bitrate(stream, "10s"),
    Order.NAME: lambda _: 0,
    Order.PLAYERS: lambda stream: -stream["players"],
    Order.DROPS: lambda stream: -stream["dropped"],
    Order.HEALTH: lambda stream: -len(stream["warnings"]),
}
