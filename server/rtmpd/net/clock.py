"""A clock that stands still while the process does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LONGEST_STEP: Final = 0.5
"""Seconds between two readings that count at most; a loop that turns has it read more often."""


class LoopClock:
    """``clock``, less the time in which nothing ran: the process was stopped or suspended, or its loop stuck.

    What peers sent in that time is not read yet when it is over, and their deadlines are looked at first. So
    nobody is taken for silent whom we did not listen to. It never goes backwards.
    """

    __slots__ = ("_clock", "_lost", "_read_at")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._read_at = clock()
        self._lost = 0.0

    def __call__(self) -> float:
        now = self._clock()
        step = now - self._read_at
        self._read_at = now
        if step > LONGEST_STEP:
            self._lost += step - LONGEST_STEP
        return now - self._lost
