"""Series of the access log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from rtmpd.reasons import Word
from rtmpd.web.families import Family


class AccessLogStats(Protocol):
    """What has become of its lines; ``rtmpd.daemon.access_log.AccessLogStats`` is one."""

    @property
    def lines(self) -> int: ...

    @property
    def lost(self) -> Mapping[Word, int]:
        """By reason; those that have not happened at 0."""
        ...


def collect_access_log(stats: AccessLogStats | None) -> Iterator[Family]:
    """Nothing where there is no access log, and never was."""
    if stats is None:
        return
    yield Family("counter", "rtmpd_access_log_lines", "Sessions that were written down.").with_value(
        stats.lines
    )
    lost = Family("counter", "rtmpd_access_log_lost", "Sessions that could not be.", ("reason",))
    for reason, number in stats.lost.items():
        lost.add((str(reason),), number)
    yield lost
