"""Overload: 1,000 players, then 5,000, then 1,000 again, all on one server that keeps running.

Nobody may starve: the longest silence is the longest time that any player was without a byte. Nobody may be
lost: connections that the server ended and packets that a player missed are counted. Latency may grow, and
has to come back.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import common
import typer
from common import Bench, Row
from servers import Server

_COLUMNS = {
    "p50_ms": "p50 ms",
    "p99_ms": "p99",
    "max_ms": "max",
    "silence_ms": "longest silence ms",
    "without_picture": "without picture",
    "closed": "closed",
    "missing": "missed packets",
    "cpu_share": "share of a core",
    "mbit_per_second": "Mbit/s",
    "load_cpu_share": "load core",
}


def main(
    usual: Annotated[int, typer.Option(help="Players before and after.")] = 1000,
    crowd: Annotated[int, typer.Option(help="Players in between.")] = 5000,
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = 1,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure what a crowd does to its own latency and to those who come after it."""
    if quick:
        usual, crowd, repeat, seconds = 20, 100, 1, 2.0
    variants = [common.RTMPD, *common.others(against)]
    bench = Bench(common.named("overload", quick), variants, seconds, repeat, server_core, load_core, rtmpd)
    for number, _, variant in bench.rounds([crowd]):
        with bench.server(variant) as server, bench.load("publish", "-d", 3600, server.url("cam")) as source:
            source.wait_for("joined")
            for phase, players in (("before", usual), ("crowd", crowd), ("after", usual)):
                case = {"phase": phase, "players": players}
                bench.attempt(number, case, variant, partial(_measure, bench, server, players))
    bench.finish(["phase", "players"], _COLUMNS)


def _measure(bench: Bench, server: Server, players: int) -> Row:
    with bench.load("play", "-n", players, "-d", bench.seconds, server.url("cam")) as load:
        report, before, after = common.measured(server, load)
    latency = report["latency_ms"]
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        **{f"{name}_ms": latency[name] for name in ("p50", "p99", "max")},
        "silence_ms": report["longest_silence_ms"]["max"],
        "without_picture": report["without_picture"],
        "closed": report["closed"],
        "missing": report["missing"],
        **common.load_columns(report),
    }


if __name__ == "__main__":
    typer.run(main)
