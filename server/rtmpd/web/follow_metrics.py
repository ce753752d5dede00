"""Series of those who follow what happens."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpd.web.event_stream import FollowStats
from rtmpd.web.families import Family


def collect_followers(stats: FollowStats) -> Iterator[Family]:
    """How many there are, and what became of the others."""
    yield Family("gauge", "rtmpd_followers", "Answers of the admin port that do not end.").with_value(
        stats.followers
    )
    ended = Family("counter", "rtmpd_followers_ended", "Such answers that are over.", ("reason",))
    for reason, number in stats.ended.items():
        ended.add((str(reason),), number)
    yield ended
