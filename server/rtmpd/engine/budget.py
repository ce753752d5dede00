"""One ceiling for the media that the whole process holds."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from rtmpd.exceptions import UsageError


class Unfinished(Enum):
    """Whose unfinished messages are given up when memory is short, in this order."""

    STUCK = "much of one, for seconds"
    STRANGERS = "who publishes nothing"
    ALL = "everybody"


class MemoryBudget:
    """Bytes held by kind, and a ceiling on their sum.

    ``relieve`` is called, never re-entrantly, when a charge passes the ceiling; it gives memory back by
    closing who is behind and trimming caches until ``used`` is not above ``target``.
    """

    __slots__ = (
        "_relieve",
        "_relieving",
        "backlog_bytes",
        "ceiling_bytes",
        "gop_bytes",
        "header_bytes",
        "partial_bytes",
        "queue_bytes",
        "used",
    )

    def __init__(self, ceiling_bytes: int, relieve: Callable[[], None]) -> None:
        if ceiling_bytes <= 0:
            raise UsageError(f"memory ceiling of {ceiling_bytes} bytes")
        self.ceiling_bytes = ceiling_bytes
        self.gop_bytes = 0
        """GOP caches, their encoded images included."""
        self.header_bytes = 0
        """Sequence headers, codec metadata and onMetaData."""
        self.backlog_bytes = 0
        """Accepted by congested transports and not sent; what several of them refer to is counted once. Below
        their high-water marks transports are not watched.
        """
        self.partial_bytes = 0
        """Of messages that have not come whole yet, or that wait for an answer."""
        self.queue_bytes = 0
        """Packets that packet sinks have not done with; each is charged all that it holds. And notifications
        that wait.
        """
        self.used = 0
        """All of them together."""
        self._relieve = relieve
        self._relieving = False

    def limit(self, ceiling_bytes: int) -> None:
        """Another ceiling; what is held beyond it is given back now."""
        self.ceiling_bytes = ceiling_bytes
        if self.used > ceiling_bytes:
            self._pass_ceiling()

    @property
    def target(self) -> int:
        """Where relief stops: a tenth under the ceiling, so that it does not run on every charge."""
        return self.ceiling_bytes * 9 // 10

    @property
    def exhausted(self) -> bool:
        """Relief found nothing more to give back: refuse new publishers and players."""
        return self.used >= self.ceiling_bytes

    def charge_gop(self, amount: int) -> None:
        """Add ``amount`` bytes, negative to give back; the same for the other kinds."""
        self.gop_bytes += amount
        self.used += amount
        if amount > 0 and self.used > self.ceiling_bytes:
            self._pass_ceiling()

    def charge_headers(self, amount: int) -> None:
        self.header_bytes += amount
        self.used += amount
        if amount > 0 and self.used > self.ceiling_bytes:
            self._pass_ceiling()

    def charge_backlog(self, amount: int) -> None:
        self.backlog_bytes += amount
        self.used += amount
        if amount > 0 and self.used > self.ceiling_bytes:
            self._pass_ceiling()

    def charge_partials(self, amount: int) -> None:
        self.partial_bytes += amount
        self.used += amount
        if amount > 0 and self.used > self.ceiling_bytes:
            self._pass_ceiling()

    def charge_queues(self, amount: int) -> None:
        self.queue_bytes += amount
        self.used += amount
        if amount > 0 and self.used > self.ceiling_bytes:
            self._pass_ceiling()

    def _pass_ceiling(self) -> None:
        if not self._relieving:
            self._relieving = True
            try:
                self._relieve()
            finally:
                self._relieving = False
