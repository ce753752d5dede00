"""Notifications of one target that wait to be sent, oldest first: bounded, and charged to the budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.events.delivery import NotifyLoss
from rtmpd.events.model import Delivery, Event

_EVENT_BYTES: Final = 1024
"""What an event holds beside the texts that peers choose."""


@dataclass(frozen=True, slots=True)
class Waiting:
    delivery: Delivery
    since: float
    """Clock reading."""
    size: int
    """What it is charged."""


class Outbox:
    """``lose(reason)`` is called for each that goes without being sent. ``server`` is as in ``Delivery``."""

    def __init__(self, budget: MemoryBudget, server: str, lose: Callable[[NotifyLoss], None]) -> None:
        self._budget = budget
        self._server = server
        self._lose = lose
        self._waiting: deque[Waiting] = deque()
        self._number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Waiting:
        """The oldest; there has to be one."""
        return self._waiting[0]

    def put(self, event: Event, most: int, now: float) -> None:
        """Queue ``event`` behind ``most - 1`` others at most.

        The oldest goes for it, but for the one that may be on its way just now.
        """
        self._number += 1
        if self._budget.exhausted:
            self._lose(NotifyLoss.MEMORY)
            return
        while len(self._waiting) >= max(most, 2):
            self._forget(self._waiting[1])
            del self._waiting[1]
            self._lose(NotifyLoss.QUEUE_FULL)
        size = _EVENT_BYTES + len(event.key) + len(event.origin.agent) + len(event.origin.query)
        self._waiting.append(Waiting(Delivery(event, self._number, self._server), now, size))
        self._budget.charge_queues(size)

    def pop(self) -> None:
        """The oldest has arrived."""
        self._forget(self._waiting.popleft())

    def drop(self, reason: NotifyLoss) -> None:
        """The oldest is given up."""
        self.pop()
        self._lose(reason)

    def _forget(self, waiting: Waiting) -> None:
        self._budget.charge_queues(-waiting.size)
