"""A server in this process with somebody in charge of it, over HTTP where a test wants that."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Any

import aiohttp
from metrics_sources import FakeServer, fake_relay

from rtmpd.access.admin_access import AdminAccess, AdminProof
from rtmpd.access.admin_rules import AdminRules, AdminToken, IssuedRoles
from rtmpd.access.bans import BanRules
from rtmpd.access.guard import Guard
from rtmpd.access.keys import Key, digest_of, new_key
from rtmpd.access.proof import Proof
from rtmpd.access.publish_tokens import PublishTokens
from rtmpd.access.rules import Allow, Network, PathRules, Rules
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.control.audit import Audit
from rtmpd.control.before import ALONE, Before
from rtmpd.control.key_answers import KeyOrigin
from rtmpd.control.local import Sources, local_control
from rtmpd.control.local_keys import HeldKey
from rtmpd.control.local_recordings import RecordingShelf
from rtmpd.control.log_answers import Level
from rtmpd.control.server_answers import PublicHttp
from rtmpd.control.settings_answers import Setting
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import ServerStats
from rtmpd.events.model import Fact
from rtmpd.events.record_ring import RecordRing
from rtmpd.events.ring import EventRing
from rtmpd.exceptions import ConfigError, HandoverFailed, ProofFailed, UsageError
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.net.proxies import NO_PROXIES, TrustedProxies
from rtmpd.outputs.clips import Clips
from rtmpd.outputs.rings import Rings
from rtmpd.reasons import Refusal
from rtmpd.relay.status import RelayStatus
from rtmpd.serving.access import Action
from rtmpd.state.report import Change as StoredChange
from rtmpd.state.report import DayUsage, UsagePart, Wanted, part_of
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

    def switch_off(self, key: StreamKey, relay_id: str = "api-1") -> RelayStatus | None:
        self.calls.append(("off", key, relay_id))
        return self._known(relay_id)

    def switch_on(self, key: StreamKey, relay_id: str = "api-1") -> RelayStatus | None:
        self.calls.append(("on", key, relay_id))
        return self._known(relay_id)

    def restart(self, key: StreamKey, relay_id: str = "api-1") -> RelayStatus | None:
        self.calls.append(("restart", key, relay_id))
        if relay_id == "off":
            raise UsageError("it is off: switch it on")
        return self._known(relay_id)

    def _known(self, relay_id: str) -> RelayStatus | None:
        return fake_relay("push") if relay_id in ("api-1", "off") else None


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

    async def usage(
        self, first: date, last: date, wanted: Wanted, after: str | None, most: int
    ) -> UsagePart | None:
        self.asked.append((first, last))
        if self.days is None:
            return None
        return part_of(groupby(self.days, lambda row: row.day), wanted, after, most)

    async def changes(
        self, before: int | None, most: int, actor: str | None, change: str | None
    ) -> tuple[Sequence[StoredChange], int] | None:
        if self.changed is None:
            return None
        known = [row for row in self.changed if actor in (None, row.actor) and change in (None, row.change)]
        return [row for row in known if before is None or row.id < before][: most + 1], len(known)


def _idle(*_arguments: object) -> object:
    raise AssertionError("nothing is to be flushed here")


class Issuer:
    """Of JWTs that are genuine if they are called so."""

    async def verify(self, token: str, action: str, path: str, now: float) -> Proof:
        if token != f"{action}:{path}":
            raise ProofFailed(Refusal.JWT_SIGNATURE, "This token is not genuine; get a new one.")
        return Proof("ann", "subject:ann", now + 600.0)


class Book:
    """Rules of an app whose issuer is ``Issuer``."""

    tables: frozenset[str] = frozenset()
    takes_secrets = True

    def at(self, _path: str) -> PathRules:
        rules = Rules(Allow.PROVEN, tokens=Issuer())
        return PathRules(rules, rules)


class FakeKeys:
    """One key of the settings, and those that come."""

    def __init__(self, guard: Guard, wall_clock: Callable[[], float]) -> None:
        self.keys = RuntimeKeys(wall_clock)
        self.tokens = PublishTokens(
            Book, self.keys, guard, time.monotonic, wall_clock, lambda number: os.urandom(number)
        )

    def held(self) -> list[HeldKey]:
        key = Key(digest_of("k" * 20), "cam", "Studio", until=1.0)
        is_revoked = self.keys.is_revoked(key.digest)
        setting = "apps.live.publish.keys.cam"
        found = [HeldKey("publish", "live/cam", key, KeyOrigin.SETTINGS, setting, is_revoked)]
        return found + [HeldKey(each.action, each.path, each.key, KeyOrigin.ADDED) for each in self.keys]

    def add(
        self, action: str, path: str, digest: bytes | None, label: str, until: float | None, backup: bool
    ) -> tuple[str, HeldKey]:
        text = "" if digest else f"{path}-{len(self.keys)}-and-more-of-it"
        key = Key(digest or digest_of(text), path.partition("/")[2], label, until, backup)
        self.keys.add(RuntimeKey(Action(action), path, key, 1.0))
        return text, HeldKey(action, path, key, KeyOrigin.ADDED, since=1.0)

    def revoke(self, digest: bytes) -> None:
        self.keys.revoke(digest, named=True)

    def lift(self, digest: bytes) -> bool:
        return self.keys.lift(digest)


@dataclass
class FakeLog:
    """Of which more may be wanted."""

    level: Level = "info"
    trace: str = ""
    until: float | None = None

    def switch(self, level: Level, trace: Network | None, seconds: float) -> None:
        self.level, self.trace, self.until = level, str(trace or ""), time.monotonic() + seconds

    def switch_back(self) -> None:
        self.level, self.trace, self.until = "info", "", None


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
    log: FakeLog = field(default_factory=FakeLog)
    apps: Sequence[str] = ()
    rules: BanRules = field(default_factory=BanRules)
    unready: str | None = None
    http: PublicHttp | None = None
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
    shelf: RecordingShelf | None = None
    """Recordings, if streams are ever recorded."""
    rings: Rings | None = None
    before: Before = ALONE
    """The process that this one has taken over from."""

    proxies: TrustedProxies = NO_PROXIES
    refusals: Refusals = field(default_factory=Refusals)

    def __post_init__(self) -> None:
        self.ring = EventRing("5f0c1e", self.registry.budget, max_kept=5)
        self.records = RecordRing(self.registry.budget, max_kept=8)
        self.clips = Clips(self.registry, lambda: self.rings, self.clock)
        self.guard = Guard(self.clock, self.registry.stats)
        self.guard.apply(self.rules)
        self.keys = FakeKeys(self.guard, self.wall_clock)
        self.admission = DeskAdmission(AdminAccess(self.guard, self.wall_clock, self._sleep))
        self.slept: list[float] = []
        self.control = local_control(
            Sources(
                registry=self.registry,
                guard=self.guard,
                pushes=self.pushes,
                pulls=self.pushes,
                relays=lambda: self.pushes.relays,
                rtmp_port=lambda: 1935,
                http=lambda: self.http,
                readiness=lambda: self.unready,
                ending=self.ending,
                replace=self.replace,
                apps=lambda: self.apps,
                held_settings=self.settings,
                reload=self.reload,
                keys=self.keys,
                log=self.log,
                secret=b"secret",
                audit=Audit(lambda *told: self.audited.append(told)),
                ring=lambda: self.ring,
                stored=self.stored,
                records=lambda: self.records,
                metrics=FakeServer().metrics(),
                recordings=lambda: self.shelf,
                clips=lambda: self.clips,
                clock=self.clock,
                wall_clock=self.wall_clock,
                started=1_800_000_000.0,
                instance="0123456789abcdef",
                before=self.before,
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

    async def settings(self, path: str | None) -> list[Setting]:
        said = Setting(key="log.level", value='"info"', origin="rtmpd.toml:3", effect="everybody, at once")
        digest = f'["sha256:{64 * "0"}"]'
        unsaid = Setting(key=path or "a.b", value=digest, origin="default", effect="new plays")
        return [said, unsaid]

    async def reload(self, dry_run: bool) -> dict[str, list[str]]:
        if self.mistakes:
            raise ConfigError(self.mistakes)
        self.reloads.append(dry_run)
        return {"new plays": ["player.max_players"]}

    def guarded(self) -> GuardedPages:
        """What an admin server shows those whom ``admission`` lets in."""
        self.logins = Logins(self.clock, self.wall_clock, os.urandom, lambda: self.admission.login_lifetime)
        api = Api(self.control, self.clock, self.streams, self.max_age)
        return GuardedPages(api, self.admission, self.logins, self.refusals, lambda: self.http)

    @asynccontextmanager
    async def client(
        self, *, local: bool = True, mounted: Callable[[], Sequence[Mounted]] = tuple, alone: bool = False
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Who asks an admin server on a port of its own."""
        page = SharedPage(self.control.metrics, 0.0, time.monotonic)
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
