"""Series of those who follow what happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from rtmpd.metrics.families import Family
from rtmpd.reasons import Word


class FollowStats(Protocol):
    """``rtmpd.web.event_stream.FollowStats`` are some."""

    @property
    def followers(self) -> int: ...

    @property
    def ended(self) -> Mapping[Word, int]:
        """By reason; those that have not happened at 0."""
        ...


def collect_followers(stats: FollowStats) -> Iterator[Family]:
    """How many there are, and what became of the others."""
    yield Family("gauge", "rtmpd_followers", "Answers of the admin port that do not end.").with_value(
        stats.followers
    )
    yield Family("counter", "rtmpd_followers_ended", "Such answers that are over.", ("reason",)).with_table(
        stats.ended
    )
