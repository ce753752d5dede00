"""Who listens in on a connection from its first byte on: transcripts, and what is kept of its input."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.origin import Origin
from rtmpd.net.wire_tap import WireTap
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving.tracing import Tracer

KEPT_BYTES: Final = 64 * 1024
"""Of the input of one connection."""
_MOST: Final = 256
"""Connections of which it is kept at a time: one more, and the oldest loses its own."""


class Overheard(Protocol):
    """A connection, as far as it is listened in on."""

    session: ServerSession
    transport: asyncio.Transport


@dataclass(slots=True)
class InputStats:
    """What has become of the first bytes of connections."""

    kept: int = 0
    """Connections of which they are kept now."""
    given_up: int = 0
    """Connections of which they were kept, and are no more because others came, or memory was short."""


@dataclass(slots=True)
class _Input:
    connection: Overheard
    session: ServerSession
    """That of the connection, which has a stand-in until all that is kept has come."""
    data: bytearray = field(default_factory=bytearray)

    def hear(self, data: bytes) -> None:
        """Keep what there is room for."""
        self.data += data[: KEPT_BYTES - len(self.data)]
        if len(self.data) >= KEPT_BYTES:
            self.connection.session = self.session  # It costs nothing any more.


class InputKeeper:
    """Keeps the first that connections send as long as they last, as it comes, secrets included.

    It is charged to ``budget`` as if it were all there.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self.stats = InputStats()
        self._budget = budget
        self._inputs: dict[int, _Input] = {}
        """By session, the oldest first."""

    def listen(self, connection: Overheard, session: int) -> None:
        """Keep that of a connection that has just come."""
        if self._budget.exhausted:
            self.stats.given_up += 1
            return
        while len(self._inputs) >= _MOST:
            oldest = next(iter(self._inputs))
            self.take(oldest)
            self.stats.given_up += 1
        kept = self._inputs[session] = _Input(connection, connection.session)
        connection.session = WireTap(kept.hear, _nothing).on_session(connection.session)
        self.stats.kept = len(self._inputs)
        self._budget.charge_queues(KEPT_BYTES)

    def take(self, session: int) -> bytes:
        """What was kept of one, which is forgotten; nothing if nothing was."""
        kept = self._inputs.pop(session, None)
        if kept is None:
            return b""
        kept.connection.session = kept.session
        self.stats.kept = len(self._inputs)
        self._budget.charge_queues(-KEPT_BYTES)
        return bytes(kept.data)


def listen_in(
    connection: Overheard, origin: Origin, tracer: Tracer | None, keeper: InputKeeper | None
) -> None:
    """Have those who want to hear a connection that has just come."""
    tap = tracer.tap(origin) if tracer else None
    if tap is not None:
        connection.session = tap.on_session(connection.session)
        connection.transport = tap.on_transport(connection.transport)
    if keeper is not None:
        keeper.listen(connection, origin.session)


def _nothing(_data: bytes) -> None:
    """What is sent is not kept."""
