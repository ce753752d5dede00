"""The listening side: who may come in, the listeners, and the way out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from dataclasses import dataclass

from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats, count
from rtmpd.exceptions import Refused
from rtmpd.net.addresses import BACKLOG, Address, bound_address
from rtmpd.net.connection import Connection
from rtmpd.net.peer import ServerContext
from rtmpd.net.socket_options import limit_unsent, set_keepalive
from rtmpd.rtmp.constants import StatusCode

logger = logging.getLogger(__name__)

_PENDING = "pending"
_LOOKS_A_TIMEOUT = 10
"""How often deadlines are looked at within the shortest of them: so much later than due one is acted on."""
_LONGEST_LOOK_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be; 0 is no limit."""

    max_connections: int = 10_000
    max_connections_per_address: int = 1_000
    """Connections of one IPv4 address or one IPv6 /64 network."""
    max_pending: int = 2_000
    """Connections that have not published or played yet."""
    max_pending_per_address: int = 200
    max_publishes_per_minute: int = 1_200
    """Publishes that one network may ask for, granted or not."""


class RtmpServer:
    """Accepts connections on any number of listeners and ends them all at the close."""

    def __init__(self, context: ServerContext, limits: ConnectionLimits) -> None:
        self._context = context
        self._limits = limits
        self._connections: set[Connection] = set()
        self._pending = 0
        self._by_network: Counter[str] = Counter()
        self._pending_by_network: Counter[str] = Counter()
        self._publishes_by_network: Counter[str] = Counter()
        """Since the minute began."""
        self._minute_began = context.clock()
        self._listeners: list[asyncio.Server] = []
        self._closing = False
        self._looking: asyncio.TimerHandle | None = None
        """One timer for the deadlines of all connections: one each would take half a kilobyte."""
        self._look_interval = min(context.limits.shortest_timeout / _LOOKS_A_TIMEOUT, _LONGEST_LOOK_INTERVAL)
        self._empty = asyncio.Event()
        self._empty.set()

    async def listen(self, sock: socket.socket) -> Address:
        """Serve on a listening socket; returns the address it is bound to."""
        loop = asyncio.get_running_loop()
        # What it accepts inherits both.
        set_keepalive(sock)
        limit_unsent(sock)
        # asyncio listens once more, with a backlog of its own unless told.
        server = await loop.create_server(lambda: Connection(self._context, self), sock=sock, backlog=BACKLOG)
        self._listeners.append(server)
        return bound_address(sock)

    def stop_listening(self) -> None:
        """Let nobody new in."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def close(self, grace: float) -> None:
        """Stop listening, end every connection in order, and cut off what is left after ``grace`` seconds."""
        self._closing = True
        self.stop_listening()
        for connection in list(self._connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            logger.warning("connections cut off", extra={"fields": {"connections": len(self._connections)}})
            for connection in list(self._connections):
                connection.abort(CloseReason.SHUTDOWN)
            await self._empty.wait()

    # The gate of the connections

    def enter(self, connection: Connection) -> str | None:
        limits = self._limits
        network = connection.network
        refusal = None
        if self._closing:
            refusal = "shutdown"  # Accepted by the kernel, and by the loop, while we closed.
        elif _reached(len(self._connections), limits.max_connections):
            refusal = "max_connections"
        elif _reached(self._by_network[network], limits.max_connections_per_address):
            refusal = "max_connections_per_address"
        elif _reached(self._pending, limits.max_pending):
            refusal = "max_pending"
        elif _reached(self._pending_by_network[network], limits.max_pending_per_address):
            refusal = "max_pending_per_address"
        if refusal is not None:
            count(self._stats.refusals, refusal)
            return refusal
        self._stats.connections_total += 1
        count(self._stats.connections, connection.state)
        self._connections.add(connection)
        self._by_network[network] += 1
        self._pending_by_network[network] += 1
        self._pending += 1
        self._empty.clear()
        if self._looking is None:
            self._look_later()
        return None

    def check_publish(self, connection: Connection) -> None:
        now = self._context.clock()
        if now - self._minute_began >= 60.0:
            self._minute_began = now
            self._publishes_by_network.clear()
        self._publishes_by_network[connection.network] += 1
        limit = self._limits.max_publishes_per_minute
        if limit and self._publishes_by_network[connection.network] > limit:
            text = "Your address has asked to publish too often; wait a minute."
            raise Refused(StatusCode.PUBLISH_REJECTED, text, "publish_rate")

    def identified(self, connection: Connection, state: str) -> None:
        if connection.state == _PENDING:
            self._no_longer_pending(connection)
            connection.state = state
            count(self._stats.connections, state)

    def leave(self, connection: Connection) -> None:
        if connection.state == _PENDING:
            self._no_longer_pending(connection)
        else:
            count(self._stats.connections, connection.state, -1)
        self._connections.discard(connection)
        _take_one(self._by_network, connection.network)
        if not self._connections:
            self._empty.set()
            if self._looking is not None:
                self._looking.cancel()
                self._looking = None

    # Inside

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(self._look_interval, self._look)

    def _look(self) -> None:
        self._looking = None
        now = self._context.clock()
        for connection in [each for each in self._connections if each.look_at <= now]:
            try:
                connection.look(now)
            except Exception:
                logger.exception("deadlines failed", extra={"fields": {"connection": connection.number}})
                connection.abort(CloseReason.INTERNAL_ERROR)
        if self._connections and self._looking is None:
            self._look_later()

    def _no_longer_pending(self, connection: Connection) -> None:
        count(self._stats.connections, _PENDING, -1)
        self._pending -= 1
        _take_one(self._pending_by_network, connection.network)

    @property
    def _stats(self) -> ServerStats:
        return self._context.stats


def _reached(number: int, limit: int) -> bool:
    return limit > 0 and number >= limit


def _take_one(counter: Counter[str], key: str) -> None:
    """Count one less, and forget names that are back at zero: they come from the peers."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
