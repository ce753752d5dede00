"""Looking up host names, so that one which takes for ever holds up nobody else.

An event loop looks names up in a few threads that all share: four dead name servers, and everybody waits for
the next. Here each name has a thread of its own while it is looked up, and who asks for the same name waits
for the same answer. It is the system's resolver all the same, with its hosts file and search domains.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from rtmpd.exceptions import ConnectFailed
from rtmpd.net.inquiries import Inquiries

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""One address, as ``socket.getaddrinfo`` gives it."""

MAX_LOOKUPS: Final = 64
"""Names that are looked up at once; more are refused, as each is a thread."""

_Answer = Sequence[AddressInfo] | Exception
_LookUp = Callable[[str], Sequence[AddressInfo]]


class Resolver:
    """Looks up names in threads. May be used by several event loops.

    ``look_up`` gives the stream addresses of a host, or raises OSError or UnicodeError.
    """

    def __init__(self, look_up: _LookUp | None = None) -> None:
        self._look_up = look_up or _ask_the_system
        self._inquiries = Inquiries(
            lambda host: self._look_up(host), (OSError, ValueError), "resolve-{}", most=MAX_LOOKUPS
        )

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
        try:
            return await self._inquiries.ask(host)
        except OverflowError:
            text = f"cannot look up {host}: {MAX_LOOKUPS} other names are being looked up"
            raise ConnectFailed(text) from None


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
