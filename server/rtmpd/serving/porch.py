"""Where those stand who have been accepted and are no RTMP clients yet."""

from __future__ import annotations

import socket
from typing import Final, Protocol

from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import count
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.proxies import UntrustedSender
from rtmpd.net.tasks import TaskSet
from rtmpd.reasons import Refusal
from rtmpd.serving import connection_log as log
from rtmpd.serving.arrivals import Arrival, Failed, Gateway, tell_refused
from rtmpd.serving.guest import Guest
from rtmpd.serving.identity import named_by, newcomer, unnamed_behind
from rtmpd.serving.peer import ServerContext

_PATIENCE: Final = 5.0
"""Seconds until what does not end is left alone."""
_LEAST_PATIENCE: Final = 0.001
"""Seconds that asyncio takes for a deadline: none is no deadline."""


class House(Protocol):
    """Behind the porch: who may come in, and what becomes of them."""

    @property
    def context(self) -> ServerContext: ...

    def admit(self, network: str | None, fileno: int) -> Refusal | None:
        """Whether one more may come, and room for it. Of ``None`` is not known yet whose network it is of."""
        ...

    def admit_network(self, network: str) -> Refusal | None:
        """Whether one that is here already may be of that network."""
        ...

    def count_in(self, network: str, member: Arrival) -> None: ...

    def count_out(self, network: str, member: Arrival) -> None: ...


class Porch:
    """They have a place among all connections, and among those that are pending."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._arrivals: dict[Guest, Arrival] = {}
        """By the connections that they will be."""
        self._tasks = TaskSet()

    def __len__(self) -> int:
        return len(self._arrivals)

    def __contains__(self, connection: object) -> bool:
        return connection in self._arrivals

    def arrive(self, sock: socket.socket, name: object, gateway: Gateway) -> None:
        """Somebody has been accepted; ``name`` is that of the peer. The socket is the porch's from now on."""
        house = self._house
        origin = newcomer(name, gateway.listener, house.context.mask, tls=gateway.tls is not None)
        if gateway.turns_away(origin.address):
            error = UntrustedSender()
            count(house.context.stats.handshake_failures, error.reason)
            tell_refused(origin, error.reason, str(error))
            sock.close()
            return
        unnamed = gateway.proxy is not ProxyUse.OFF and origin.address in gateway.proxies()
        refusal = house.admit(None if unnamed else origin.network, sock.fileno())
        if refusal is not None:
            log.turned_away(origin, refusal)
            sock.close()
            return
        connection = gateway.serve(origin)
        arrival = self._arrivals[connection] = Arrival(sock, origin, connection, gateway)
        if unnamed:
            arrival.network = unnamed_behind(origin).network
        house.count_in(arrival.network, arrival)
        self._tasks.start(self._bring_in(arrival, gateway), name="arrival")

    def leave(self, connection: Guest) -> None:
        """It is no arrival any more: it has become a connection, or nothing."""
        arrival = self._arrivals.pop(connection)
        self._house.count_out(arrival.network, arrival)

    def clear(self) -> None:
        """Send everybody away."""
        for connection, arrival in list(self._arrivals.items()):
            self.leave(connection)
            arrival.abort(CloseReason.SHUTDOWN)

    async def drain(self) -> None:
        """Wait until whoever was sent away is gone."""
        await self._tasks.drain(_PATIENCE)

    async def _bring_in(self, arrival: Arrival, gateway: Gateway) -> None:
        context = self._house.context
        patience = context.limits.handshake_timeout
        give_up_at = context.clock() + patience
        try:
            if gateway.proxy is ProxyUse.OFF:
                await arrival.check_for_header(patience)
            elif not await self._name(arrival, patience):
                arrival.hang_up()
                return
            await arrival.become(max(give_up_at - context.clock(), _LEAST_PATIENCE))
        except Failed as failed:
            arrival.hang_up()
            if failed.reason is not None:
                count(context.stats.handshake_failures, failed.reason)
        except BaseException:  # A bug, and nobody may have taken the socket yet.
            arrival.hang_up()
            raise
        finally:  # Whatever goes wrong, it is pending no more.
            if arrival.connection in self._arrivals:
                self.leave(arrival.connection)

    async def _name(self, arrival: Arrival, patience: float) -> bool:
        """Have it be who its proxy says it is; False if that one may not come in."""
        header = await arrival.read_header(patience)
        house, before = self._house, arrival.network
        origin = arrival.origin if header is None else named_by(arrival.origin, header)
        arrival.origin = arrival.connection.known = origin
        if origin.network == before:
            return True
        refusal = house.admit_network(origin.network)
        if refusal is not None:
            log.turned_away(origin, refusal)
            return False
        house.count_out(before, arrival)
        arrival.network = origin.network
        house.count_in(origin.network, arrival)
        return True
