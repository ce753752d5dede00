"""Answers of a backend, kept for the same question."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from rtmpd.hooks.model import Verdict, Visit
from rtmpd.hooks.rules import Moment

MAX_ALLOWED: Final = 10_000
"""Yeses to questions of one kind; the oldest ones go first. One takes about 500 bytes, with a list of push
targets more."""
MAX_REFUSED: Final = 1000
"""Noes to them, which are kept apart: a stranger may ask for as many as he likes."""
MAX_KEPT_BYTES: Final = 2048
"""Of the texts in an answer; what says more than that is not kept."""


@dataclass(frozen=True, slots=True)
class _Kept:
    verdict: Verdict
    fresh_until: float


class DecisionCache:
    """Of questions only digests are kept, as they hold secrets.

    Nothing takes the place of an answer but others that say the same to questions of the same kind.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[Moment, bool], dict[bytes, _Kept]] = {}
        """By the kind of question, and whether it is a yes."""

    def __len__(self) -> int:
        return sum(map(len, self._answers.values()))

    def put(self, moment: Moment, visit: Visit, verdict: Verdict, fresh_until: float) -> None:
        digest = _digest(moment, visit)
        for allow in (True, False):
            self._answers.get((moment, allow), {}).pop(digest, None)
        if sum(map(len, (verdict.reason, verdict.name, *verdict.push))) > MAX_KEPT_BYTES:
            return
        answers = self._answers.setdefault((moment, verdict.allow), {})
        answers[digest] = _Kept(verdict, fresh_until)
        if len(answers) > (MAX_ALLOWED if verdict.allow else MAX_REFUSED):
            del answers[next(iter(answers))]

    def fresh(self, moment: Moment, visit: Visit, now: float) -> Verdict | None:
        """The answer that need not be asked for again, if there is one."""
        kept = self._find(moment, visit)
        return kept.verdict if kept is not None and now < kept.fresh_until else None

    def last(self, moment: Moment, visit: Visit) -> Verdict | None:
        """The last answer, however old."""
        kept = self._find(moment, visit)
        return None if kept is None else kept.verdict

    def clear(self) -> None:
        self._answers.clear()

    def _find(self, moment: Moment, visit: Visit) -> _Kept | None:
        if not self._answers:
            return None
        digest = _digest(moment, visit)
        kept = [self._answers.get((moment, allow), {}).get(digest) for allow in (True, False)]
        return kept[0] or kept[1]


def _digest(moment: Moment, visit: Visit) -> bytes:
    return hashlib.sha256(repr((moment.value, visit.fact)).encode("utf-8", "surrogatepass")).digest()
