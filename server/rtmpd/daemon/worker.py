"""The composition root: builds every room from the configuration, runs the loop, and ends in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import uvloop

from rtmpd import __version__
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.admin_side import AdminSide, Inside
from rtmpd.daemon.banner import APP, banner
from rtmpd.daemon.changes import Changes, compare
from rtmpd.daemon.config import Config
from rtmpd.daemon.doors import Doors, Entrances, rtmp_doors, tell_closed, tell_opened
from rtmpd.daemon.ending import Ending, Parts
from rtmpd.daemon.events_side import EventsSide
from rtmpd.daemon.handover_side import HandoverSide
from rtmpd.daemon.hook_side import HookContext
from rtmpd.daemon.hooks_config import LONGEST_TIMEOUT
from rtmpd.daemon.http_side import HttpSide
from rtmpd.daemon.log_side import LogSide
from rtmpd.daemon.logs import LogOutput
from rtmpd.daemon.looks import feed_watchdog, look_each_second
from rtmpd.daemon.machine import Machine
from rtmpd.daemon.notify import Notifier, listen_fds, watchdog_interval
from rtmpd.daemon.outputs_side import OutputsSide
from rtmpd.daemon.programs import Programs
from rtmpd.daemon.relay_side import RelaySide
from rtmpd.daemon.reload import Reloads
from rtmpd.daemon.settings import Settings
from rtmpd.daemon.shelf_side import ShelfSide
from rtmpd.daemon.state_side import StateSide, build_state
from rtmpd.daemon.vod_side import VodSide
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.handover import Handover, OnDuplicate
from rtmpd.engine.origin import SessionIds
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import Histogram, ServerStats
from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.certificates import Certificates
from rtmpd.net.clock import LoopClock
from rtmpd.net.entrances import Entrance
from rtmpd.net.lag import LagMeter
from rtmpd.net.tasks import TaskSet
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.server import ServerSettings
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.server import ConnectionLimits, RtmpServer
from rtmpd.serving.sweeper import Sweeper
from rtmpd.serving.tracing import Tracer

logger = logging.getLogger(__name__)

# The loop's own clock in finer steps: uvloop's stands still for a turn and counts whole milliseconds, too
# coarse for what a flush to a few players costs.
_clock = LoopClock(time.monotonic)
_MARGIN = 5.0
"""Seconds of an answer beyond what a backend may take: who fails then has failed for another reason."""
_LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def run(
    settings: Settings, read: Callable[[], Settings], log: LogOutput, before: socket.socket | None = None
) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code. ``read()`` gives the settings as they are now.

    ``before`` leads to a process that this one is to take over from.

    Raises ConfigError when an address cannot be listened on.
    """
    machine = Machine.survey()
    inherited = listen_fds(os.environ, os.getpid())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Worker(settings, read, runner.get_loop(), machine, log).serve(inherited, before))


class Worker:
    """One process's server, from its first listener to its last connection.

    What is made from settings follows them from the start as it does later: see ``_follow``.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        loop: asyncio.AbstractEventLoop,
        machine: Machine,
        log: LogOutput,
    ) -> None:
        self._config = config = settings.config
        self._machine = machine
        self._stats = ServerStats()
        self._loop_lag = Histogram(_LAG_BOUNDS)
        self._flusher = Flusher(loop.call_soon, loop.call_later, _clock, time.thread_time)
        self._sweeper = Sweeper(loop.call_later)
        self._tracer = Tracer(None, _clock)
        self._log = LogSide(config.log, log, self._tracer, _clock)
        self._registry = self._build_registry()
        instance_id = secrets.token_hex(8)
        new_session = SessionIds(time.time, os.urandom)
        self._events = EventsSide(self._registry, new_session, _clock, instance_id)
        self._relays = RelaySide(
            self._registry, lambda: self._config, _clock, new_session, instance_id, self._events.push_changed
        )
        self._access = AccessSide(config, _clock, self._registry, self._hook_context(instance_id))
        self._outputs = self._build_outputs(loop)
        self._state = self._build_state(instance_id)
        self._events.note_change = self._state.note_change
        self._programs = Programs(
            self._registry, self._access.tokens, _clock, self._local_address, self._events.add_listener
        )
        self._server = self._build_server(new_session, instance_id)
        self._certificates = Certificates()
        self._http = HttpSide(self._server, self._access, self._certificates, self._outputs)
        self._unready_reason: str | None = "starting"
        self._notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
        self._parts = self._build_parts()
        self._ending = Ending(self._parts, self._notifier, lambda: self._config.shutdown)
        self._reloads = Reloads(
            settings, read, self.apply, self._notifier, time.time, lambda: self._events.audit
        )
        self._admin = AdminSide(config, self._inside())
        self._doors = self._build_doors()
        self._inherits = False
        """RTMP is served on listeners that somebody else opened, and not on ``rtmp.listen``."""
        self._changing = asyncio.Lock()
        """Held while settings are put in place, or the server is handed over."""
        self._handover = self._build_handover()
        self._tasks = TaskSet()

    def _build_outputs(self, loop: asyncio.AbstractEventLoop) -> OutputsSide:
        shelf = ShelfSide(self._registry, self._events, self._access.hooks, _clock)
        files = self._machine.max_descriptor
        return OutputsSide(
            self._registry, _clock, lambda: self._relays.leaving, shelf, loop.call_later, files
        )

    def _build_state(self, instance_id: str) -> StateSide:
        kept = self._outputs.shelf.kept
        return build_state(self._registry, self._access, self._relays, kept, _clock, instance_id)

    def _build_server(self, new_session: SessionIds, instance_id: str) -> RtmpServer:
        context = ServerContext(
            registry=self._registry,
            authorizer=self._access.tokens,
            as_public=self._access.obs.as_public,
            guard=self._access.guard,
            authorization_timeout=LONGEST_TIMEOUT + _MARGIN,
            claims=self._relays.claims,
            stats=self._stats,
            clock=_clock,
            random_bytes=os.urandom,
            new_session=new_session,
            limits=Limits(),
            settings=ServerSettings(),
            play_rules=lambda key: self._config.play_rules(str(key)),
            publish_rules=lambda key: self._config.publish_rules(str(key)),
            sweeper=self._sweeper,
            library=VodSide(lambda: self._config, self._machine.max_descriptor),
            past=self._outputs.ring,
            claim_policy=Handover(self._relays.handover_rules),
            instance_id=instance_id,
            tracer=self._tracer,
            mask=self._access.mask,
        )
        return RtmpServer(context, ConnectionLimits(), self._machine.max_descriptor)

    def _build_handover(self) -> HandoverSide:
        return HandoverSide(
            self._server,
            self._registry,
            self._access,
            self._relays,
            self._ending,
            self._notifier,
            self._doors,
            self._changing,
            lambda: self._config,
            lambda inherits: self._entrances(self._config, inherits=inherits),
            self._admin,
        )

    def _build_parts(self) -> Parts:
        return Parts(
            self._server,
            self._registry,
            self._relays,
            self._programs,
            self._outputs,
            self._access.hooks,
            self._events,
            _clock,
        )

    def _build_registry(self) -> Registry:
        return Registry(
            self._flusher,
            self._stats,
            limits_of=lambda key, limits: self._config.limits_of(str(key), limits),
        )

    def _backend_claim(self, takeover: bool) -> Handover:
        """A backend has said whether whoever publishes is to have a name that another has."""
        on_duplicate = OnDuplicate.TAKEOVER if takeover else OnDuplicate.REJECT
        return Handover(lambda key: replace(self._relays.handover_rules(key), on_duplicate=on_duplicate))

    def _hook_context(self, instance_id: str) -> HookContext:
        return HookContext(
            self._registry.sessions, _clock, self._backend_claim, self._relays.hook_pushes.put, instance_id
        )

    def _build_doors(self) -> Doors:
        rtmp = rtmp_doors(self._server, lambda: self._certificates.context)
        return self._http.beside(Doors({**rtmp, **self._http.doors(), **self._admin.doors()}))

    def _inside(self) -> Inside:
        return Inside(
            registry=self._registry,
            loop_lag=self._loop_lag,
            memory_group=self._machine.group,
            clock=_clock,
            access=self._access,
            pushes=self._relays.pushes,
            pulls=self._relays.pulls,
            relays=self._relays.statuses,
            events=self._events,
            programs=self._programs,
            outputs=self._outputs,
            hls=self._http.hls,
            rtmp_address=self._local_address,
            http_place=self._http.place,
            readiness=self._unready,
            ending=self._ending,
            replace=lambda: self._handover.replace(),
            serving_since=lambda: self._handover.serving_since,
            certificates=self._certificates,
            key_files=self._access.key_files,
            key_sets=self._access.rules.issuers,
            obs=self._http.obs_counts,
            hooks=self._access.hooks.stats,
            reloads=self._reloads,
            instance=self._server.context.instance_id,
            state=self._state,
            log=self._log,
        )

    async def apply(self, config: Config) -> Changes:
        """Put other settings in place while the server runs; what they change, and for whom.

        All of them or none: raises ConfigError when an address or a certificate cannot be had or a file of
        keys not be read, or while the server starts or ends, and nothing changes. A listener whose address
        stays is never closed; who came through one that goes stays. ``Effect`` says of each key for whom it
        holds.
        """
        async with self._changing:
            if (reason := self._unready()) is not None:
                raise ConfigError([f"the server is {reason}: nothing was changed"])
            # Of thousands of tables a second's work.
            changes = await asyncio.to_thread(compare, self._config, config)
            try:
                rules = await asyncio.to_thread(ConfiguredRules, config, self._access.rules)
                opened = await self._open(config)
            except BaseException:
                self._access.rules.take_over()  # Or issuers would be asked that no setting names.
                raise
            self._follow(config, rules)
            self._relays.apply_pulls()
            closed = self._doors.keep(self._entrances(config, inherits=self._inherits))
        tell_opened(opened)
        tell_closed(closed)
        return changes

    async def _open(self, config: Config) -> list[tuple[str, Entrance]]:
        """What can fail: read the certificates, which hold at once, and listen on what is new."""
        before = self._certificates.current
        self._certificates.current = config.rtmps.load_certificates(os.environ)
        try:
            await self._access.hooks.prepare(config)
            await self._outputs.prepare(config)
            await self._http.check(config)
            return await self._doors.open(self._entrances(config, inherits=self._inherits))
        except BaseException:
            self._certificates.current = before
            raise

    def _follow(self, config: Config, rules: ConfiguredRules) -> None:
        """Have all that is made from settings follow ``config``, but for pulls; nothing here may fail."""
        self._config = config
        self._access.apply(rules)
        self._state.apply(config)
        self._log.apply(config.log)
        self._sweeper.apply(config.stream.merge_window_ms / 1000)
        self._registry.apply(config.to_engine_limits(config.memory.ceiling(self._machine.memory)))
        self._events.apply(config)
        self._relays.apply()
        limits = config.rtmp.limits
        context = replace(
            self._server.context,
            limits=limits.to_limits(),
            input_keeper=self._events.records.keeper,
            settings=config.rtmp.to_settings(),
            apps=config.app_names(),
            proxies=config.network.proxies(),
        )
        self._server.apply(context, self._machine.fit(limits.to_connection_limits()))
        self._http.apply(config)
        self._admin.apply(config)
        self._programs.apply(config)
        self._outputs.apply(config)

    def _entrances(self, config: Config, *, inherits: bool) -> Entrances:
        entrances = config.entrances()
        return entrances | {"rtmp": ()} if inherits else entrances

    async def serve(
        self, inherited: Sequence[socket.socket] = (), before: socket.socket | None = None
    ) -> int:
        """Serve until somebody wants the end: RTMP on ``inherited`` listening sockets, if there are any.

        ``before`` leads to a process that this one is to take over from. The exit code.
        """
        self._ending.signals.install(asyncio.get_running_loop(), self._reloads.ask, self._handover.ask)
        lag = LagMeter(self._note_lag, _clock)
        try:
            await self._start(inherited, before)
        except ConfigError:
            self._handover.give_up()
            await self._parts.end(0.0)
            await self._close()
            raise
        try:
            lag.start()
            self._tasks.start(look_each_second(self._looks()), name="sample")
            self._tasks.start(self._reloads.run(), name="reload")
            interval = watchdog_interval(os.environ, os.getpid())
            if interval is not None:
                self._tasks.start(feed_watchdog(self._notifier, interval), name="watchdog")
            # What exists now lives as long as the process: the collector need not walk it again and again.
            gc.collect()
            gc.freeze()
            await self._ending.wanted()
        finally:
            code = await self._stop()
            # Not before: it reads the clock, which stands still when nobody does.
            lag.stop()
        return code

    async def _start(self, inherited: Sequence[socket.socket], before: socket.socket | None) -> None:
        config = self._config
        ceiling = config.memory.ceiling(self._machine.memory)
        fields = {"media_bytes": ceiling, "available_bytes": self._machine.memory}
        logger.info("memory", extra={"fields": fields})
        self._state.beside = before is not None
        self._follow(config, self._access.rules)
        await self._state.ready()
        if before is not None:
            # Nobody is let in from then on until the listeners are open.
            self._admin.prepare()
            await self._http.prepare()
            inherited = await self._handover.take_over(before)
        self._inherits = bool(inherited)
        self._doors.inherited = [await self._server.listen(sock, inherited=True) for sock in inherited]
        opened = [("rtmp", Entrance(listener.address)) for listener in self._doors.inherited]
        opened += await self._open(config)
        if config.log.format == "text":
            live, http = config.at(APP), config.http
            found = http.public_url, http.prefix, live.page.enabled, live.hls.enabled
            told = banner(opened, self._access.admissions(), config.admin.open, *found)
            print(told, flush=True)
        tell_opened(opened)
        self._relays.apply_pulls()
        await self._handover.taken_over()
        self._handover.open()
        self._unready_reason = None
        rtmp = ", ".join(str(entrance.address) for protocol, entrance in opened if protocol == "rtmp")
        self._notifier.ready(f"rtmpd {__version__} on {rtmp}")

    async def _stop(self) -> int:
        """End in order; the exit code."""
        self._unready_reason = "shutting down"
        self._reloads.rest()
        self._handover.close()
        async with self._changing:  # What opens meanwhile is to be closed too.
            pass
        await self._handover.end_before()
        code = await self._handover.end_last(await self._ending.run())
        await self._close()
        return code

    async def _close(self) -> None:
        await self._http.wait_closed()
        await self._admin.wait_closed()
        await self._access.rules.issuers.close()
        await self._tasks.wait_closed()
        await self._state.close()
        self._notifier.close()

    def _local_address(self) -> Address | None:
        """Where processes on this machine reach the server."""
        found = [each for each in self._doors.bound("rtmp") if not each.path]
        return next((each for each in found if not each.host or each.is_loopback), next(iter(found), None))

    def _unready(self) -> str | None:
        return self._ending.reason or self._unready_reason

    def _looks(self) -> tuple[Callable[[], None], ...]:
        return (
            self._sample_streams,
            self._access.look,
            self._state.look,
            self._admin.look,
            self._outputs.look,
            self._http.hls.look,
            self._look_at_certificates,
        )

    def _sample_streams(self) -> None:
        self._registry.sample(_clock())

    def _note_lag(self, seconds: float) -> None:
        self._loop_lag.observe(seconds)
        self._stats.levels.note_lag(seconds)

    def _look_at_certificates(self) -> None:
        self._certificates.refresh(time.time())
