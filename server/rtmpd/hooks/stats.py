"""What is counted of backends, by the name of the table that names them."""

from __future__ import annotations

from typing import Final

from rtmpd.engine.stats import Histogram, count
from rtmpd.reasons import HttpFailure, Word

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds; buckets of the time that a backend takes."""


class HookOutcome(Word):
    """What came of a question to a backend."""

    ALLOWED = "allowed", "it said yes"
    REFUSED = "refused", "it said no"
    REUSED = "reused", "it was not asked: it has answered the same question less than a `ttl` ago"
    FAILED_ALLOWED = "failed_allowed", "it gave no answer, and `on_error` allows"
    FAILED_REFUSED = "failed_refused", "it gave no answer, and `on_error` refuses"
    FAILED_CACHED = (
        "failed_cached",
        "it gave no answer, and its last one to the same question was taken",
    )
    FAILED_KEPT = "failed_kept", "it gave no answer to `on_update`, which changes nothing"


class BackendStats:
    """Of one table."""

    __slots__ = ("failures", "is_open", "lost", "outcomes", "told", "waiting")

    def __init__(self) -> None:
        self.outcomes: dict[HookOutcome, int] = {}
        self.failures: dict[HttpFailure, int] = {}
        """Requests without an answer, notices among them."""
        self.told = 0
        """Notices that it has taken."""
        self.lost = 0
        """Notices that it never took."""
        self.waiting = 0
        """Questions that are open now."""
        self.is_open = False
        """Its circuit: it has failed so often that it is not asked for a while."""

    def decided(self, outcome: HookOutcome) -> None:
        count(self.outcomes, outcome)

    def failed(self, reason: HttpFailure) -> None:
        count(self.failures, reason)


class HookStats:
    """Of all."""

    def __init__(self) -> None:
        self.backends: dict[str, BackendStats] = {}
        """By the name of the table."""
        self.seconds = Histogram(BOUNDS)
        """What backends took for their answers, and for giving none."""
