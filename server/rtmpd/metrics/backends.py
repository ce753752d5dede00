"""Series of backends: how they answer, how long they take, and whether they are left alone."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpd.hooks.stats import HookOutcome, HookStats
from rtmpd.metrics.families import Family, HistogramFamily
from rtmpd.reasons import HttpFailure


def collect_backends(stats: HookStats) -> Iterator[Family | HistogramFamily]:
    """All families; each table of the settings with a backend of its own has series."""
    answers = Family("counter", "rtmpd_backend_questions", "Questions to backends.", ("backend", "outcome"))
    failures = Family(
        "counter", "rtmpd_backend_failures", "Calls of backends without an answer.", ("backend", "reason")
    )
    notices = Family("counter", "rtmpd_backend_notices", "Notices that backends have taken.", ("backend",))
    lost = Family("counter", "rtmpd_backend_notices_lost", "Notices that no backend has taken.", ("backend",))
    waiting = Family("gauge", "rtmpd_backend_waiting", "Questions that are open now.", ("backend",))
    is_open = Family(
        "gauge", "rtmpd_backend_circuit_open", "1 while a backend is left alone, as it fails.", ("backend",)
    )
    for name, backend in stats.backends.items():
        for outcome in HookOutcome:
            answers.add((name, outcome), backend.outcomes.get(outcome, 0))
        for reason in HttpFailure:
            failures.add((name, reason), backend.failures.get(reason, 0))
        notices.add((name,), backend.told)
        lost.add((name,), backend.lost)
        waiting.add((name,), backend.waiting)
        is_open.add((name,), backend.is_open)
    yield from (answers, failures, notices, lost, waiting, is_open)
    text = "What calls of backends took, answered or not."
    yield HistogramFamily.of("rtmpd_backend_seconds", text, stats.seconds)
