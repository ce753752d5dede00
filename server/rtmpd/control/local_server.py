"""This process as a whole, as it is told."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable
from typing import Protocol

from rtmpd import __version__
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.before import Before, Carried, ask_if_there
from rtmpd.control.drain_answers import Drain, DrainRequest, Successor
from rtmpd.control.local_log import LocalLog
from rtmpd.control.server_answers import Predecessor, PublicHttp, ServerInfo, State, Totals
from rtmpd.control.stored import StateStats, Stored
from rtmpd.control.times import Times, on_wall
from rtmpd.control.usage import Usage, machine
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import Conflict, HandoverFailed, NotPossible, UsageError
from rtmpd.reasons import Problem
from rtmpd.rtmp.form import form


class Draining(Protocol):
    """An end that is under way; ``rtmpd.daemon.ending.Draining`` is one. Clock readings."""

    @property
    def since(self) -> float: ...

    @property
    def until(self) -> float: ...

    @property
    def publishers(self) -> int: ...

    @property
    def players(self) -> int: ...


class Ending(Protocol):
    """Ends the server; ``rtmpd.daemon.ending.Ending`` is one."""

    @property
    def draining(self) -> Draining | None:
        """None while it does not end."""

    def ask(self, wait: float | None, grace: float | None, server: str | None) -> Draining:
        """End it, by the settings where something is None. Raises UsageError."""


class LocalServer:
    """``control.Server`` of this process, whose run is named ``instance``.

    ``readiness`` says why no traffic should be sent here now, None when it may be; ``wall_clock`` reads
    seconds since 1970, and at the start of the process it read ``started``. ``serving_since()`` is the same
    of the first of the processes that took over from each other up to this one; None if that is this one.
    """

    def __init__(
        self,
        registry: Registry,
        readiness: Callable[[], str | None],
        ending: Ending,
        replace: Callable[[], Awaitable[tuple[int, str]]],
        stored: Stored,
        audit: Audit,
        times: Callable[[], Times],
        wall_clock: Callable[[], float],
        started: float,
        instance: str,
        log: LocalLog,
        rtmp_port: Callable[[], int | None],
        http: Callable[[], PublicHttp | None],
        before: Before,
        serving_since: Callable[[], float | None],
    ) -> None:
        self._registry = registry
        self._ending = ending
        self._replace = replace
        self._audit = audit
        self._times = times
        self._readiness = readiness
        self._stored = stored
        self._wall_clock = wall_clock
        self._started = started
        self._instance = instance
        self._usage = Usage()
        self._log = log
        self._rtmp_port = rtmp_port
        self._http = http
        self._before = before
        self._serving_since = serving_since

    async def info(self, by: Actor) -> ServerInfo:
        unready, draining, before = self._readiness(), self._ending.draining, self._before.carried
        since = self._serving_since()
        return ServerInfo(
            instance=self._instance,
            version=__version__,
            form=form(),
            python=platform.python_version(),
            started=on_wall(self._started),
            serving_since=on_wall(self._started if since is None else since),
            uptime_seconds=round(max(self._wall_clock() - self._started, 0.0), 3),
            ready=unready is None,
            unready_reason=unready,
            rtmp_port=self._rtmp_port(),
            http=self._http(),
            state=_state(self._stored.stats),
            log=await self._log.level(by),
            drain=None if draining is None else _drain(draining, self._times(), before),
            predecessor=None if before is None else _predecessor(before, self._times()),
            totals=_totals(self._registry),
            process=self._usage.process(),
            machine=machine(),
        )

    async def drain(self, request: DrainRequest, by: Actor) -> Drain:
        with self._audit.attempt(by, Change.DRAIN, reason=request.reason) as attempt:
            try:
                draining = self._ending.ask(request.wait_seconds, request.grace_seconds, request.reconnect_to)
            except UsageError as problem:
                raise NotPossible(Problem.BAD_REQUEST, f"reconnect_to: {problem}") from None
            drain = _drain(draining, self._times(), self._before.carried)
            attempt.after = f"until {drain.until:%Y-%m-%dT%H:%M:%SZ} at the latest"
        await ask_if_there(self._before, "drain", request.model_dump(mode="json"), by)
        return drain

    async def replace(self, by: Actor) -> Successor:
        with self._audit.attempt(by, Change.REPLACE) as attempt:
            try:
                pid, version = await self._replace()
            except HandoverFailed as problem:
                raise Conflict(Problem.NOT_REPLACED, str(problem)) from None
            attempt.after = f"process {pid}"
            return Successor(pid=pid, version=version)


def _drain(draining: Draining, times: Times, before: Carried | None) -> Drain:
    """Of both processes, if there are two: the server ends with the last of them."""
    return Drain(
        since=times.at(draining.since),
        until=times.at(draining.until),
        publishers=draining.publishers + (0 if before is None else before.publishers or 0),
        players=draining.players + (0 if before is None else before.players or 0),
    )


def _predecessor(before: Carried, times: Times) -> Predecessor:
    return Predecessor(
        pid=before.pid,
        version=before.version,
        since=None if before.since is None else times.at(before.since),
        until=None if before.until is None else times.at(before.until),
        publishers=before.publishers,
        players=before.players,
        streams=None if before.publishers is None else len(before.live),
        problem=before.problem or None,
    )


def _state(stats: StateStats | None) -> State | None:
    if stats is None:
        return None
    return State(
        writable=stats.failure is None,
        reason=stats.failure,
        problem=stats.problem or None,
        bytes=stats.bytes,
    )


def _totals(registry: Registry) -> Totals:
    stats, budget = registry.stats, registry.budget
    return Totals(
        connections=dict(stats.connections),
        connections_total=stats.connections_total,
        publishers=stats.publishers,
        publishes_total=stats.publishes_total,
        players=stats.players,
        plays_total=stats.plays_total,
        streams_published=stats.published_streams,
        streams_held=stats.held_streams,
        streams_on_slate=stats.slates.on_air,
        bytes_in=stats.bytes_in,
        bytes_out=stats.bytes_out,
        bits_per_second_in_10s=round(stats.in_rate.over_10s * 8, 1),
        bits_per_second_out_10s=round(stats.out_rate.over_10s * 8, 1),
        refusals={str(reason): number for reason, number in stats.refusals.items()},
        bans=stats.banned,
        unsent_bytes=stats.unsent_bytes,
        media_bytes=budget.used,
        media_limit_bytes=budget.ceiling_bytes,
    )
