"""Listening in on a connection: who looks on is told the bytes, beside those whom they are for.

It costs nothing where nobody does: a connection that is listened in on has stand-ins for its transport and
its session from the first byte on, any other has the things themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")


class Receiver(Protocol):
    """A session, as far as it is listened in on."""

    def receive_data(self, data: bytes, now: float) -> None: ...


R = TypeVar("R", bound=Receiver)


@dataclass(frozen=True, slots=True)
class WireTap:
    """Two functions that are told of bytes; they must not raise."""

    received: Callable[[bytes], object]
    sent: Callable[[bytes], object]

    def on_transport(self, transport: asyncio.Transport) -> asyncio.Transport:
        """Stands for ``transport``, and tells what is written."""

        def write(data: bytes | bytearray | memoryview) -> None:
            self.sent(bytes(data))
            transport.write(data)

        def writelines(list_of_data: Iterable[bytes]) -> None:
            lines = list(list_of_data)
            self.sent(b"".join(lines))
            transport.writelines(lines)

        return _stand_in(transport, write=write, writelines=writelines)

    def on_session(self, session: R) -> R:
        """Stands for ``session``, and tells what it receives."""

        def receive_data(data: bytes, now: float) -> None:
            self.received(data)
            session.receive_data(data, now)

        return _stand_in(session, receive_data=receive_data)


class _StandIn:
    def __init__(self, original: object, methods: dict[str, Callable[..., None]]) -> None:
        self.__dict__.update(methods)
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _stand_in(original: T, **methods: Callable[..., None]) -> T:
    """Whatever is asked of it is the original's, but for ``methods``."""
    return cast("T", _StandIn(original, methods))
