"""Series of who asks the admin port in vain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rtmpd.metrics.families import Family
from rtmpd.reasons import Problem


def collect_admin(refusals: Mapping[Problem, int]) -> Iterator[Family]:
    """How often somebody was not answered there, by why."""
    yield Family(
        "counter", "rtmpd_admin_refusals", "Requests to the admin port that were not answered.", ("reason",)
    ).with_table(refusals)
