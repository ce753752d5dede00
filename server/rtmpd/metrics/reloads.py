"""Series of the settings that are in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from rtmpd.metrics.families import Family


class Reloads(Protocol):
    """What is read of reloads; ``rtmpd.daemon.reload.ReloadStats`` is one."""

    @property
    def success(self) -> bool: ...

    @property
    def succeeded_at(self) -> float: ...


def collect_reloads(reloads: Reloads) -> Iterator[Family]:
    """Whether the settings in force are those of the files, as far as anybody has looked."""
    yield Family(
        "gauge",
        "rtmpd_config_last_reload_success",
        "1 if the settings could be used when they were read last, 0 if those before are in force.",
    ).with_value(float(reloads.success))
    yield Family(
        "gauge",
        "rtmpd_config_last_reload_success_timestamp_seconds",
        "When the settings in force were read, in seconds since 1970.",
    ).with_value(reloads.succeeded_at)
