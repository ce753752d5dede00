"""Between a connection and who reads HTTP from it: nothing comes unasked, and no more than may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from rtmpd.net.http import ResponseHandler


class AnswerGuard(asyncio.Protocol):
    """Ends a connection on which a server says something unasked, or more than a whole answer may have.

    What came between two questions would pass for the answer to the second, which may be somebody else's. And
    an HTTP parser reads interim answers, blank lines and the like for as long as they come.
    """

    def __init__(self, transport: asyncio.Transport, inner: ResponseHandler) -> None:
        self._transport = transport
        self._inner = inner
        self._left = 0
        """Bytes that may still come of the answer."""
        self._asked = 0
        self.overrun = False
        """It has ended the connection."""

    @classmethod
    def of(cls, transport: asyncio.Transport) -> AnswerGuard | None:
        """The one that watches a connection already."""
        found = transport.get_protocol()
        return found if isinstance(found, cls) else None

    @classmethod
    def watch(cls, transport: asyncio.Transport, inner: ResponseHandler) -> AnswerGuard:
        """Watch a connection from now on."""
        made = cls(transport, inner)
        transport.set_protocol(made)
        return made

    def expect(self, most: int) -> Callable[[], None]:
        """``most`` bytes may come from now on, until what is returned is called."""
        self._asked += 1
        self._left = most
        return partial(self._heard, self._asked)

    # Of the transport

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.overrun = True
            self._transport.abort()
        else:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        self._inner.eof_received()
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    # Inside

    def _heard(self, asked: int) -> None:
        # By now it may have been given to the next one who asks.
        if asked == self._asked:
            self._left = 0
