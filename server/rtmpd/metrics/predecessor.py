"""The process before this one, while somebody is left there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.metrics.families import Family


class Carried(Protocol):
    """What it has; ``rtmpd.daemon.predecessor.Carried`` is one. What it has not said is None."""

    @property
    def publishers(self) -> int | None: ...

    @property
    def players(self) -> int | None: ...

    @property
    def live(self) -> Sequence[StreamKey]:
        """What is published there."""


def collect_predecessor(carried: Carried | None, serving_since: float, max_streams: int) -> Iterator[Family]:
    """``serving_since``: seconds since 1970. At most ``max_streams`` streams are named."""
    yield Family(
        "gauge",
        "rtmpd_serving_since_seconds",
        "Start of the first of the processes that took over from each other up to this one, since 1970.",
    ).with_value(serving_since)
    yield Family(
        "gauge", "rtmpd_predecessor", "1 while the process that this one has taken over from is there."
    ).with_value(float(carried is not None))
    yield Family(
        "gauge",
        "rtmpd_predecessor_publishers",
        "Encoders that it still has; 0 where it does not say.",
    ).with_value(0 if carried is None else carried.publishers or 0)
    yield Family(
        "gauge",
        "rtmpd_predecessor_players",
        "Players that it still has; 0 where it does not say.",
    ).with_value(0 if carried is None else carried.players or 0)
    family = Family(
        "gauge", "rtmpd_predecessor_stream_live", "Always 1; a stream that it has on air.", ("app", "stream")
    )
    for key in () if carried is None else carried.live[:max_streams]:
        family.add((key.app, key.name), 1)
    yield family
