"""The composition root: builds every room from the configuration, runs the loop, and ends in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING

import uvloop

from rtmpd import __version__
from rtmpd.access.open_policy import OpenPolicy
from rtmpd.daemon.banner import banner
from rtmpd.daemon.config import Config
from rtmpd.daemon.machine import Machine
from rtmpd.daemon.notify import Notifier, listen_fds, watchdog_interval
from rtmpd.daemon.stop_signals import StopSignals
from rtmpd.engine.flusher import Flusher
from rtmpd.engine.origin import SessionIds
from rtmpd.engine.registry import Registry
from rtmpd.engine.stats import Histogram, ServerStats
from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.clock import LoopClock
from rtmpd.net.lag import LagMeter
from rtmpd.net.listeners import open_listener
from rtmpd.net.tasks import TaskSet
from rtmpd.relay.dialer import RelayDialer
from rtmpd.relay.pull.relays import PullRelays
from rtmpd.relay.push.relays import PushRelays
from rtmpd.relay.status import RelayStatus
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.server import RtmpServer
from rtmpd.serving.sweeper import Sweeper
from rtmpd.serving.tracing import Tracer

if TYPE_CHECKING:
    from rtmpd.web.server import AdminServer

logger = logging.getLogger(__name__)

_SAMPLE_INTERVAL = 1.0
# The loop's own clock in finer steps: uvloop's stands still for a turn and counts whole milliseconds, too
# coarse for what a flush to a few players costs.
_clock = LoopClock(time.monotonic)
_PATIENCE = 1.0
"""Seconds of an orderly end after which somebody may wonder what is waited for."""
_STOP_MARGIN = 5.0
"""Seconds that the end takes at most beyond ``shutdown.drain_timeout``."""
_LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def run(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code.

    Raises ConfigError when an address cannot be listened on.
    """
    machine = Machine.survey()
    inherited = listen_fds(os.environ, os.getpid())
    sockets = inherited or [open_listener(address) for address in config.rtmp.addresses()]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Worker(config, runner.get_loop(), machine).serve(sockets, inherited=bool(inherited)))
    return 0


class Worker:
    """One process's server, from its first listener to its last connection."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, machine: Machine) -> None:
        self._config = config
        self._machine = machine
        self._stats = ServerStats()
        self._loop_lag = Histogram(_LAG_BOUNDS)
        merge_window = config.stream.merge_window_ms / 1000
        flusher = Flusher(loop.call_soon, loop.call_later, _clock, time.thread_time, merge_window)
        ceiling = config.memory.ceiling(machine.memory)
        logger.info("memory", extra={"fields": {"media_bytes": ceiling, "available_bytes": machine.memory}})
        self._registry = Registry(
            flusher,
            self._stats,
            config.to_engine_limits(ceiling),
            lambda key, limits: self._config.limits_of(str(key), limits),
        )
        instance_id = secrets.token_hex(8)
        self._new_session = SessionIds(time.time, os.urandom)
        dialer = RelayDialer(instance_id, self._new_session, ca_file=config.relay.ca_file or None)
        self._pushes = PushRelays(
            self._registry, dialer, _clock, lambda key: self._config.at(str(key)).pushes(key.name)
        )
        self._pulls = PullRelays(
            self._registry,
            dialer,
            _clock,
            lambda key: self._config.at(str(key)).pull.rule,
            config.pulled_always(),
            max_dials=config.relay.max_dials_per_address,
        )
        self._registry.observe(self._pushes)
        self._registry.observe(self._pulls)
        self._server = RtmpServer(
            self._context(Sweeper(loop.call_later, merge_window), instance_id),
            machine.fit(config.rtmp.limits.to_connection_limits()),
            machine.max_descriptor,
        )
        self._unready_reason: str | None = "starting"
        self._admins = self._build_admins(ceiling)
        self._notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
        self._tasks = TaskSet()

    def _context(self, sweeper: Sweeper, instance_id: str) -> ServerContext:
        config = self._config
        return ServerContext(
            registry=self._registry,
            authorizer=OpenPolicy(),
            stats=self._stats,
            clock=_clock,
            random_bytes=os.urandom,
            new_session=self._new_session,
            limits=config.rtmp.limits.to_limits(),
            settings=config.rtmp.to_settings(),
            play_rules=lambda key: self._config.play_rules(str(key)),
            sweeper=sweeper,
            apps=config.app_names(),
            instance_id=instance_id,
            tracer=Tracer(ip_network(config.log.trace), _clock) if config.log.trace else None,
        )

    def _build_admins(self, ceiling: int) -> list[tuple[Address, AdminServer]]:
        config = self._config
        addresses = config.admin.addresses()
        if not addresses:
            return []
        # Only now: what speaks HTTP takes a quarter of the time and of the memory of a start.
        from rtmpd.web.metrics import MetricsPage, Sources
        from rtmpd.web.page import SharedPage
        from rtmpd.web.relays import RelayApi
        from rtmpd.web.server import AdminServer

        sources = Sources(
            stats=self._stats,
            streams=self._registry.streams,
            loop_lag=self._loop_lag,
            memory_held=lambda: self._registry.budget.used,
            memory_limit=ceiling,
            memory_group=self._machine.group,
            clock=_clock,
            relays=self._relay_statuses,
        )
        page = SharedPage(MetricsPage(sources, config.metrics.max_streams), config.metrics.max_age, _clock)
        limits = config.admin.to_limits()
        api = RelayApi(self._pushes, self._relay_statuses, config.app_names())
        return [
            (address, AdminServer(page, self._unready, api, limits, local=address.is_loopback))
            for address in addresses
        ]

    def apply(self, config: Config) -> None:
        """Follow other settings, as far as they can change while the server runs.

        At once: the ceilings of ``[stream]``, ``[player]`` and ``[memory]``, GOP caches of live streams, push
        targets. For those who come from now on: what an app or stream says of players and pulls. All else
        stays as it was at the start, so does which tables make an app of several levels.
        """
        self._config = config
        self._registry.apply(config.to_engine_limits(config.memory.ceiling(self._machine.memory)))
        self._pushes.apply()

    async def serve(self, sockets: Sequence[socket.socket], *, inherited: bool = False) -> None:
        """Serve on listening sockets until a signal asks to stop; ``inherited``: others opened them."""
        signals = StopSignals()
        signals.install(asyncio.get_running_loop())
        lag = LagMeter(self._loop_lag.observe, _clock)
        try:
            await self._start(sockets, inherited=inherited)
        except ConfigError:
            await self._end_connections(0.0)
            await self._close()
            raise
        try:
            lag.start()
            self._tasks.start(self._sample(), name="sample")
            interval = watchdog_interval(os.environ, os.getpid())
            if interval is not None:
                self._tasks.start(self._feed_watchdog(interval), name="watchdog")
            # What exists now lives as long as the process: the collector need not walk it again and again.
            gc.collect()
            gc.freeze()
            await signals.asked.wait()
        finally:
            await self._stop(signals.insisted)
            # Not before: it reads the clock, which stands still when nobody does.
            lag.stop()

    async def _start(self, sockets: Sequence[socket.socket], *, inherited: bool) -> None:
        admin = [await _listen_admin(server, address) for address, server in self._admins]
        rtmp = [await self._server.listen(sock, inherited=inherited) for sock in sockets]
        if self._config.log.format == "text":
            sys.stdout.write(banner(rtmp, admin) + "\n")
            sys.stdout.flush()
        for protocol, addresses in (("rtmp", rtmp), ("admin", admin)):
            for address in addresses:
                fields = {"protocol": protocol, "address": address.host or "*", "port": address.port}
                if address.path:
                    fields = {"protocol": protocol, "address": address}
                logger.info("listening", extra={"fields": fields})
        self._pulls.start()
        self._unready_reason = None
        self._notifier.ready(f"rtmpd {__version__} on {', '.join(map(str, rtmp))}")

    async def _stop(self, insisted: asyncio.Event) -> None:
        grace = self._config.shutdown.drain_timeout
        self._unready_reason = "shutting down"
        self._notifier.stopping("ending connections", within=grace + _STOP_MARGIN)
        logger.info("stopping", extra={"fields": self._awaited()})
        started = _clock()
        ending = asyncio.ensure_future(self._end_connections(grace))
        impatience = asyncio.ensure_future(insisted.wait())
        either = (ending, impatience)
        await asyncio.wait(either, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done() and not insisted.is_set():
            fields = self._awaited() | {"up_to": round(max(grace - _PATIENCE, 0.0), 3)}
            logger.info("waiting; once more ends at once", extra={"fields": fields})
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await self._end_connections(0.0)
        impatience.cancel()
        await ending
        await self._close()
        logger.info("stopped", extra={"fields": {"duration": round(_clock() - started, 3)}})

    def _awaited(self) -> dict[str, int]:
        """Whom the end has to wait for."""
        open_now = self._stats.connections
        return {
            "publishers": open_now.get("publishing", 0),
            "players": open_now.get("playing", 0),
            "others": open_now.get("pending", 0),
            "pushes": len(self._pushes.statuses()),
        }

    async def _end_connections(self, grace: float) -> None:
        """In order within ``grace`` seconds, then at once. A second call beside the first shortens it."""
        started = _clock()
        await asyncio.gather(self._server.close(grace), self._pulls.close())
        # Every publisher is gone, so what is left of the pushes is what is not sent yet.
        await self._pushes.close(max(grace - (_clock() - started), 0.0))

    async def _close(self) -> None:
        for _, admin in self._admins:
            await admin.close()
        await self._tasks.wait_closed()
        self._notifier.close()

    def _relay_statuses(self) -> list[RelayStatus]:
        return [*self._pushes.statuses(), *self._pulls.statuses()]

    def _unready(self) -> str | None:
        return self._unready_reason

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_INTERVAL)
            try:
                self._registry.sample(_clock())
            except Exception:  # Deadlines of slow players depend on the next round.
                logger.exception("sampling failed")

    async def _feed_watchdog(self, interval: float) -> None:
        while True:
            self._notifier.watchdog()
            await asyncio.sleep(interval)


async def _listen_admin(server: AdminServer, address: Address) -> Address:
    try:
        return await server.start(address)
    except OSError as error:
        raise ConfigError([f"admin.listen: cannot listen on {address}: {error.strerror or error}"]) from error
