"""Looking up host names, so that one which takes for ever holds up nobody else.

An event loop looks names up in a few threads that all share: four dead name servers, and everybody waits for
the next. Here each name has a thread of its own while it is looked up, and who asks for the same name waits
for the same answer. It is the system's resolver all the same, with its hosts file and search domains.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from rtmpd.exceptions import ConnectFailed

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""One address, as ``socket.getaddrinfo`` gives it."""

MAX_LOOKUPS: Final = 64
"""Names that are looked up at once; more are refused, as each is a thread."""

_Answer = Sequence[AddressInfo] | Exception
_LookUp = Callable[[str], Sequence[AddressInfo]]


class Resolver:
    """Looks up names in threads that end with their look-up and hold up no exit of the process.

    May be used by several event loops. ``look_up`` gives the stream addresses of a host, or raises OSError
    or UnicodeError.
    """

    def __init__(self, look_up: _LookUp | None = None) -> None:
        self._look_up = look_up or _ask_the_system
        self._lock = threading.Lock()
        self._waiting: dict[str, set[asyncio.Future[_Answer]]] = {}

    async def resolve(self, host: str, port: int) -> list[AddressInfo]:
        """The addresses of ``host``, in the order of preference, for a connection to ``port``.

        Raises ConnectFailed for a name that is not known, or when too many are being looked up.
        """
        try:
            answer = _numeric(host) or await self._wait_for(host)
        except UnicodeError as error:
            answer = error
        if isinstance(answer, Exception):
            text = getattr(answer, "strerror", None) or (
                "not a host name" if isinstance(answer, UnicodeError) else answer
            )
            raise ConnectFailed(f"cannot look up {host}: {text}") from answer
        return [(*info[:4], (info[4][0], port, *info[4][2:])) for info in answer]

    async def _wait_for(self, host: str) -> _Answer:
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        with self._lock:
            is_under_way = host in self._waiting
            if not is_under_way and len(self._waiting) >= MAX_LOOKUPS:
                raise ConnectFailed(f"cannot look up {host}: {MAX_LOOKUPS} other names are being looked up")
            self._waiting.setdefault(host, set()).add(answer)
        if not is_under_way:
            try:
                threading.Thread(target=self._run, args=(host,), name=f"resolve-{host}", daemon=True).start()
            except RuntimeError as error:  # The process may have no more threads.
                self._tell(host, error)
        try:
            return await answer
        finally:
            with self._lock:
                self._waiting.get(host, set()).discard(answer)

    def _run(self, host: str) -> None:
        answer: _Answer = RuntimeError("the look-up failed")
        try:
            answer = self._look_up(host)
        except (OSError, ValueError) as error:
            answer = error
        finally:
            self._tell(host, answer)

    def _tell(self, host: str, answer: _Answer) -> None:
        with self._lock:
            waiting = self._waiting.pop(host)
        for future in waiting:
            with contextlib.suppress(RuntimeError):  # Its event loop has ended meanwhile.
                future.get_loop().call_soon_threadsafe(_settle, future, answer)


def _settle(future: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not future.done():
        future.set_result(answer)


def _numeric(host: str) -> Sequence[AddressInfo]:
    """The address that ``host`` is already, if it is one."""
    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return ()


def _ask_the_system(host: str) -> Sequence[AddressInfo]:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


RESOLVER: Final = Resolver()
"""The process has one, so that its threads are bounded whoever connects."""
