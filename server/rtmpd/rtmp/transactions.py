"""What a client has asked its server and waits to hear (RTMP 1.0 section 7.2.1.2)."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from rtmpd.exceptions import UsageError

T = TypeVar("T")

MAX_TRANSACTIONS: Final = 64
"""Calls that may wait at once for a server that does not answer."""


class Transactions(Generic[T]):
    """Numbers requests, and keeps for each that waits for its answer what is to be done with it."""

    def __init__(self) -> None:
        self._latest = 0
        self._waiting: dict[float, T] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def number(self) -> int:
        """The id of a request whose answer is not awaited here."""
        self._latest += 1
        return self._latest

    def open(self, reaction: T) -> int:
        """The id of a request that ``take`` gives ``reaction`` for. Raises UsageError when too many wait."""
        if len(self._waiting) >= MAX_TRANSACTIONS:
            raise UsageError(f"{MAX_TRANSACTIONS} calls wait for their answers: wait for one, or forget it")
        number = self.number()
        self._waiting[number] = reaction
        return number

    def take(self, number: float) -> T | None:
        """What to do with the answer to this request; None when nobody waits for one (any more)."""
        return self._waiting.pop(number, None)
