"""The listening side: who may come in, the listeners, and the way out."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rtmpd.engine.budget import Unfinished
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats, count
from rtmpd.exceptions import Refused
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.listeners import Listener, Place, bound_address
from rtmpd.net.socket_options import limit_unsent, set_keepalive
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.rates import Rate, TokenBucket
from rtmpd.serving.access import Action
from rtmpd.serving.arrivals import Arrival, Gateway
from rtmpd.serving.connection import ServerConnection
from rtmpd.serving.deadlines import Deadlines
from rtmpd.serving.guest import Guest
from rtmpd.serving.network_rates import NetworkRates
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.porch import Porch
from rtmpd.serving.shares import Shares

logger = logging.getLogger(__name__)

_PENDING = "pending"
_STUCK_SECONDS = 5.0
_STUCK_BYTES = 1024 * 1024
"""An encoder on any link that its stream fits through has sent the largest key frame sooner."""
_SAY_AGAIN = 10.0
"""Seconds from one log line about the same want to the next."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be; 0 is no limit."""

    max_connections: int = 10_000
    max_connections_per_address: int = 1_000
    """Connections of one IPv4 address or one IPv6 /64 network."""
    max_pending: int = 2_000
    """Connections that have not published or played yet; one more costs the greediest network of the
    greediest site its oldest."""
    max_pending_per_address: int = 200
    max_connects_per_minute: int = 3_000
    """Connections that one network may open on average, half of them at once."""
    max_publishes_per_minute: int = 1_200
    """Publishes that one network may ask for on average, all of them at once; granted or not."""
    max_command_cost_per_address: int = 5_000
    """What the commands of one network may cost in a second, see ``Limits.max_command_cost``."""
    max_plays_per_minute: int = 60
    """Plays that one connection may ask for on average, a sixth of them at once."""


class RtmpServer:
    """Accepts connections on any number of listeners and ends them all at the close.

    ``max_files``: how many files the process may have open before connections leave the rest to others, such
    as the admin port; 0 is no limit.
    """

    def __init__(self, context: ServerContext, limits: ConnectionLimits, max_files: int = 0) -> None:
        self._context = context
        self._max_files = max_files
        self._out_of_files_at = -math.inf
        """When it was last said that there are no files left."""
        self._connections: dict[int, Guest] = {}
        """By session."""
        context.registry.sessions.add_shelf(self._connections)
        self._pending: Shares[Guest | Arrival] = Shares()
        self._porch = Porch(self)
        self._by_network: Counter[str] = Counter()
        self._listeners: list[Listener] = []
        self._closing = False
        self._deadlines = Deadlines(self._connections.values(), context, self._forget_costs)
        self._empty = asyncio.Event()
        self._empty.set()
        context.registry.add_reliever(self._relieve)
        self._limit(limits)

    @property
    def context(self) -> ServerContext:
        """What those work with who come from now on."""
        return self._context

    def apply(self, context: ServerContext, limits: ConnectionLimits) -> None:
        """``context`` is for those who come from now on, ``limits`` hold for all of them at once.

        Whoever is here already stays. Rates begin anew with limits that differ from the last.
        """
        self._context = context
        self._deadlines.apply(context)
        if limits != self._limits:
            self._limit(limits)

    async def listen(
        self, sock: Place, *, inherited: bool = False, serve: Callable[[Origin], Guest] | None = None
    ) -> Listener:
        """Serve on a listening socket, or that of a listener that is about to close.

        The file of a Unix socket goes with its listener, unless it is ``inherited`` from who bound it.
        ``serve`` makes what somebody will be of what is known; None makes RTMP clients.
        """
        known, expect = Origin(listener=_prepared(sock)), serve or self.expect
        listener = await Listener.start(sock, lambda: expect(known), inherited=inherited)
        self._listeners.append(listener)
        return listener

    def listen_behind(
        self,
        sock: Place,
        proxy: ProxyUse = ProxyUse.OFF,
        tls: Callable[[], ssl.SSLContext | None] | None = None,
        serve: Callable[[Origin], Guest] | None = None,
    ) -> Listener:
        """The same, where connections begin with a PROXY header, with TLS, or with one and then the other.

        ``tls()`` is the context of one more connection, None once there is none.
        """
        gateway = Gateway(_prepared(sock), proxy, tls, lambda: self._context.proxies, serve or self.expect)
        listener = Listener.accept(sock, lambda peer, name: self._porch.arrive(peer, name, gateway))
        self._listeners.append(listener)
        return listener

    def request_reconnect(self, server: str = "", description: str = "") -> int:
        """Ask every client that knows how to connect anew (Enhanced RTMP); how many were asked.

        With ``server``, such as ``rtmp://other.example``, they are asked to do so there. All of them are
        served until they leave.
        """
        return sum(each.request_reconnect(server, description) for each in list(self._connections.values()))

    @property
    def open_connections(self) -> int:
        """All there are, those included that are no RTMP clients yet."""
        return len(self._connections) + len(self._porch)

    def stop_listening(self, listener: Listener) -> None:
        """Let nobody new in there; who has come in stays."""
        self._listeners.remove(listener)
        listener.close()

    def stop_accepting(self) -> None:
        """Let nobody new in anywhere; who has come in stays."""
        for listener in list(self._listeners):
            self.stop_listening(listener)

    def end_all_but(self, stays: Callable[[Guest], bool], grace: float) -> None:
        """End in order, within ``grace`` seconds, every connection that does not stay."""
        for connection in list(self._connections.values()):
            if not stays(connection):
                connection.shutdown(grace)

    async def close(self, grace: float) -> int:
        """Stop listening, end every connection in order, and cut off what is left after ``grace`` seconds.

        How many that were.
        """
        clock = self._context.clock
        cut_at = clock() + grace
        self._closing = True
        self.stop_accepting()
        self._porch.clear()
        self.end_all_but(lambda _connection: False, math.inf)
        cut = 0
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            cut = len(self._connections)
            logger.warning("connections cut off", extra={"fields": {"connections": cut}})
            for connection in list(self._connections.values()):
                connection.abort(CloseReason.SHUTDOWN)
            await self._empty.wait()
        await self._porch.drain()
        await self._context.claims.close(max(cut_at - clock(), 0.0))
        return cut

    # The gate of the connections

    def enter(self, connection: Guest, fileno: int, *, named: bool = True) -> Refusal | None:
        origin = connection.origin
        network = origin.network
        if connection in self._porch:
            self._porch.leave(connection)
            refusal = None
        else:
            refusal = self.admit(network if named else None, fileno)
        if refusal is not None:
            return refusal
        self._connections[origin.session] = connection
        self.count_in(network, connection)
        self._empty.clear()
        self._deadlines.begin()
        return None

    def rename(self, connection: Guest, before: str, network: str) -> Refusal | None:
        refusal = self.admit_network(network)
        if refusal is None:
            _take_one(self._by_network, before)
            self._by_network[network] += 1
            if self._pending.remove(before, connection):
                self._pending.add(network, connection)
        return refusal

    def shared_cost(self, connection: Guest) -> TokenBucket | None:
        limit = self._limits.max_command_cost_per_address
        if not limit:
            return None
        network = connection.origin.network
        cost = self._costs.get(network)
        if cost is None:
            cost = self._costs[network] = TokenBucket(limit, limit, self._context.clock())
        return cost

    def check_publish(self, connection: Guest) -> None:
        if not self._publishes.allow(connection.origin.network, self._context.clock()):
            text = "Your address has asked to publish too often; wait a moment."
            raise Refused(StatusCode.PUBLISH_REJECTED, text, Refusal.PUBLISH_RATE)

    def check_play(self, connection: Guest) -> None:
        if self._plays is None:
            return
        now = self._context.clock()
        paid_at = self._plays.spend(connection.plays_paid_at, 1, now)
        if self._plays.debt(paid_at, now):
            text = "This connection has asked to play too often; wait a moment."
            raise Refused(StatusCode.PLAY_FAILED, text, Refusal.PLAY_RATE)
        connection.plays_paid_at = paid_at

    def identified(self, connection: Guest, state: str) -> None:
        if connection.state == _PENDING:
            self._pending.remove(connection.origin.network, connection)
            count(self._stats.connections, connection.state, -1)
            connection.state = state
            count(self._stats.connections, state)

    def look_by(self, deadline: float) -> None:
        self._deadlines.look_by(deadline)

    def regular_look(self, deadline: float) -> float:
        return self._deadlines.regular_look(deadline)

    def leave(self, connection: Guest) -> None:
        self._pending.remove(connection.origin.network, connection)
        count(self._stats.connections, connection.state, -1)
        self._connections.pop(connection.origin.session, None)
        _take_one(self._by_network, connection.origin.network)
        if not self._connections:
            self._forget_costs(self._context.clock())
            self._empty.set()
            self._deadlines.rest()

    # The house behind the porch

    def admit(self, network: str | None, fileno: int) -> Refusal | None:
        refusal = self._find_full(fileno)
        if refusal is None and network is not None:
            refusal = self._find_full_network(network)
        if refusal is not None:
            self._note_refused(refusal)
            return refusal
        if _reached(len(self._pending), self._limits.max_pending):
            self._make_room()
        self._stats.connections_total += 1
        return None

    def admit_network(self, network: str) -> Refusal | None:
        refusal = self._find_full_network(network)
        if refusal is not None:
            self._note_refused(refusal)
        return refusal

    def _note_refused(self, refusal: Refusal) -> None:
        count(self._stats.refusals, refusal)
        self._stats.levels.note_refused(Action.CONNECT, refusal)

    def count_in(self, network: str, member: Guest | Arrival) -> None:
        count(self._stats.connections, _PENDING)
        self._by_network[network] += 1
        self._pending.add(network, member)

    def count_out(self, network: str, member: Guest | Arrival) -> None:
        count(self._stats.connections, _PENDING, -1)
        _take_one(self._by_network, network)
        self._pending.remove(network, member)

    def expect(self, known: Origin) -> ServerConnection:
        return ServerConnection(self._context, self, known)

    # Inside

    def _limit(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._costs: dict[str, TokenBucket] = {}
        """Of the commands of each network that has a connection, or had one a moment ago and has not paid for
        its commands yet: to leave and come again must not be cheaper than to wait.
        """
        connects, publishes = limits.max_connects_per_minute, limits.max_publishes_per_minute
        self._connects = NetworkRates(connects, at_once=connects / 2.0)
        self._publishes = NetworkRates(publishes, at_once=publishes)
        plays = limits.max_plays_per_minute
        self._plays = Rate(plays / 60.0, max(plays / 6.0, 1.0)) if plays else None
        """Of every connection."""

    def _find_full(self, fileno: int) -> Refusal | None:
        """Why nobody may come in, whoever it is."""
        if self._closing:
            return Refusal.SHUTDOWN  # Accepted by the kernel, and by the loop, while we closed.
        if self._max_files and fileno >= self._max_files:
            # The lowest number that was free. At the kernel's limit, connections would be reset unseen.
            self._say_out_of_files()
            return Refusal.FILES
        if _reached(self.open_connections, self._limits.max_connections):
            return Refusal.MAX_CONNECTIONS
        return None

    def _find_full_network(self, network: str) -> Refusal | None:
        """Why nobody of that network may; counts that somebody has come."""
        limits = self._limits
        if self._context.guard.turns_away(network):
            return Refusal.BANNED
        if _reached(self._by_network[network], limits.max_connections_per_address):
            return Refusal.MAX_CONNECTIONS_PER_ADDRESS
        if _reached(self._pending.of(network), limits.max_pending_per_address):
            return Refusal.MAX_PENDING_PER_ADDRESS
        if not self._connects.allow(network, self._context.clock()):
            return Refusal.CONNECT_RATE
        return None

    def _forget_costs(self, now: float) -> None:
        """Of networks that have left and are as good as new."""
        left = self._costs.keys() - self._by_network.keys()
        for network in [each for each in left if self._costs[each].full(now)]:
            del self._costs[network]

    def _relieve(self, unfinished: Unfinished) -> None:
        """Memory is short: close who has most that is half received or waits."""
        budget = self._context.registry.budget
        holders = [
            each
            for each in self._connections.values()
            if each.partial_bytes and self._among(unfinished, each)
        ]
        holders.sort(key=lambda connection: connection.partial_bytes, reverse=True)
        for connection in holders:
            if budget.used <= budget.target:
                return
            connection.abort(CloseReason.MEMORY)

    def _among(self, unfinished: Unfinished, connection: Guest) -> bool:
        if unfinished is Unfinished.STUCK:
            since = connection.session.unfinished_since
            stuck = self._context.clock() - since >= _STUCK_SECONDS
            return stuck and connection.partial_bytes >= _STUCK_BYTES
        return unfinished is Unfinished.ALL or not connection.publishes

    def _make_room(self) -> None:
        """Strangers fill all there is for strangers: the greediest loses its oldest one."""
        victim = self._pending.oldest_of_largest()
        if victim is not None:
            self._note_refused(Refusal.MAX_PENDING)
            if isinstance(victim, Arrival):
                self._porch.leave(victim.connection)
            else:
                self._pending.remove(victim.origin.network, victim)
            victim.abort(CloseReason.REFUSED, Refusal.MAX_PENDING)

    def _say_out_of_files(self) -> None:
        now = self._context.clock()
        if now - self._out_of_files_at >= _SAY_AGAIN:
            self._out_of_files_at = now
            fields = {"connections": len(self._connections), "files": self._max_files}
            logger.warning("out of files", extra={"fields": fields})

    @property
    def _stats(self) -> ServerStats:
        return self._context.stats


def _prepared(sock: Place) -> str:
    """The name of where it is bound."""
    if isinstance(sock, Listener):
        return str(sock.address)
    # What it accepts inherits both.
    set_keepalive(sock)
    limit_unsent(sock)
    return str(bound_address(sock))


def _reached(number: int, limit: int) -> bool:
    return limit > 0 and number >= limit


def _take_one(counter: Counter[str], key: str) -> None:
    """Count one less, and forget names that are back at zero: they come from the peers."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
