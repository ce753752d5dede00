"""A map of streams for servers of one test, in one process: each name is published on one of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from rtmpd.engine.claim import Lease
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import StreamBusy
from rtmpd.reasons import Refusal
from rtmpd.relay.template import RelayTarget, RelayTemplate
from rtmpd.rtmp.constants import StatusCode


async def hang() -> None:
    await asyncio.get_running_loop().create_future()


async def nothing() -> None:
    pass


class NumberedLease(Lease):
    """With the number of the grant, which rises from server to server."""

    __slots__ = ("epoch",)

    def __init__(self, key: StreamKey, epoch: int) -> None:
        super().__init__(key)
        self.epoch = epoch


class SharedMap:
    """What all servers know. ``urls`` are those of the servers by name, with a placeholder for the stream."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.holders: dict[StreamKey, str] = {}
        self.leases: defaultdict[StreamKey, set[Lease]] = defaultdict(set)
        """Of the holder."""
        self._epoch = 0

    def of(self, server: str) -> ServerMap:
        """What one of the servers asks."""
        return ServerMap(self, server)

    def target(self, key: StreamKey) -> list[RelayTarget]:
        holder = self.holders.get(key)
        return [] if holder is None else [RelayTemplate.parse(self.urls[holder]).expand(key)]

    def grant(self, server: str, key: StreamKey) -> Lease:
        if self.holders.setdefault(key, server) != server:
            text = f"{key.name} is being published on another server."
            raise StreamBusy(StatusCode.PUBLISH_BAD_NAME, text, Refusal.STREAM_BUSY)
        self._epoch += 1
        lease = NumberedLease(key, self._epoch)
        self.leases[key].add(lease)
        return lease

    def give_back(self, lease: Lease) -> None:
        self.leases[lease.key].discard(lease)
        if not self.leases[lease.key]:
            self.lapse(lease.key)

    def lapse(self, key: StreamKey) -> None:
        """As if the holder had not been heard of for too long."""
        self.holders.pop(key, None)
        self.leases.pop(key, None)


class ServerMap:
    """An OriginMap whose every answer comes after what ``before`` awaits."""

    def __init__(self, shared: SharedMap, server: str) -> None:
        self.before: Callable[[], Awaitable[None]] = nothing
        self.located = 0
        self.cancelled = 0
        self._shared = shared
        self._server = server

    async def locate(self, key: StreamKey) -> Sequence[RelayTarget]:
        self.located += 1
        await self._wait()
        return self._shared.target(key)

    async def claim(self, key: StreamKey, _origin: Origin, /) -> Lease:
        await self._wait()
        return self._shared.grant(self._server, key)

    async def release(self, lease: Lease) -> None:
        await self._wait()
        self._shared.give_back(lease)

    async def _wait(self) -> None:
        try:
            await self.before()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
