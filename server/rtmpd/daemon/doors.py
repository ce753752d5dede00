"""Where we listen, as the settings have it: listeners come and go one by one."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance, ProxyUse
from rtmpd.net.listeners import Listener, Place, open_listener, permit
from rtmpd.serving.server import RtmpServer

logger = logging.getLogger(__name__)

_Pair = tuple[str, Entrance]
Given = dict[tuple[str, Address], tuple[Entrance, socket.socket]]
"""Listening sockets by protocol and address, each with how the settings name it."""
Entrances = Mapping[str, Collection[Entrance]]
"""Those of the settings, by protocol."""


@dataclass(frozen=True, slots=True)
class Door:
    """How one protocol is served."""

    open: Callable[[Entrance, Place], Awaitable[Listener]]
    """Serve there, or where a listener is that closes once all are open. Raises ConfigError or OSError."""
    close: Callable[[Listener], None]
    """Let nobody new in; who has come in stays."""


class Doors:
    """The listeners of all protocols, by the entrances that the settings name."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors
        self._listeners: dict[_Pair, Listener] = {}
        self._given: Given = {}
        self.inherited: list[Listener] = []
        """Of RTMP, that the service manager has opened."""

    def give(self, sockets: Given) -> None:
        """Listen on these, by protocol and address, instead of opening such ones."""
        self._given |= sockets

    def prepare(self, names: Entrances) -> None:
        """Open what of ``names`` was not given, without serving it yet. Raises ConfigError."""
        for protocol, entrance in _pairs(names):
            place = protocol, entrance.address
            if place in self._given:
                permit(entrance, self._given[place][0])
            else:
                self._given[place] = entrance, open_listener(entrance)

    def discard(self) -> None:
        """Close what was given or prepared and is in no use."""
        while self._given:
            _, (_, sock) = self._given.popitem()
            sock.close()

    def copies(self) -> Given:
        """The sockets of all listeners once more, which go on to serve."""
        return {
            (protocol, entrance.address): (entrance, listener.duplicate())
            for (protocol, entrance), listener in self._listeners.items()
        }

    def leave(self, protocols: Collection[str] | None = None) -> None:
        """Let nobody in any more by these, or by any; who has copies of the sockets does."""
        for pair in [each for each in self._listeners if protocols is None or each[0] in protocols]:
            listener = self._listeners.pop(pair)
            listener.disown()
            self._doors[pair[0]].close(listener)

    async def open(self, names: Entrances) -> list[tuple[str, Entrance]]:
        """Listen on all ``names`` beside what is open already; those that are new, as they are bound.

        Raises ConfigError with every address that cannot be had: then nothing has changed.
        """
        wanted = _pairs(names)
        opened: dict[_Pair, Listener] = {}
        problems: list[str] = []
        with ExitStack() as undo:
            for pair in wanted:
                if pair in self._listeners:
                    continue
                try:
                    opened[pair] = await self._open(pair, wanted, undo)
                except (ConfigError, OSError) as error:
                    problems += self._explain(error, pair[1].address)
            if problems:
                raise ConfigError(problems)
            undo.pop_all()
        self._listeners |= opened
        return [_bound(protocol, entrance, its) for (protocol, entrance), its in opened.items()]

    def bound(self, protocol: str) -> list[Address]:
        """Where a protocol is served now, to whom no proxy has to name."""
        inherited = self.inherited if protocol == "rtmp" else ()
        return [listener.address for listener in inherited] + [
            listener.address
            for (name, entrance), listener in self._listeners.items()
            if name == protocol and entrance.proxy is not ProxyUse.REQUIRE
        ]

    def keep(self, names: Entrances) -> list[tuple[str, Entrance]]:
        """Close all listeners but those of ``names``; protocols and entrances, as they were opened."""
        wanted = _pairs(names)
        gone = [pair for pair in self._listeners if pair not in wanted]
        closed = []
        for protocol, entrance in gone:
            listener = self._listeners.pop((protocol, entrance))
            self._doors[protocol].close(listener)
            if not any(each == protocol and other.address == entrance.address for each, other in wanted):
                closed.append(_bound(protocol, entrance, listener))
        return closed

    async def _open(self, pair: _Pair, wanted: Collection[_Pair], undo: ExitStack) -> Listener:
        protocol, entrance = pair
        door, before = self._doors[protocol], self._predecessor(pair, wanted)
        given = self._given.pop((protocol, entrance.address), None)
        if given is not None:
            place: Place = given[1]
        elif before is None:
            place = open_listener(entrance)
        else:
            place = self._listeners[before]
            permit(entrance, before[1])
            undo.callback(permit, before[1], entrance)
        try:
            listener = await door.open(entrance, place)
        except BaseException:
            if not isinstance(place, Listener):
                place.close()
            raise
        undo.callback(door.close, listener)
        return listener

    def _predecessor(self, pair: _Pair, wanted: Collection[_Pair]) -> _Pair | None:
        """Who listens at that address, and is to go: its socket stays, and nobody who waits there is lost."""
        protocol, entrance = pair
        here = [each for each in self._listeners if each[0] == protocol and each not in wanted]
        return next((each for each in here if each[1].address == entrance.address), None)

    def _explain(self, error: ConfigError | OSError, address: Address) -> Sequence[str]:
        """What to do, also if we are in the way: two listeners cannot have one port, not even briefly."""
        cause = error if isinstance(error, OSError) else error.__cause__
        taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
        ours = [each.address for each in self._listeners.values() if each.address.port == address.port]
        if taken and address.port and ours:
            text = f"cannot listen on {address} while this server listens on {ours[0]}"
            return [f"{text}: use another port, or restart"]
        if isinstance(error, OSError):
            return [f"cannot listen on {address}: {error.strerror or error}"]
        return error.problems


def _pairs(names: Entrances) -> dict[_Pair, None]:
    """Each once, in order."""
    return {(protocol, entrance): None for protocol, entrances in names.items() for entrance in entrances}


def _bound(protocol: str, entrance: Entrance, listener: Listener) -> tuple[str, Entrance]:
    """With the address as it really is."""
    return protocol, replace(entrance, address=listener.address)


def rtmp_doors(server: RtmpServer, tls: Callable[[], ssl.SSLContext | None]) -> dict[str, Door]:
    """Those of RTMP, plain and with ``tls()`` for each connection."""

    async def open_rtmp(entrance: Entrance, place: Place) -> Listener:
        if entrance.proxy is ProxyUse.OFF:
            return await server.listen(place)
        return server.listen_behind(place, entrance.proxy)

    async def open_rtmps(entrance: Entrance, place: Place) -> Listener:
        return server.listen_behind(place, entrance.proxy, tls)

    stop = server.stop_listening
    return {"rtmp": Door(open_rtmp, stop), "rtmps": Door(open_rtmps, stop)}


def tell_opened(where: Iterable[tuple[str, Entrance]]) -> None:
    for protocol, entrance in where:
        logger.info("listening", extra={"fields": _fields(protocol, entrance)})


def tell_closed(where: Iterable[tuple[str, Entrance]]) -> None:
    for protocol, entrance in where:
        logger.info("listening no more", extra={"fields": _fields(protocol, entrance)})


def _fields(protocol: str, entrance: Entrance) -> dict[str, object]:
    address = entrance.address
    return {
        "protocol": protocol,
        "address": address if address.path else address.host or "*",
        "port": None if address.path else address.port,
        "proxy": None if entrance.proxy is ProxyUse.OFF else entrance.proxy,
    }
