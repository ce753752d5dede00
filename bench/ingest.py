"""Ingest: what it costs to take in many streams that nobody plays.

CPU seconds of the server per gigabyte that the publishers' sockets took, and its memory per publisher,
whose GOP cache included where the server keeps one.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Annotated

import common
import typer
from common import Bench, Row
from servers import Variant


def main(
    publishers: Annotated[str, typer.Option(help="Numbers of publishers.")] = "100,500,1000",
    chunk_sizes: Annotated[str, typer.Option(help="Chunk sizes that they send with.")] = "128,4096,65536",
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure ingest at several chunk sizes, against other servers."""
    variants = [common.RTMPD, *common.others(against)]
    counts = [int(part) for part in publishers.split(",")]
    sizes = [int(part) for part in chunk_sizes.split(",")]
    if quick:
        counts, sizes, repeat, seconds = [20], [128, 4096], 1, 2.0
    bench = Bench(common.named("ingest", quick), variants, seconds, repeat, server_core, load_core, rtmpd)
    for number, (count, size), variant in bench.rounds(list(product(counts, sizes))):
        case = {"publishers": count, "chunk_size": size}
        bench.attempt(number, case, variant, partial(_measure, bench, variant, count, size))
    bench.finish(
        ["publishers", "chunk_size"],
        {
            "cpu_per_gb": "CPU-s/GB",
            "user_per_gb": "user",
            "system_per_gb": "system",
            "cpu_share": "share of a core",
            "rss_mb": "RSS MB",
            "kb_per_publisher": "KB/publisher",
            "mbit_per_second": "Mbit/s",
            "failed": "failed",
            "dropped": "dropped",
            "load_cpu_share": "load core",
        },
        ratio="cpu_per_gb",
    )


def _measure(bench: Bench, variant: Variant, publishers: int, chunk_size: int) -> Row:
    options = ("-n", publishers, "--chunk-size", chunk_size, "-d", bench.seconds, "--warmup", 3.0)
    with bench.server(variant) as server:
        empty = server.usage()
        with bench.load("publish", *options, server.url("cam")) as load:
            report, before, after = common.measured(server, load)
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        "kb_per_publisher": (after.rss_bytes - empty.rss_bytes) / publishers / 1000,
        "dropped": report["dropped"],
        **common.load_columns(report),
    }


if __name__ == "__main__":
    typer.run(main)
