"""The newest events, kept for who follows them and was away for a moment."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.key import StreamKey
from rtmpd.events.model import Event, EventKind
from rtmpd.events.wording import worded

_EVENT_BYTES: Final = 3072
"""What an event and its JSON hold beside the texts that peers choose, about."""


class KeptEvent:
    """An event with its place in the ring. Its JSON is made once, when the first who follows is sent it."""

    __slots__ = ("_json", "event", "number", "size")

    def __init__(self, event: Event, number: int) -> None:
        self.event = event
        self.number = number
        """Counts all since the ring is there, from 1."""
        self.size = _EVENT_BYTES + 3 * (len(event.key) + len(event.origin.agent) + len(event.origin.query))
        """What it is charged."""
        self._json = b""

    @property
    def json(self) -> bytes:
        """As ``Event.as_json``, and in words."""
        if not self._json:
            words = worded(self.event)
            told = self.event.as_json() | {"title": words.title, "text": words.text, "mood": words.mood.value}
            self._json = json.dumps(told, separators=(",", ":")).encode()
        return self._json


class EventRing:
    """Hears all events; a listener of the feed. ``instance`` names this start of this server.

    It is charged to ``budget``, and empty while memory is short.
    """

    def __init__(self, instance: str, budget: MemoryBudget, max_kept: int) -> None:
        self.instance = instance
        self.last = 0
        """Number of the newest event that there was."""
        self._budget = budget
        self._max_kept = max_kept
        self._kept: deque[KeptEvent] = deque()
        self._followers: tuple[Callable[[KeptEvent], None], ...] = ()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def first(self) -> int:
        """Number of the oldest that is kept, or of the next if none is."""
        return self._kept[0].number if self._kept else self.last + 1

    def apply(self, max_kept: int) -> None:
        """Keep so many from now on."""
        self._max_kept = max_kept
        self._cut()

    def wants(self, _kind: EventKind, _key: StreamKey) -> bool:
        return True

    def hear(self, event: Event) -> None:
        self.last += 1
        kept = KeptEvent(event, self.last)
        self._kept.append(kept)
        self._budget.charge_queues(kept.size)
        self._cut()
        for follower in self._followers:
            follower(kept)

    def since(self, number: int) -> Sequence[KeptEvent]:
        """What is kept of those behind ``number``."""
        return [each for each in self._kept if each.number > number]

    def tell(self, follower: Callable[[KeptEvent], None]) -> None:
        """Call ``follower``, which must not raise, with each event from now on."""
        self._followers = (*self._followers, follower)

    def leave(self, follower: Callable[[KeptEvent], None]) -> None:
        """Call it no more. Idempotent."""
        self._followers = tuple([each for each in self._followers if each != follower])

    def _cut(self) -> None:
        most = 0 if self._budget.exhausted else self._max_kept
        while len(self._kept) > most:
            self._budget.charge_queues(-self._kept.popleft().size)
