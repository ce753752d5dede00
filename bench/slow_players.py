"""Slow players: 200 of 1,000 stop reading; what the others notice, and what the server keeps for them.

Long enough a measurement, or a high enough bitrate, is needed to fill what the kernel takes for a player that
does not read (some MB each), before the server is asked to.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Annotated, Self

import common
import typer
from common import Bench, Row
from servers import Server, Variant

_SAMPLE_INTERVAL = 0.5


def main(
    players: Annotated[int, typer.Option(help="Players, those that stop included.")] = 1000,
    stalled: Annotated[int, typer.Option(help="Players that stop reading at their first key frame.")] = 200,
    bitrate: Annotated[int, typer.Option(help="Bit/s of the stream.")] = 1_100_000,
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = 1,
    seconds: common.Seconds = 60.0,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure the others' latency and the server's memory, without and with slow players."""
    if quick:
        players, stalled, bitrate, repeat, seconds = 50, 10, 8_000_000, 1, 6.0
    variants = [common.RTMPD, *common.others(against)]
    bench = Bench(
        common.named("slow_players", quick), variants, seconds, repeat, server_core, load_core, rtmpd
    )
    for number, slow, variant in bench.rounds([0, stalled]):
        case = {"players": players, "stalled": slow}
        bench.attempt(number, case, variant, partial(_measure, bench, variant, players, slow, bitrate))
    bench.finish(
        ["players", "stalled"],
        {
            "p50_ms": "others p50 ms",
            "p99_ms": "p99",
            "max_ms": "max",
            "silence_p99_ms": "longest silence p99 ms",
            "cpu_share": "share of a core",
            "rss_before_mb": "RSS before MB",
            "rss_max_mb": "RSS max MB",
            "closed": "closed by the server",
            "load_cpu_share": "load core",
        },
    )


def _measure(bench: Bench, variant: Variant, players: int, stalled: int, bitrate: int) -> Row:
    source = ("--bitrate", bitrate, "-d", 3600)
    with bench.server(variant) as server, bench.load("publish", *source, server.url("cam")) as publisher:
        publisher.wait_for("joined")
        before_players = server.usage()
        options = ("-n", players, "--stalled", stalled, "-d", bench.seconds)
        with _Peak(server) as peak, bench.load("play", *options, server.url("cam")) as load:
            report, before, after = common.measured(server, load)
    latency = report["latency_ms"]
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        **{f"{name}_ms": latency[name] for name in ("p50", "p99", "max")},
        "silence_p99_ms": report["longest_silence_ms"]["p99"],
        "rss_before_mb": before_players.rss_bytes / 1e6,
        "rss_max_mb": max(peak.rss_bytes, after.rss_bytes) / 1e6,
        "closed": report["closed"],
        **common.load_columns(report),
    }


class _Peak:
    """Looks at a server's memory now and then."""

    def __init__(self, server: Server) -> None:
        self.rss_bytes = 0
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_INTERVAL):
            self.rss_bytes = max(self.rss_bytes, self._server.usage().rss_bytes)


if __name__ == "__main__":
    typer.run(main)
