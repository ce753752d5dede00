"""This process as a whole, as it is told."""

from __future__ import annotations

import platform
from collections.abc import Callable

from rtmpd import __version__
from rtmpd.control.actor import Actor
from rtmpd.control.server_answers import ServerInfo, Totals
from rtmpd.control.times import on_wall
from rtmpd.control.usage import Usage, machine
from rtmpd.engine.registry import Registry
from rtmpd.rtmp.form import form


class LocalServer:
    """``control.Server`` of this process, whose run is named ``instance``.

    ``readiness`` says why no traffic should be sent here now, None when it may be; ``wall_clock`` reads
    seconds since 1970, and at the start of the process it read ``started``.
    """

    def __init__(
        self,
        registry: Registry,
        readiness: Callable[[], str | None],
        wall_clock: Callable[[], float],
        started: float,
        instance: str,
    ) -> None:
        self._registry = registry
        self._readiness = readiness
        self._wall_clock = wall_clock
        self._started = started
        self._instance = instance
        self._usage = Usage()

    async def info(self, by: Actor) -> ServerInfo:
        del by  # Everybody who may see anything sees this.
        unready = self._readiness()
        return ServerInfo(
            instance=self._instance,
            version=__version__,
            form=form(),
            python=platform.python_version(),
            started=on_wall(self._started),
            uptime_seconds=round(max(self._wall_clock() - self._started, 0.0), 3),
            ready=unready is None,
            unready_reason=unready,
            totals=_totals(self._registry),
            process=self._usage.process(),
            machine=machine(),
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
