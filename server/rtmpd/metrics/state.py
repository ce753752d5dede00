"""Series of what is to outlive the process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from rtmpd.metrics.families import Family
from rtmpd.reasons import Word


class StateStats(Protocol):
    """What is read of a store; ``rtmpd.state.store.StoreStats`` is one."""

    @property
    def failure(self) -> Word | None: ...

    @property
    def failures(self) -> Mapping[Word, int]: ...

    @property
    def lost(self) -> Mapping[str, int]: ...

    @property
    def bytes(self) -> int: ...


def collect_state(stats: StateStats | None) -> Iterator[Family]:
    """Whether it is written; nothing where nothing is kept."""
    if stats is None:
        return
    text = "1 if what is to outlive a restart was written when that was tried last, else 0."
    yield Family("gauge", "rtmpd_state_writable", text).with_value(float(stats.failure is None))
    yield Family(
        "counter", "rtmpd_state_write_failures", "Times that it could not be written.", ("reason",)
    ).with_table(stats.failures)
    yield Family(
        "counter", "rtmpd_state_lost_rows", "Rows that were never written, by what they are.", ("rows",)
    ).with_table(stats.lost)
    yield Family("gauge", "rtmpd_state_bytes", "Size of the file.").with_value(stats.bytes)
