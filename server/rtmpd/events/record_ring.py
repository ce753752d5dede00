"""The newest records of sessions, kept for who asks what became of one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rtmpd.engine.budget import MemoryBudget
from rtmpd.events.records import KeptInput, SessionRecord

_RECORD_BYTES = 1024
"""What a record holds, about, beside its uses and the texts that peers choose."""
_STRANGERS = 4
"""A part so large of the ring is for those who have not even asked to connect: they wash out nobody else."""
_MOST_INPUTS = 16
"""That are there: older records are kept without what their session sent."""


class RecordRing:
    """A listener of the recorder. It is charged to ``budget``, and empty while memory is short.

    What sessions sent first is nowhere any more when it is not here.
    """

    def __init__(self, budget: MemoryBudget, max_kept: int) -> None:
        self._budget = budget
        self._max_kept = max_kept
        self._clients: deque[SessionRecord] = deque()
        self._strangers: deque[SessionRecord] = deque()
        self._inputs: deque[KeptInput] = deque()
        """Of which there is any, or was."""
        self._by_id: dict[str, SessionRecord] = {}

    def __iter__(self) -> Iterator[SessionRecord]:
        return iter((*self._clients, *self._strangers))

    def __len__(self) -> int:
        return len(self._by_id)

    def apply(self, max_kept: int) -> None:
        """Keep so many from now on."""
        self._max_kept = max_kept
        self._cut()

    def recorded(self, record: SessionRecord) -> None:
        (self._clients if record.introduced else self._strangers).append(record)
        self._by_id[record.id] = record
        self._budget.charge_queues(_size(record))
        if record.input.data:
            self._inputs.append(record.input)
        self._cut()

    def find(self, session_id: str) -> SessionRecord | None:
        """The record of a session; None if there is none, or no more."""
        return self._by_id.get(session_id)

    def _cut(self) -> None:
        most = 0 if self._budget.exhausted else self._max_kept
        for kept, room in ((self._clients, most), (self._strangers, most // _STRANGERS)):
            while len(kept) > room:
                self._forget(kept.popleft())
        while len(self._inputs) > _MOST_INPUTS:
            self._drop(self._inputs.popleft())

    def _forget(self, record: SessionRecord) -> None:
        self._drop(record.input)
        self._budget.charge_queues(-_size(record))
        self._by_id.pop(record.id, None)

    def _drop(self, kept: KeptInput) -> None:
        self._budget.charge_queues(-len(kept.data))
        kept.data = b""


def _size(record: SessionRecord) -> int:
    texts = len(record.origin.agent) + len(record.origin.query) + len(record.input.data)
    return _RECORD_BYTES + texts + sum([use.size for use in record.uses])
