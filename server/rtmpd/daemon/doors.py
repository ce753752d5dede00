"""Where we listen, as the settings have it: listeners come and go one by one."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import Listener

Names = Mapping[str, Collection[Address]]
"""Addresses of the settings, by protocol."""


@dataclass(frozen=True, slots=True)
class Door:
    """How one protocol is served."""

    open: Callable[[Address], Awaitable[Listener]]
    """Raises ConfigError or OSError."""
    close: Callable[[Listener], None]
    """Let nobody new in; who has come in stays."""


class Doors:
    """The listeners of all protocols, by the addresses that the settings name."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors
        self._listeners: dict[tuple[str, Address], Listener] = {}

    async def open(self, names: Names) -> list[tuple[str, Address]]:
        """Listen on all ``names`` beside what is open already; those that are new, as they are bound.

        Raises ConfigError with every address that cannot be had: then nothing has changed.
        """
        opened: dict[tuple[str, Address], Listener] = {}
        problems: list[str] = []
        with ExitStack() as undo:
            for protocol, address in _pairs(names):
                if (protocol, address) in self._listeners:
                    continue
                door = self._doors[protocol]
                try:
                    listener = opened[protocol, address] = await door.open(address)
                    undo.callback(door.close, listener)
                except (ConfigError, OSError) as error:
                    problems += self._explain(error, address)
            if problems:
                raise ConfigError(problems)
            undo.pop_all()
        self._listeners |= opened
        return [(protocol, listener.address) for (protocol, _), listener in opened.items()]

    def bound(self, protocol: str) -> list[Address]:
        """Where a protocol is served now."""
        return [listener.address for (name, _), listener in self._listeners.items() if name == protocol]

    def keep(self, names: Names) -> list[tuple[str, Address]]:
        """Close all listeners but those of ``names``; protocols and addresses, as they were opened."""
        wanted = _pairs(names)
        gone = [pair for pair in self._listeners if pair not in wanted]
        closed = []
        for protocol, address in gone:
            listener = self._listeners.pop((protocol, address))
            self._doors[protocol].close(listener)
            closed.append((protocol, listener.address))
        return closed

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


def _pairs(names: Names) -> dict[tuple[str, Address], None]:
    """Each once, in order."""
    return {(protocol, address): None for protocol, addresses in names.items() for address in addresses}
