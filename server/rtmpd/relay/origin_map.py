"""Which server has which stream: the joint to who knows, and what the settings say."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from rtmpd.engine.claim import Lease
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.relay.template import RelayTarget, RelayTemplate


class OriginMap(Protocol):
    """Knows where streams are published, and has each name published in one place.

    May be asked for any number of streams at a time. Every question has a deadline, at which it is cancelled.
    Where it cannot find out now it raises ``OriginMapUnavailable``; another exception counts as a bug.
    """

    async def locate(self, key: StreamKey) -> Sequence[RelayTarget]:
        """The servers that may have the stream, in the order to ask them; none if nobody is known to.

        Pulls ask anew in each of their rounds, so a stream is found where it has moved to.
        """
        ...

    def claim(self, key: StreamKey, origin: Origin) -> Lease | Coroutine[Any, Any, Lease]:
        """Have this server be the one that publishes ``key``, for the client that is ``origin``.

        Who knows at once answers at once. Raises ``Refused`` with what the person at the encoder is to read:
        ``StreamBusy`` when another server has the name. This server may claim what it has already, and gets
        another lease: which of its own publishers a name has is up to its registry. A claim that is cancelled
        leaves nothing behind for longer than it takes to find out.
        """
        ...

    def release(self, lease: Lease) -> Coroutine[Any, Any, None] | None:
        """Give back what ``claim`` has granted, once for each lease.

        The name is free when the last lease of this server on it is given back. What fails is not tried
        again: a map whose answers travel has leases lapse.
        """
        ...


class StaticOrigins:
    """The origins of the settings. No other server is asked for a name: the first here has it.

    ``templates_of(key)`` is asked each time.
    """

    def __init__(self, templates_of: Callable[[StreamKey], Sequence[RelayTemplate]]) -> None:
        self._templates_of = templates_of

    async def locate(self, key: StreamKey) -> Sequence[RelayTarget]:
        return [template.expand(key) for template in self._templates_of(key)]

    def claim(self, key: StreamKey, _origin: Origin, /) -> Lease:
        return Lease(key)

    def release(self, _lease: Lease, /) -> None:
        pass
