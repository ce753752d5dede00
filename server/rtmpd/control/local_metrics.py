"""What is counted and measured in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rtmpd.control.actor import Actor
from rtmpd.metrics.collecting import Metrics
from rtmpd.metrics.families import AnyFamily


class LocalMetrics:
    """``control.Metrics`` of this process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def families(self, by: Actor) -> Sequence[AnyFamily]:
        """The numbers of this moment."""
        by.check_unscoped()
        collected = self._metrics.collect()
        return [*await asyncio.to_thread(self._metrics.ask_kernel), *collected]
