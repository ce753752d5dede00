"""Many small streams: 300 publishers of 1.1 Mbit/s, each with 3 players."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import common
import typer
from common import Bench, Row
from servers import Variant


def main(
    publishers: Annotated[int, typer.Option(help="Streams.")] = 300,
    players_each: Annotated[int, typer.Option(help="Players of each stream.")] = 3,
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure many streams with few players each, against other servers."""
    if quick:
        publishers, repeat, seconds = 10, 1, 2.0
    variants = [common.RTMPD, common.RTMPD_AT_ONCE, *common.others(against)]
    bench = Bench(
        common.named("small_streams", quick), variants, seconds, repeat, server_core, load_core, rtmpd
    )
    case = (publishers, players_each)
    for number, _, variant in bench.rounds([case]):
        row = {"publishers": publishers, "players_each": players_each}
        bench.attempt(number, row, variant, partial(_measure, bench, variant, *case))
    bench.finish(
        ["publishers", "players_each"],
        {
            "cpu_per_gb": "CPU-s/GB",
            "user_per_gb": "user",
            "system_per_gb": "system",
            "cpu_share": "share of a core",
            "p50_ms": "p50 ms",
            "p99_ms": "p99",
            "rss_mb": "RSS MB",
            "mbit_per_second": "Mbit/s",
            "failed": "failed",
            "load_cpu_share": "load core",
        },
        ratio="cpu_per_gb",
    )


def _measure(bench: Bench, variant: Variant, publishers: int, players_each: int) -> Row:
    players = publishers * players_each
    with (
        bench.server(variant) as server,
        bench.load("publish", "-n", publishers, "-d", 3600, server.url("cam")) as publisher,
    ):
        publisher.wait_for("joined")
        options = ("-n", players, "--streams", publishers, "-d", bench.seconds)
        with bench.load("play", *options, server.url("cam")) as load:
            report, before, after = common.measured(server, load)
    latency = report["latency_ms"]
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        "p50_ms": latency["p50"],
        "p99_ms": latency["p99"],
        **common.load_columns(report),
    }


if __name__ == "__main__":
    typer.run(main)
