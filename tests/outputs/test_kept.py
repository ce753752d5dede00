"""What is kept of a stream: where it begins and ends is found, charged, and let go."""

from __future__ import annotations

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.stats import StreamStats, Totals
from rtmpd.outputs.kept import EDGE_BYTES, Kept, KeptLimits
from rtmpd.outputs.spool import Spool


def test_an_encoder_that_comes_and_goes_is_charged_for_each_time() -> None:
    now = 0.0

    def clock() -> float:
        return now

    budget, stats = MemoryBudget(1 << 30, lambda: None), StreamStats(Totals(), 0.0)
    kept = Kept(KeptLimits(60.0, 1 << 20, 0), budget, Spool("", clock), clock)
    for number in range(100):
        now = float(number)
        kept.mark(stats, begins=number % 2 == 0)
    assert budget.queue_bytes == kept.memory_bytes == 100 * EDGE_BYTES
    found = [kept.edge(order) for order in range(101)]
    assert [edge.order for edge in found if edge is not None] == list(range(100))
    assert found[100] is None
    now = 120.5
    kept.age(now)
    first = kept.edge(0)
    assert first is not None
    assert (first.order, first.at) == (60, 60.0)  # One is left from before: it says whose the oldest is.
    assert budget.queue_bytes == 40 * EDGE_BYTES
    kept.close()
    assert budget.queue_bytes == 0
    assert kept.edge(0) is None
