"""Series of who asks the admin port in vain."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpd.web.families import Family
from rtmpd.web.gate import Refusals


def collect_admin(refusals: Refusals) -> Iterator[Family]:
    """How often somebody was not answered there, by why."""
    yield Family(
        "counter", "rtmpd_admin_refusals", "Requests to the admin port that were not answered.", ("reason",)
    ).with_table(refusals.by_problem)
