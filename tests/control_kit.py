"""A server in this process with somebody in charge of it, over HTTP where a test wants that."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import aiohttp
from metrics_sources import FakeServer, fake_relay

from rtmpd.access.admin_access import AdminAccess, AdminProof
from rtmpd.access.admin_rules import AdminRules, AdminToken, IssuedRoles
from rtmpd.access.bans import BanRules
from rtmpd.access.guard import Guard
from rtmpd.access.keys import Key, digest_of, new_key
from rtmpd.control.audit import Audit
from rtmpd.control.local import Sources, local_control
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import ServerStats
from rtmpd.events.model import Fact
from rtmpd.events.record_ring import RecordRing
from rtmpd.events.ring import EventRing
from rtmpd.exceptions import ConfigError, HandoverFailed, UsageError
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.net.proxies import NO_PROXIES, TrustedProxies
from rtmpd.relay.status import RelayStatus
from rtmpd.state.report import Change as StoredChange
from rtmpd.state.report import DayUsage
from rtmpd.state.store import StoreStats
from rtmpd.web.api import Api
from rtmpd.web.compat import Mounted
from rtmpd.web.event_stream import EventStreams
from rtmpd.web.gate import Refusals
from rtmpd.web.limits import AdminLimits
from rtmpd.web.logins import Logins
from rtmpd.web.page import SharedPage
from rtmpd.web.server import AdminServer, GuardedPages, OpenPages


class FakePushes:
    """Notes what is asked of push relays."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.relays: list[RelayStatus] = []

    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        self.calls.append(("add", key, url, track))
        if "bad" in url:
            raise UsageError("that is no URL")
        self.relays.append(fake_relay("push"))
        return self.relays[-1]

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        self.calls.append(("remove", key, relay_id))
        return relay_id == "api-1"


@dataclass
class FakeStored:
    """What outlives the process, if it does."""

    stats: StoreStats | None = None
    kept: bool | None = None

    days: Sequence[DayUsage] | None = None
    changed: Sequence[StoredChange] | None = None
    asked: list[tuple[date, date]] = field(default_factory=list)

    async def settled(self) -> bool | None:
        return self.kept

    async def usage(self, first: date, last: date) -> Sequence[DayUsage] | None:
        self.asked.append((first, last))
        return self.days

    async def changes(
        self, before: int | None, most: int, actor: str | None, change: str | None
    ) -> tuple[Sequence[StoredChange], int] | None:
        if self.changed is None:
            return None
        known = [row for row in self.changed if actor in (None, row.actor) and change in (None, row.change)]
        return [row for row in known if before is None or row.id < before][: most + 1], len(known)


def _idle(*_arguments: object) -> object:
    raise AssertionError("nothing is to be flushed here")


@dataclass(frozen=True)
class FakeDraining:
    since: float
    until: float
    publishers: int = 2
    players: int = 3


class FakeEnding:
    """Ends nothing, and notes who wanted that."""

    def __init__(self) -> None:
        self.draining: FakeDraining | None = None
        self.asked: list[tuple[float | None, float | None, str | None]] = []

    def ask(self, wait: float | None, grace: float | None, server: str | None) -> FakeDraining:
        if server == "bad":
            raise UsageError("that is no server")
        self.asked.append((wait, grace, server))
        self.draining = FakeDraining(0.0, wait or 0.0)
        return self.draining


@dataclass
class DeskAdmission:
    """``web.admission.Admission``, with tokens as ``tokens`` says them."""

    access: AdminAccess
    open: tuple[str, ...] = ()
    local: str = "operate"
    login_lifetime: float = 3600.0

    def tokens(self, *tokens: AdminToken, issued: IssuedRoles | None = None, reader: Any = None) -> None:
        """From now on these are good, and no others."""
        self.access.apply(AdminRules(tokens, issued), reader)

    async def prove(self, shown: str, address: str) -> AdminProof:
        return await self.access.prove(shown, address)


def token(name: str, role: str = "read", *streams: str, until: float | None = None) -> tuple[str, AdminToken]:
    """A token that ``name`` has, and what is kept of it."""
    text = new_key(os.urandom)
    return text, AdminToken(Key(digest_of(text), name, until=until), role, streams or ("*",))


@dataclass
class Desk:
    """Somebody in charge of ``registry``, at an hour of theirs."""

    registry: Registry = field(
        default_factory=lambda: Registry(Flusher(_idle, _idle, time.monotonic, time.monotonic), ServerStats())
    )
    clock: Callable[[], float] = time.monotonic
    pushes: FakePushes = field(default_factory=FakePushes)
    apps: Sequence[str] = ()
    rules: BanRules = field(default_factory=BanRules)
    unready: str | None = None
    mistakes: tuple[str, ...] = ()
    """In the settings, when they are read again."""
    reloads: list[bool] = field(default_factory=list)
    """Whether each was a dry run."""
    ending: FakeEnding = field(default_factory=FakeEnding)
    audited: list[tuple[Origin, StreamKey, Mapping[str, Fact]]] = field(default_factory=list)
    """Changes, and those that were refused."""
    limits: AdminLimits | None = None
    place: str = "127.0.0.1:0"
    """Where to listen."""
    streams: EventStreams = field(default_factory=EventStreams)
    stored: FakeStored = field(default_factory=FakeStored)
    max_age: float = 0.0
    """Of answers."""

    proxies: TrustedProxies = NO_PROXIES
    refusals: Refusals = field(default_factory=Refusals)

    def __post_init__(self) -> None:
        self.ring = EventRing("5f0c1e", self.registry.budget, max_kept=5)
        self.records = RecordRing(self.registry.budget, max_kept=8)
        self.guard = Guard(self.clock, self.registry.stats)
        self.guard.apply(self.rules)
        self.admission = DeskAdmission(AdminAccess(self.guard, self.wall_clock, self._sleep))
        self.slept: list[float] = []
        self.control = local_control(
            Sources(
                registry=self.registry,
                guard=self.guard,
                pushes=self.pushes,
                relays=lambda: self.pushes.relays,
                readiness=lambda: self.unready,
                ending=self.ending,
                replace=self.replace,
                apps=lambda: self.apps,
                reload=self.reload,
                audit=Audit(lambda *told: self.audited.append(told)),
                ring=lambda: self.ring,
                stored=self.stored,
                records=lambda: self.records,
                clock=self.clock,
                wall_clock=self.wall_clock,
                started=1_800_000_000.0,
                instance="0123456789abcdef",
            )
        )

    async def replace(self) -> tuple[int, str]:
        if self.mistakes:
            raise HandoverFailed("; ".join(self.mistakes))
        return 4242, "9.9"

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def wall_clock(self) -> float:
        return 1_800_000_000.0 + self.clock()

    async def reload(self, dry_run: bool) -> dict[str, list[str]]:
        if self.mistakes:
            raise ConfigError(self.mistakes)
        self.reloads.append(dry_run)
        return {"new plays": ["player.max_players"]}

    def guarded(self) -> GuardedPages:
        """What an admin server shows those whom ``admission`` lets in."""
        self.logins = Logins(self.clock, self.wall_clock, os.urandom, lambda: self.admission.login_lifetime)
        api = Api(self.control, self.clock, self.streams, self.max_age)
        return GuardedPages(api, self.admission, self.logins, self.refusals)

    @asynccontextmanager
    async def client(
        self, *, local: bool = True, mounted: Callable[[], Sequence[Mounted]] = tuple, alone: bool = False
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Who asks an admin server on a port of its own."""
        page = SharedPage(FakeServer().page(), 0.0, time.monotonic)
        pages = OpenPages(page, lambda: self.unready)
        self.server = AdminServer(
            pages,
            self.guarded(),
            self.limits,
            proxies=lambda: self.proxies,
            local=local,
            mounted=mounted,
            alone=alone,
        )
        try:
            address = (await self.server.start(open_listener(Address.parse(self.place)))).address
            async with aiohttp.ClientSession(f"http://{address}") as session:
                yield session
        finally:
            await self.server.close()
