"""Series of what is kept of sessions: the access log, and what they sent first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from rtmpd.metrics.families import Family
from rtmpd.reasons import Word


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
    yield Family("counter", "rtmpd_access_log_lost", "Sessions that could not be.", ("reason",)).with_table(
        stats.lost
    )


class InputStats(Protocol):
    """What has become of the first bytes of connections; ``serving.listening.InputStats`` is one."""

    @property
    def kept(self) -> int: ...

    @property
    def given_up(self) -> int: ...


def collect_inputs(stats: InputStats | None) -> Iterator[Family]:
    """Nothing where they are not kept."""
    if stats is None:
        return
    yield Family("gauge", "rtmpd_inputs_kept", "Connections of which the first 64 KiB are kept.").with_value(
        stats.kept
    )
    text = "Connections of which they were kept no more, as others came or memory was short."
    yield Family("counter", "rtmpd_inputs_given_up", text).with_value(stats.given_up)
