"""The backends that the settings name, with what they share, and the pushes that they want."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from rtmpd.access.policy import AccessPolicy
from rtmpd.daemon.config import Config
from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sessions import SessionTable
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import ConfigError, ConnectFailed, UsageError
from rtmpd.hooks.rules import MAX_PUSHES, HookRules, Moment
from rtmpd.hooks.stats import HookStats
from rtmpd.net.http_message import HttpAnswer, HttpRequest
from rtmpd.reasons import Refusal
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.serving.access import AccessRequest, Action, Grant

if TYPE_CHECKING:
    from rtmpd.access.backend import Backend
    from rtmpd.access.hooked import HookedPolicy
    from rtmpd.net.http_caller import HttpCaller
    from rtmpd.outputs.recording import Recording

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HookContext:
    """What backends have to do with."""

    sessions: SessionTable
    clock: Callable[[], float]
    claim: Callable[[bool], ClaimPolicy]
    """See ``Surroundings``."""
    push: Callable[[StreamKey, object, tuple[str, ...]], None]
    """See ``HookPushes.put``."""
    server_id: str
    """As everybody may know it."""


class HookPushes:
    """Where backends want streams pushed, each as long as the publish lasts about which they were asked."""

    def __init__(self, changed: Callable[[StreamKey], None]) -> None:
        """``changed(key)`` is called when there is something new of a stream that is published."""
        self._changed = changed
        self._wanted: dict[StreamKey, tuple[object, dict[str, RelayTemplate]]] = {}

    def of(self, key: StreamKey) -> Mapping[str, RelayTemplate]:
        """By the names of the targets."""
        wanted = self._wanted.get(key)
        return {} if wanted is None else wanted[1]

    def put(self, key: StreamKey, owner: object, urls: tuple[str, ...]) -> None:
        """``owner`` wants ``key`` pushed there; without URLs it wants nothing any more.

        What runs by then ends with the stream, as other pushes do, and not while its players are kept.
        """
        if urls:
            self._wanted[key] = (owner, dict(_templates(key, urls[:MAX_PUSHES])))
            self._changed(key)
        elif (wanted := self._wanted.get(key)) is not None and wanted[0] is owner:
            del self._wanted[key]


class HookSide:
    """Asks our own rules and, once there is one, the backend of the table; ``serving.access.Authorizer``.

    Tables that say the same have one together. What asks backends is imported and made with the first of
    them.
    """

    def __init__(self, context: HookContext, policy: AccessPolicy) -> None:
        """``policy`` is asked first."""
        self._context = context
        self._policy = policy
        self._authorizer: AccessPolicy | HookedPolicy = policy
        self._tables: Container[str] = ()
        self.stats = HookStats()
        self._caller: HttpCaller | None = None
        self._backends: list[Backend] = []
        self._leaving: WeakSet[Backend] = WeakSet()
        """Those that no table names any more, while what they allowed goes on, or something is on its way."""
        self._at: dict[str, Backend] = {}
        """By all tables."""
        self._table_of: Callable[[str], str] = str

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        """Raises ``Refused``, also what the coroutine does."""
        return self._authorizer.authorize(request)

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        """Why somebody who publishes or plays would not be let in now; None if nothing speaks against it."""
        return self._authorizer.withdrawn(action, key, origin)

    def as_public(self, action: Action, key: StreamKey) -> StreamKey:
        """What may be shown of a stream that was asked for."""
        return self._authorizer.as_public(action, key)

    def at(self, path: str) -> Backend | None:
        """Who is asked about a stream or an app."""
        return self._at.get(self._table_of(path)) if self._at else None

    async def prepare(self, config: Config) -> None:
        """Read the authorities that backends need. Raises ConfigError; changes nothing."""
        named = {
            name: app.hooks.ca_file
            for name, app in config.outcomes.items()
            if app.hooks.ca_file and app.hooks.to_rules().urls
        }
        if not named:
            return
        from rtmpd.net.trust import TRUST

        problems = []
        for name, ca_file in named.items():
            try:
                await TRUST.context(ca_file)
            except ConnectFailed as error:
                problems.append(f"apps.{name}.hooks.ca_file: {error}")
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))

    def apply(self, config: Config) -> None:
        """Ask and tell whom ``config`` names from now on."""
        wanted = _wanted(config)
        # One that is wanted as it is stays with those whom it has allowed, whichever table names it now.
        stay = [next((each for each in self._backends if each.rules == rules), None) for rules, _ in wanted]
        left = [each for each in self._backends if each not in stay]
        self._backends, self._at = [], {}
        for same, (rules, tables) in zip(stay, wanted, strict=True):
            backend = same or next((each for each in left if each.table in tables), None)
            if backend is None:
                backend = self._build(tables[0], rules)
            else:
                backend.apply(tables[0], rules)
                left = [each for each in left if each is not backend]
            self._backends.append(backend)
            self._at |= dict.fromkeys(tables, backend)
        for gone in left:
            gone.leave()
            self._leaving.add(gone)
        for name in self.stats.backends.keys() - {each.table for each in self._backends}:
            del self.stats.backends[name]
        self._table_of = config.table
        self._tables = config.app_names()
        if self._at:
            self._ready()

    def recorded(self, recording: Recording, origin: Origin) -> None:
        """Tell the backend of a stream of a file that is finished; ``origin`` is whom it has recorded."""
        backend = self.at(str(recording.key))
        if backend is not None and backend.asks(Moment.RECORD_DONE):
            from rtmpd.hooks.model import Progress, RecordedFile, Visit

            key = recording.key
            visit = Visit(Action.PUBLISH, key.app, key.name, origin.query, origin=origin)
            file = RecordedFile(recording.path, recording.size)
            backend.tell(Moment.RECORD_DONE, visit, Progress(recording.duration, file=file))

    async def close(self, grace: float) -> None:
        """Have notices arrive that are on their way, within ``grace`` seconds."""
        everybody = [*self._backends, *self._leaving]
        await asyncio.gather(*[backend.close(grace) for backend in everybody])
        if self._caller is not None:
            await self._caller.close()

    # Inside

    def _build(self, name: str, rules: HookRules) -> Backend:
        from rtmpd.access.backend import Backend, Surroundings
        from rtmpd.access.hooked import HookedPolicy

        if self._authorizer is self._policy:
            self._authorizer = HookedPolicy(self._policy, self.at, lambda: self._tables)
        around = Surroundings(
            call=self._call,
            clock=self._context.clock,
            claim=self._context.claim,
            stats=self.stats,
            push=self._context.push,
            dismiss=self._dismiss,
            server_id=self._context.server_id,
        )
        return Backend(name, rules, around)

    def _ready(self) -> HttpCaller:
        if self._caller is None:
            from rtmpd.net.http_caller import HttpCaller

            self._caller = HttpCaller(max_connections=0)  # Each backend has bounds of its own.
        return self._caller

    async def _call(self, request: HttpRequest, *, within: float, ca_file: str = "") -> HttpAnswer:
        return await self._ready().call(request, within=within, ca_file=ca_file)

    def _dismiss(self, session: int) -> None:
        handle = self._context.sessions.find(session)
        if handle is not None:
            handle.dismiss(CloseReason.WITHDRAWN, None)


def _wanted(config: Config) -> list[tuple[HookRules, list[str]]]:
    """What there is to ask and tell, with the tables that say the same."""
    wanted: list[tuple[HookRules, list[str]]] = []
    for name, app in config.outcomes.items():
        rules = app.hooks.to_rules()
        tables = next((tables for known, tables in wanted if known == rules), None)
        if tables is not None:
            tables.append(name)
        elif rules.urls:
            wanted.append((rules, [name]))
    return wanted


def _templates(key: StreamKey, urls: tuple[str, ...]) -> list[tuple[str, RelayTemplate]]:
    """Those of ``urls`` that lead somewhere, by the names of their targets."""
    found = []
    for number, url in enumerate(urls, 1):
        try:
            # nginx-rtmp: without a name, that of the stream here.
            whole = url if RtmpUrl.parse(url).name else f"{url.rstrip('/')}/{{name}}"
            found.append((f"hook-{number}", RelayTemplate.parse(whole)))
        except UsageError as error:
            fields = {"app": key.app, "stream": key.name, "reason": str(error)}
            logger.warning("backend push refused", extra={"fields": fields})
    return found
