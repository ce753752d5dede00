"""Series of what OBS asks before it goes live."""

from __future__ import annotations

from collections.abc import Mapping

from rtmpd.metrics.families import Family


def collect_obs(counts: Mapping[str, int]) -> Family:
    """How often it asked, by what came of it."""
    return Family(
        "counter",
        "rtmpd_obs_configurations",
        "Questions of OBS how to encode a ladder, by what came of them.",
        ("outcome",),
    ).with_table(counts)
