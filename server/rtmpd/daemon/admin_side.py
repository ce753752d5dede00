"""The HTTP side of the daemon, built when there is an address for it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.admission import ConfiguredAdmission
from rtmpd.daemon.compat_side import CompatSide
from rtmpd.daemon.config import Config
from rtmpd.daemon.doors import Door
from rtmpd.daemon.ending import ADMIN_PATIENCE, Ending
from rtmpd.daemon.events_side import EventsSide
from rtmpd.daemon.hls_http import HlsHttp
from rtmpd.daemon.http_side import HttpPlace
from rtmpd.daemon.log_side import LogSide
from rtmpd.daemon.memory_group import MemoryGroup
from rtmpd.daemon.outputs_side import OutputsSide
from rtmpd.daemon.predecessor import Predecessor
from rtmpd.daemon.programs import Programs
from rtmpd.daemon.reload import Reloads
from rtmpd.daemon.state_side import StateSide
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import Histogram
from rtmpd.hooks.stats import HookStats
from rtmpd.net.addresses import Address
from rtmpd.net.certificates import Certificates
from rtmpd.net.entrances import Entrance
from rtmpd.net.listeners import Listener, Place
from rtmpd.net.tasks import TaskSet
from rtmpd.relay.pull.relays import PullRelays
from rtmpd.relay.push.relays import PushRelays
from rtmpd.relay.status import RelayStatus

if TYPE_CHECKING:
    from rtmpd.access.jwks import Jwks
    from rtmpd.control.control import Control
    from rtmpd.control.local import Sources as ControlSources
    from rtmpd.control.questions import Questions
    from rtmpd.control.server_answers import PublicHttp
    from rtmpd.control.settings_answers import Setting
    from rtmpd.daemon.keys_side import KeysSide
    from rtmpd.metrics.collecting import Metrics, Sources
    from rtmpd.web.compat import Desk, Mounted
    from rtmpd.web.event_stream import EventStreams
    from rtmpd.web.gate import Refusals
    from rtmpd.web.page import SharedPage
    from rtmpd.web.server import AdminServer, GuardedPages, OpenPages

logger = logging.getLogger(__name__)
MAX_AGE: Final = 1.0
"""Seconds that a document of another server is good for everybody who asks for it."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What HTTP shows of the server, and changes there."""

    registry: Registry
    loop_lag: Histogram
    memory_group: MemoryGroup | None
    clock: Callable[[], float]
    access: AccessSide
    pushes: PushRelays
    pulls: PullRelays
    relays: Callable[[], Sequence[RelayStatus]]
    events: EventsSide
    programs: Programs
    outputs: OutputsSide
    hls: HlsHttp
    rtmp_address: Callable[[], Address | None]
    http_place: Callable[[], HttpPlace | None]
    """Where processes on this machine reach it by RTMP."""
    readiness: Callable[[], str | None]
    ending: Ending
    replace: Callable[[], Awaitable[tuple[int, str]]]
    serving_since: Callable[[], float]
    certificates: Certificates
    key_files: Callable[[], Mapping[str, int]]
    hooks: HookStats
    key_sets: Iterable[Jwks]
    """Of the issuers of tokens."""
    obs: Mapping[str, int]
    """What OBS has asked, by what came of it."""
    reloads: Reloads
    instance: str
    """Names this run of the server."""
    state: StateSide
    log: LogSide


class AdminSide:
    """A server for each address, and one page of metrics for all of them.

    What speaks HTTP takes a quarter of the time and of the memory of a start, so it is imported with the
    first address. While the server runs that stops the event loop for a moment, once: in a thread it would
    meet others who look for the system's authorities, which are hidden meanwhile (``rtmpd.net.http``).
    """

    def __init__(self, config: Config, inside: Inside) -> None:
        self._config = config
        self._proxies = config.network.proxies()
        self._inside = inside
        self.predecessor = Predecessor(inside.clock)
        """The process that this one has taken over from, if there is one."""
        self._metrics: Metrics | None = None
        self._page: SharedPage | None = None
        self._open: OpenPages | None = None
        self._guarded: GuardedPages | None = None
        self._refusals: Refusals | None = None
        self._keys: KeysSide | None = None
        self._control: Control | None = None
        self._questions: Questions | None = None
        self._compat = CompatSide(config, self._desk)
        self._followed: EventStreams | None = None
        self._servers: dict[Listener, AdminServer] = {}
        self._ending = TaskSet()
        self._started = time.time()

    def doors(self) -> dict[str, Door]:
        """How each of the protocols is served that are HTTP, by the table of its addresses."""
        names = self._config.compat.entrances()
        alone = {name: Door(partial(self._open_alone, name), self.close) for name in names}
        metrics = Door(self.open_metrics, self.close)
        return {"admin": Door(self.open, self.close), "metrics": metrics, **alone}

    async def open(self, entrance: Entrance, place: Place) -> Listener:
        """Serve there too. Raises OSError."""
        admin = self._config.admin
        if not (entrance.address.is_loopback or admin.open or admin.takes_tokens):
            fields = {"address": str(entrance.address), "remedy": "rtmpd admin-token new, or admin.open"}
            logger.warning("admin port answers nobody", extra={"fields": fields})
        guarded = self._guarded or self._build_guarded()
        return await self._serve(guarded, self._compat.beside_ours, entrance, place)

    async def open_metrics(self, entrance: Entrance, place: Place) -> Listener:
        """Serve metrics and health there, and nothing else. Raises OSError."""
        return await self._serve(None, tuple, entrance, place)

    async def _open_alone(self, name: str, entrance: Entrance, place: Place) -> Listener:
        """Speak one dialect there. Raises OSError."""
        mounted = self._compat.alone(name.removeprefix("compat."))
        guarded = self._guarded or self._build_guarded()
        return await self._serve(guarded, lambda: mounted, entrance, place, alone=True)

    async def _serve(
        self,
        guarded: GuardedPages | None,
        mounted: Callable[[], Sequence[Mounted]],
        entrance: Entrance,
        place: Place,
        *,
        alone: bool = False,
    ) -> Listener:
        from rtmpd.web.server import AdminServer

        server = AdminServer(
            self._open or self._build_open(),
            guarded,
            self._config.admin.to_limits(),
            lambda: self._proxies,
            self._inside.access.mask,
            local=entrance.address.is_loopback,
            mounted=mounted,
            alone=alone,
        )
        try:
            listener = await server.start(place, entrance.proxy)
        except BaseException:
            await server.close()
            raise
        self._servers[listener] = server
        return listener

    def prepare(self) -> None:
        """Have all that ``open`` needs, where time counts then."""
        if self._config.admin.listen:
            self._open = self._open or self._build_open()
            self._guarded = self._guarded or self._build_guarded()

    def close(self, listener: Listener) -> None:
        """Let nobody new in there; open requests have about a second."""
        listener.close()
        self._ending.start(self._servers.pop(listener).close(), name="admin-close")

    def apply(self, config: Config) -> None:
        """Follow other settings, but for the addresses."""
        self._config = config
        self._compat.apply(config)
        self._proxies = config.network.proxies()
        for server in self._servers.values():
            server.apply(config.admin.to_limits())
            server.review()
        if self._followed is not None:
            self._followed.max_followers = config.events.max_followers
        if self._metrics is not None:
            self._metrics.apply(config.metrics.max_streams)
        if self._page is not None:
            self._page.apply(config.metrics.max_age)

    def look(self) -> None:
        """Cut off whose token is over; call it every second or so."""
        for server in self._servers.values():
            server.review()

    async def wait_closed(self) -> None:
        """Close what is open; open requests have about a second."""
        for listener in list(self._servers):
            self.close(listener)
        await self._ending.drain(ADMIN_PATIENCE)

    def _keys_side(self) -> KeysSide:
        if self._keys is None:
            from rtmpd.daemon.keys_side import KeysSide

            self._keys = KeysSide(self._inside.access)
        return self._keys

    def _event_streams(self) -> EventStreams:
        if self._followed is None:
            from rtmpd.web.event_stream import EventStreams

            self._followed = EventStreams()
            self._followed.max_followers = self._config.events.max_followers
        return self._followed

    def _build_open(self) -> OpenPages:
        from rtmpd.web.server import OpenPages

        self._open = OpenPages(self._page or self._build_page(), self._inside.readiness)
        return self._open

    def _build_guarded(self) -> GuardedPages:
        from rtmpd.web.api import Api
        from rtmpd.web.logins import Logins
        from rtmpd.web.server import GuardedPages

        inside = self._inside
        self._guarded = GuardedPages(
            Api(self._control or self._build_control(), inside.clock, self._event_streams()),
            ConfiguredAdmission(lambda: self._config, lambda: inside.access.admin),
            Logins(inside.clock, time.time, os.urandom, lambda: self._config.admin.login_lifetime),
            self._refused(),
            self._public_http,
        )
        return self._guarded

    def _refused(self) -> Refusals:
        """Of all addresses."""
        if self._refusals is None:
            from rtmpd.web.gate import Refusals

            self._refusals = Refusals()
        return self._refusals

    def _desk(self) -> Desk:
        from rtmpd.web.compat import Desk
        from rtmpd.web.shared import SharedAnswers

        return Desk(self._control or self._build_control(), SharedAnswers(MAX_AGE, self._inside.clock))

    def questions(self) -> Questions:
        """What the next process asks this one, once it has taken over."""
        from rtmpd.control.audit import Audit
        from rtmpd.control.before import ALONE
        from rtmpd.control.local import local_control
        from rtmpd.control.questions import Questions

        if self._questions is None:
            alone = replace(self._sources(), before=ALONE, audit=Audit(None))
            sessions = self._inside.registry.sessions
            self._questions = Questions(local_control(alone), sessions, self._keys_side())
        return self._questions

    def _build_control(self) -> Control:
        from rtmpd.control.local import local_control

        self._control = local_control(self._sources())
        return self._control

    def _sources(self) -> ControlSources:
        from rtmpd.control.local import Sources

        inside = self._inside
        return Sources(
            registry=inside.registry,
            guard=inside.access.guard,
            pushes=inside.pushes,
            pulls=inside.pulls,
            relays=inside.relays,
            rtmp_port=self._rtmp_port,
            http=self._public_http,
            readiness=inside.readiness,
            ending=inside.ending,
            replace=inside.replace,
            apps=lambda: self._config.app_names(),
            held_settings=self._held_settings,
            reload=self._reload,
            keys=self._keys_side(),
            log=inside.log,
            secret=os.urandom(16),
            audit=inside.events.audit,
            ring=lambda: inside.events.ring,
            recordings=lambda: inside.outputs.shelf.shelf,
            clips=lambda: inside.outputs.ring.clips,
            stored=inside.state,
            records=inside.events.records.records,
            metrics=self._metrics or self._build_metrics(),
            clock=inside.clock,
            wall_clock=time.time,
            started=self._started,
            instance=inside.instance,
            before=self.predecessor,
            serving_since=inside.serving_since,
            mask=inside.access.mask,
        )

    def _rtmp_port(self) -> int | None:
        address = self._inside.rtmp_address()
        return None if address is None else address.port

    def _public_http(self) -> PublicHttp | None:
        from rtmpd.control.server_answers import PublicHttp

        place = self._inside.http_place()
        return None if place is None else PublicHttp(**place._asdict())

    async def _held_settings(self, path: str | None) -> list[Setting]:
        from rtmpd.control.settings_answers import Setting
        from rtmpd.daemon import reference

        def read() -> list[Setting]:
            settings = self._inside.reloads.settings
            rows = reference.rows(settings) if path is None else reference.rows_at(settings, path)
            return [Setting.model_validate(row._asdict()) for row in rows]

        return await asyncio.to_thread(read)

    async def _reload(self, dry_run: bool) -> dict[str, list[str]]:
        changes = await self._inside.reloads.reload("api", dry_run=dry_run)
        return {str(effect): names for effect, names in changes.items()}

    def _build_page(self) -> SharedPage:
        from rtmpd.control.local_metrics import LocalMetrics
        from rtmpd.web.page import SharedPage

        metrics = LocalMetrics(self._metrics or self._build_metrics())
        self._page = SharedPage(metrics, self._config.metrics.max_age, self._inside.clock)
        return self._page

    def _build_metrics(self) -> Metrics:
        from rtmpd.metrics.collecting import Metrics

        self._metrics = Metrics(self._measured(), self._config.metrics.max_streams)
        return self._metrics

    def _measured(self) -> Sources:
        from rtmpd.metrics.collecting import Sources

        inside = self._inside
        budget = inside.registry.budget
        return Sources(
            stats=inside.registry.stats,
            streams=inside.registry.streams,
            loop_lag=inside.loop_lag,
            memory_held=lambda: budget.used,
            memory_limit=lambda: budget.ceiling_bytes,
            memory_group=inside.memory_group,
            clock=inside.clock,
            relays=inside.relays,
            notified=inside.events.statuses,
            processes=inside.programs.statuses,
            process_counts=inside.programs.process_counts,
            hook_counts=inside.programs.hook_counts,
            certificates=inside.certificates,
            key_files=inside.key_files,
            hooks=inside.hooks,
            obs=inside.obs,
            key_sets=inside.key_sets,
            keys=self._keys_side(),
            reloads=inside.reloads.stats,
            refusals=self._refused().by_problem,
            draining=lambda: inside.ending.draining is not None,
            predecessor=lambda: self.predecessor.carried,
            serving_since=inside.serving_since,
            followed=self._event_streams().stats,
            state=lambda: inside.state.stats,
            access_log=lambda: inside.events.records.stats,
            inputs=inside.events.records.input_stats,
            recordings=lambda: inside.outputs.recordings,
            kept=inside.outputs.keepers,
            rewinds=lambda: inside.outputs.ring.rewinds,
            mp4=lambda: inside.outputs.mp4.fragments,
            shelf=lambda: inside.outputs.shelf.shelf,
            packages=lambda: inside.hls.stats,
            hls=lambda: inside.hls.counts,
        )
