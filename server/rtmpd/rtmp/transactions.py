"""What a client has asked its server and waits to hear (RTMP 1.0 section 7.2.1.2)."""

from __future__ import annotations

from typing import Final

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.states import Awaited

MAX_TRANSACTIONS: Final = 64
"""Calls that may wait at once for a server that does not answer."""


class Transactions:
    """Numbers requests, and keeps for each that waits for its answer what has been asked."""

    def __init__(self) -> None:
        self._latest = 0
        self._waiting: dict[float, Awaited] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def number(self) -> int:
        """The id of a request whose answer is not awaited here."""
        self._latest += 1
        return self._latest

    def open(self, awaited: Awaited) -> int:
        """The id of a request that ``take`` tells of. Raises UsageError when too many wait."""
        if len(self._waiting) >= MAX_TRANSACTIONS:
            raise UsageError(f"{MAX_TRANSACTIONS} calls wait for their answers: wait for one, or forget it")
        number = self.number()
        self._waiting[number] = awaited
        return number

    def take(self, number: float) -> Awaited | None:
        """What this request has asked; None when nobody waits for its answer (any more)."""
        return self._waiting.pop(number, None)
