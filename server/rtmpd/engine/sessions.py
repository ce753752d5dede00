"""Every session of the process, whatever protocol it speaks, found by its number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason


class SessionHandle(Protocol):
    """What may be done with a session from outside: one connection, or what stands for one."""

    @property
    def origin(self) -> Origin:
        """Who is on the other side."""
        ...

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """End it, because ``by`` wants it so: the other side is told, if its protocol can. Idempotent."""
        ...


class SessionTable:
    """Who is connected, by the number of the session (``Origin.session``).

    Each protocol keeps a shelf of its own: what is on it is in the table, and nothing else is.
    """

    def __init__(self) -> None:
        self._shelves: list[Mapping[int, SessionHandle]] = []

    def add_shelf(self, shelf: Mapping[int, SessionHandle]) -> None:
        """Have ``shelf`` in the table, with whatever is on it from now on. Its owner bounds it."""
        self._shelves.append(shelf)

    def find(self, session: int) -> SessionHandle | None:
        """The session of that number; None if it is over, or never was."""
        for shelf in self._shelves:
            handle = shelf.get(session)
            if handle is not None:
                return handle
        return None

    def __iter__(self) -> Iterator[SessionHandle]:
        """All of them, as they are now: whoever is walked past may be dismissed."""
        return iter([handle for shelf in self._shelves for handle in shelf.values()])

    def __len__(self) -> int:
        return sum(len(shelf) for shelf in self._shelves)
