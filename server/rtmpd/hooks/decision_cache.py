"""Answers of a backend, kept for the same question."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from rtmpd.hooks.model import Moment, Verdict, Visit

MAX_ANSWERS: Final = 10_000
"""The oldest ones go first. One takes about 500 bytes, with a list of push targets more."""
MAX_KEPT_BYTES: Final = 2048
"""Of the texts in an answer; what says more than that is not kept."""


@dataclass(frozen=True, slots=True)
class _Kept:
    verdict: Verdict
    fresh_until: float


class DecisionCache:
    """Of questions only digests are kept, as they hold secrets."""

    def __init__(self) -> None:
        self._answers: dict[bytes, _Kept] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def put(self, moment: Moment, visit: Visit, verdict: Verdict, fresh_until: float) -> None:
        if sum(map(len, (verdict.reason, verdict.name, *verdict.push))) > MAX_KEPT_BYTES:
            return
        digest = _digest(moment, visit)
        self._answers.pop(digest, None)
        self._answers[digest] = _Kept(verdict, fresh_until)
        while len(self._answers) > MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def fresh(self, moment: Moment, visit: Visit, now: float) -> Verdict | None:
        """The answer that need not be asked for again, if there is one."""
        kept = self._answers.get(_digest(moment, visit)) if self._answers else None
        return kept.verdict if kept is not None and now < kept.fresh_until else None

    def last(self, moment: Moment, visit: Visit) -> Verdict | None:
        """The last answer, however old."""
        kept = self._answers.get(_digest(moment, visit))
        return None if kept is None else kept.verdict

    def clear(self) -> None:
        self._answers.clear()


def _digest(moment: Moment, visit: Visit) -> bytes:
    return hashlib.sha256(repr((moment.value, visit.fact)).encode("utf-8", "surrogatepass")).digest()
