"""What a relay does when its server asks it to connect anew (ReconnectRequest of Enhanced RTMP v2)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from rtmpd.net.backoff import Backoff
from rtmpd.relay.dialer import EXPECTED

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection

logger = logging.getLogger(__name__)

MAX_MOVES: Final = 3
"""In a row: servers that send a relay to each other must not keep it busy."""
STEADY: Final = 10.0
"""A connection that went on for so many seconds was a success: counting begins anew."""
ASKED: Final = "the server asked to connect anew"
"""Why a connection ends then."""

Dial = Callable[[], Coroutine[Any, Any, "Connection"]]


class Mover:
    """Has a relay leave its server once another connection is there, which is the relay's next one.

    That leads to where the settings say, found anew, wherever the server points to: a relay takes a stream
    key along. While nobody answers there, the relay stays where it is served.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._since = 0.0
        self._moves = 0

    @property
    def ready(self) -> bool:
        """The next connection is there."""
        return self._next is not None

    def take(self) -> Connection | None:
        """The next connection, if there is one; the caller closes it."""
        connection, self._next = self._next, None
        return connection

    def arrived(self) -> None:
        """The relay has begun to use a connection."""
        self._since = self._clock()

    def ask(self, dial: Dial, leave: Callable[[], None]) -> None:
        """The server asks for it: ``dial()`` makes another connection, ``leave()`` ends the one there is."""
        if self._task is not None:
            return
        if self._clock() - self._since >= STEADY:
            self._moves = 0
        if self._moves >= MAX_MOVES:
            return
        self._moves += 1
        self._task = asyncio.get_running_loop().create_task(self._move(dial, leave), name="move")

    async def stop(self) -> None:
        """The connection that was asked about is over, or the relay is."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def close(self) -> None:
        """The relay is over."""
        connection = self.take()
        if connection is not None:
            connection.abort()

    async def _move(self, dial: Dial, leave: Callable[[], None]) -> None:
        backoff = Backoff(random.random)
        while self._next is None:
            try:
                self._next = await dial()
            except EXPECTED:
                await asyncio.sleep(backoff.next_delay())
            except Exception:  # The relay goes on where it is.
                logger.exception("relay broke")
                return
        leave()
