"""The other process of this server, while one takes over from the other: questions to it, and its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from rtmpd.exceptions import HandoverFailed
from rtmpd.net.messages import Message, MessageSocket
from rtmpd.net.tasks import TaskSet

logger = logging.getLogger(__name__)

_TIMEOUT: Final = 5.0
"""Seconds for an answer that nobody has to think about."""

Answer = tuple[Message, Sequence[socket.socket]]
Handler = Callable[[Message, list[socket.socket]], Awaitable[Answer]]
"""Gives the answer to a question, with sockets that are closed once it is sent. Raises HandoverFailed."""


class Neighbour:
    """Asks, and answers by ``handlers``. ``left()`` is called once, when the other end is closed.

    Of a message that it does not know it says so: whichever of the two is newer.
    """

    def __init__(
        self, sock: socket.socket, handlers: Mapping[str, Handler], left: Callable[[], None]
    ) -> None:
        self._handlers = handlers
        self._left = left
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[tuple[Message, list[socket.socket]]]] = {}
        self._tasks = TaskSet()
        self.gone = asyncio.Event()
        """The other one is."""
        self._socket = MessageSocket(sock, self._heard, self._ended)

    async def ask(
        self, kind: str, files: Sequence[socket.socket] = (), within: float = _TIMEOUT, **fields: object
    ) -> tuple[Message, list[socket.socket]]:
        """The answer, and the sockets in it. Raises HandoverFailed if it is no, or there is none."""
        if self.gone.is_set():
            raise HandoverFailed("the other process is gone")
        number = next(self._numbers)
        try:
            self._socket.send({"ask": kind, "number": number, **fields}, [each.fileno() for each in files])
        except ValueError as error:
            raise HandoverFailed(f"the question is {error}") from None
        future = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within):
                answer, sockets = await future
        except TimeoutError:
            raise HandoverFailed(f"the other process has not answered {kind!r} within {within:g} s") from None
        finally:
            del self._open[number]
        refused = answer.get("refused")
        if refused is not None:
            _close(sockets)
            raise HandoverFailed(str(refused))
        return answer, sockets

    def close(self) -> None:
        """Say nothing more."""
        self.gone.set()
        self._socket.close()
        self._forget()
        self._tasks.cancel()

    # Inside

    def _heard(self, message: Message, files: list[int]) -> None:
        sockets = [socket.socket(fileno=number) for number in files]
        number, kind = message.get("number"), message.get("ask")
        if isinstance(kind, str):
            self._tasks.start(self._answer(kind, number, message, sockets), name=f"handover-{kind}")
            return
        future = self._open.get(number) if isinstance(number, int) else None
        if future is None or future.done():
            _close(sockets)
        else:
            future.set_result((message, sockets))

    async def _answer(
        self, kind: str, number: object, message: Message, sockets: list[socket.socket]
    ) -> None:
        answer: Message
        files: Sequence[socket.socket] = ()
        try:
            answer, files = await self._handlers.get(kind, _unknown)(message, sockets)
        except HandoverFailed as error:
            answer = {"refused": str(error)}
        except Exception:
            logger.exception("hand-over broke")
            answer = {"refused": "a bug of rtmpd: the log of the other process has the traceback"}
        try:
            self._socket.send({**answer, "number": number}, [each.fileno() for each in files])
        except ValueError as error:
            self._socket.send({"refused": f"the answer is {error}", "number": number})
        finally:
            _close(files)

    def _ended(self) -> None:
        self.gone.set()
        self._forget()
        self._left()

    def _forget(self) -> None:
        for future in self._open.values():
            if not future.done():
                future.set_exception(HandoverFailed("the other process is gone"))


async def _unknown(message: Message, files: list[socket.socket]) -> Answer:
    _close(files)
    raise HandoverFailed(f"this version of rtmpd does not know {message['ask']!r}")


def _close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()
