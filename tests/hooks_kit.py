"""A real server that asks a real backend, and real clients: what tests of hooks are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from backend_kit import Backend
from net_kit import Client, House, eventually, serve
from rtmp_dialogue import connect

from rtmpd.access.backend import Backend as Asker
from rtmpd.access.backend import Surroundings
from rtmpd.access.hooked import HookedPolicy
from rtmpd.access.policy import AccessPolicy
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.handover import Handover, HandoverRules, OnDuplicate
from rtmpd.engine.key import StreamKey
from rtmpd.engine.sink import CloseReason
from rtmpd.hooks.rules import DialectName, HookRules, Moment
from rtmpd.hooks.stats import HookStats
from rtmpd.net.http_caller import HttpCaller

OPEN = Rules(Allow.ANYONE)
REJECTED = "1: onStatus 0 error NetStream.Publish.Rejected"
STARTED = "1: onStatus 0 status NetStream.Publish.Start"


@dataclass
class Book:
    rules: PathRules = field(default_factory=lambda: PathRules(OPEN, OPEN))
    tables: frozenset[str] = frozenset()
    takes_secrets: bool = False

    def at(self, _path: str) -> PathRules:
        return self.rules


@dataclass
class Stage:
    """A server that asks a backend."""

    house: House
    asker: Asker
    stats: HookStats
    pushes: dict[StreamKey, tuple[object, tuple[str, ...]]]

    @property
    def outcomes(self) -> dict[str, int]:
        return dict(self.asker.stats.outcomes)

    @property
    def failures(self) -> dict[str, int]:
        return dict(self.asker.stats.failures)

    async def publish(self, name: str = "show", mode: str = "live") -> tuple[Client, str]:
        """An encoder and the status that it got."""
        client = await self.house.client()
        client.say(connect())
        client.call("createStream", 2)
        client.call("publish", 0, name, mode, on=1)
        return client, await client.answer()

    async def play(self, name: str = "show") -> tuple[Client, str]:
        client = await self.house.client()
        client.say(connect())
        client.call("createStream", 2)
        client.call("play", 0, name, on=1)
        return client, await client.answer()

    async def refused(self, name: str = "show") -> list[str]:
        """What an encoder is told that is refused, up to the end of its connection."""
        client, status = await self.publish(name)
        assert status == REJECTED
        assert await client.rest() == []
        return [status]


def claim(takeover: bool) -> ClaimPolicy:
    on_duplicate = OnDuplicate.TAKEOVER if takeover else OnDuplicate.REJECT
    return Handover(lambda _key: HandoverRules(on_duplicate))


@asynccontextmanager
async def stage(
    dialect: DialectName,
    urls: dict[Moment, tuple[str, ...]],
    book: Book | None = None,
    **rules: Any,
) -> AsyncIterator[Stage]:
    stats, caller = HookStats(), HttpCaller()
    pushes: dict[StreamKey, tuple[object, tuple[str, ...]]] = {}
    houses: list[House] = []

    def dismiss(session: int) -> None:
        handle = houses[0].registry.sessions.find(session)
        if handle is not None:
            handle.dismiss(CloseReason.WITHDRAWN, None)

    def push(key: StreamKey, owner: object, urls: tuple[str, ...]) -> None:
        pushes[key] = (owner, urls)

    loop = asyncio.get_running_loop()
    around = Surroundings(caller.call, loop.time, claim, stats, push, dismiss, "8c1e9a04d5b6e7f8")
    made = HookRules(**{"dialect": dialect, "urls": urls, "timeout": 5.0, **rules})
    asker = Asker("live", made, around)
    policy = AccessPolicy(book or Book(), loop.time, b"secret")
    hooked = HookedPolicy(policy, lambda _path: asker, frozenset)
    async with serve(authorizer=hooked, as_public=hooked.as_public) as house:
        houses.append(house)
        yield Stage(house, asker, stats, pushes)
        for client in house.clients:
            await client.close()
        await eventually(lambda: house.open_connections == 0)
        await asker.close(1.0)
        await caller.close()


def urls(server: Backend, *moments: Moment) -> dict[Moment, tuple[str, ...]]:
    return dict.fromkeys(moments, (server.url,))
