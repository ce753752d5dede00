"""Joiners that do not read: what the burst of a group of pictures costs in memory and time of the loop.

150 players join a stream whose GOP cache holds 7 MiB and read nothing. The burst is owed to each of them; it
is to be made of references to what is cached. The same with a GOP of next to nothing is what a connection and
a join cost by themselves, and is taken off.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated, Final

import common
import typer
from common import Bench, Row
from hostile.scene import Scene
from hostile.stranger import Crowd, greeting, request
from hostile.target import Place, Target, running

_MIB: Final = 1024 * 1024
_SMALL: Final = 0.01
"""MB of a GOP whose burst costs nothing."""
_SETTLE: Final = 0.5
_JOINING_SECONDS: Final = 20.0
"""Longest time that all joins may take."""


def main(
    players: Annotated[int, typer.Option(help="Players that join and do not read.")] = 150,
    gop_mib: Annotated[float, typer.Option(help="MiB of the GOP cache; at most 15.")] = 7.0,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure resident memory and CPU of the server's loop for joiners that do not read."""
    if quick:
        players, repeat = 30, 1
    bench = Bench(
        common.named("unread_joins", quick), [common.RTMPD], _SETTLE, repeat, server_core, load_core, rtmpd
    )
    place = Place(rtmpd.absolute(), server_core)
    for number, megabytes, variant in bench.rounds([gop_mib * _MIB / 1e6]):
        case = {"players": players, "GOP MB": f"{megabytes:.1f}"}
        bench.attempt(number, case, variant, partial(_measure, place, players, megabytes))
    bench.finish(
        ["players", "GOP MB"],
        {
            "rss_before_mb": "RSS before MB",
            "rss_growth_mb": "grew by MB",
            "held_mb": "counted MB",
            "join_ms": "CPU ms a join",
            "burst_ms": "of it the burst",
        },
    )


def _measure(place: Place, players: int, megabytes: float) -> Row:
    small, _ = asyncio.run(_join_all(place, players, _SMALL))
    large, row = asyncio.run(_join_all(place, players, megabytes))
    return row | {"join_ms": large, "burst_ms": large - small}


async def _join_all(place: Place, players: int, megabytes: float) -> tuple[float, Row]:
    """CPU milliseconds of a join, and what memory there was before and behind."""
    with running(place) as target, Crowd(target.port) as crowd:
        scene = Scene(target, crowd, _JOINING_SECONDS)
        try:
            name = await scene.publish_gop(megabytes)
            await asyncio.sleep(_SETTLE)
            rss, cpu = target.rss_bytes(), target.loop_seconds()
            for _ in range(players):
                player = await crowd.join(crowd.address(), reads=False)
                player.say(greeting() + request("play", name, -2))
            await _until_joined(target, players)
            cpu = target.loop_seconds() - cpu
            row = {
                "rss_before_mb": rss / 1e6,
                "rss_growth_mb": (target.rss_bytes() - rss) / 1e6,
                "held_mb": await scene.metric("rtmpd_memory_held_bytes") / 1e6,
            }
        finally:
            await scene.close()
    return cpu * 1000 / players, row


async def _until_joined(target: Target, players: int) -> None:
    deadline = time.monotonic() + _JOINING_SECONDS
    while await asyncio.to_thread(target.metric, "rtmpd_plays_total") < players:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {players} players have joined after {_JOINING_SECONDS:g} s")
        await asyncio.sleep(_SETTLE)


if __name__ == "__main__":
    typer.run(main)
