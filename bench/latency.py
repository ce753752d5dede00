"""Added latency: from the publisher's write to the player's read, on one machine with one clock.

Packets are stamped when they are made and read again by up to 32 players of all, spread evenly over them.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import common
import typer
from common import Bench, Row
from servers import Variant


def main(
    players: Annotated[str, typer.Option(help="Numbers of players.")] = "5,1000",
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    drain_ms: common.DrainMs = 0.0,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure latency at the default merge window and at none, with the CPU that it costs."""
    variants = [common.RTMPD, common.RTMPD_AT_ONCE, *common.others(against)]
    counts = [int(part) for part in players.split(",")]
    if quick:
        counts, repeat, seconds = [5], 1, 2.0
    bench = Bench(common.named("latency", quick), variants, seconds, repeat, server_core, load_core, rtmpd)
    for number, count, variant in bench.rounds(counts):
        case = {"players": count, "drain_ms": drain_ms}
        bench.attempt(number, case, variant, partial(_measure, bench, variant, count, drain_ms))
    bench.finish(
        ["players", "drain_ms"],
        {
            "p50_ms": "p50 ms",
            "p90_ms": "p90",
            "p99_ms": "p99",
            "max_ms": "max",
            "missing": "missing packets",
            "cpu_share": "share of a core",
            "load_late_p99_ms": "load late p99 ms",
            "load_cpu_share": "load core",
        },
        ratio="p99_ms",
    )


def _measure(bench: Bench, variant: Variant, players: int, drain_ms: float) -> Row:
    with bench.server(variant) as server, bench.load("publish", "-d", 3600, server.url("cam")) as publisher:
        publisher.wait_for("joined")
        options = ("-n", players, "-d", bench.seconds, "--drain-interval", drain_ms / 1000)
        with bench.load("play", *options, server.url("cam")) as load:
            report, before, after = common.measured(server, load)
    latency = report["latency_ms"]
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        **{f"{name}_ms": latency[name] for name in ("p50", "p90", "p99", "max")},
        "missing": report["missing"],
        **common.load_columns(report),
    }


if __name__ == "__main__":
    typer.run(main)
