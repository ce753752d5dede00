"""Bounded queues between a connection, which must not wait, and the user's ``async for``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from rtmpd.exceptions import ClientError, UsageError
from rtmpd.rtmp.messages import Message

T = TypeVar("T")

_OVERHEAD: Final = 200
"""Bytes that a queued message costs beside its payload, so that empty ones are bounded too."""


class Mailbox(Generic[T]):
    """Gives what was put in, then ends in order or raises what it was finished with. One reader at a time."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.finished = False
        self._error: ClientError | None = None

    def __aiter__(self) -> Mailbox[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._error is not None:
                raise self._error.again()
            if self.finished:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise UsageError("another task is waiting here already")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._take()

    def put(self, item: T) -> None:
        if not self.finished:
            self._items.append(item)
            self._wake()

    def finish(self, error: ClientError | None = None) -> None:
        """Nothing more comes; the first call counts."""
        if not self.finished:
            self.finished = True
            self._error = error
            self._wake()

    def _take(self) -> T:
        return self._items.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class EventMailbox(Mailbox[T]):
    """Keeps the last ``size`` items: whoever does not look must not hold up the connection."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self.dropped = 0
        """Items that nobody took in time."""

    def put(self, item: T) -> None:
        if len(self._items) >= self._size:
            self._items.popleft()
            self.dropped += 1
        super().put(item)


class PacketMailbox(Mailbox[Message]):
    """Media that a player has not taken yet: ``hold`` is called when ``size_bytes`` are reached, ``release``
    when no more than half is left."""

    def __init__(self, size_bytes: int, hold: Callable[[], None], release: Callable[[], None]) -> None:
        super().__init__()
        self.held_bytes = 0
        self._size_bytes = size_bytes
        self._hold = hold
        self._release = release
        self._holding = False

    def put(self, item: Message) -> None:
        if self.finished:
            return
        self.held_bytes += len(item.payload) + _OVERHEAD
        super().put(item)
        if self.held_bytes >= self._size_bytes and not self._holding:
            self._holding = True
            self._hold()

    def clear(self) -> None:
        """Forget what is left; nobody will take it."""
        self._items.clear()
        self.held_bytes = 0
        self._let_go()

    def _take(self) -> Message:
        item = self._items.popleft()
        self.held_bytes -= len(item.payload) + _OVERHEAD
        if self._holding and self.held_bytes <= self._size_bytes // 2:
            self._let_go()
        return item

    def _let_go(self) -> None:
        if self._holding:
            self._holding = False
            self._release()
