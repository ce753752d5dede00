"""Fan-out: what it costs to carry one stream to many players.

CPU seconds of the server per gigabyte that the players received, and its memory, for one publisher of
1.1 Mbit/s (30 frames and 43 audio packets a second). The same CPU for each message that the publisher sends
tells few players' cost apart: with ``--fps 1000 --bitrate 30000000`` it falls, as nothing has left the
processor's caches meanwhile. ``--protocol rtmp,http-flv`` has the same servers measured with players of
either in the same run.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import common
import typer
from common import Bench, Row
from servers import Variant

AUDIO_PACKETS = 44_100 / 1024
"""A second, of a synthetic stream."""


def main(
    players: Annotated[str, typer.Option(help="Numbers of players.")] = "100,500,1500,3000",
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    drain_ms: common.DrainMs = 0.0,
    fps: Annotated[float, typer.Option(min=1, help="Frames a second.")] = 30.0,
    bitrate: Annotated[int, typer.Option(min=1, help="Bit/s, sound included.")] = 1_100_000,
    protocol: Annotated[
        str, typer.Option(help="How players are sent media: rtmp, http-flv, or both in turn: rtmp,http-flv.")
    ] = "rtmp",
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure fan-out at merge windows of 0 and 350 ms and at the default, against other servers."""
    others = common.others(against)
    variants = [common.RTMPD]
    if not any(other.program for other in others):  # How revisions compare is no question of windows.
        variants += [common.RTMPD_AT_ONCE, common.RTMPD_50_MS, common.RTMPD_350_MS]
    variants += others
    variants = [each.playing(word) for each in variants for word in protocol.split(",") if each.plays(word)]
    counts = [int(part) for part in players.split(",")]
    if quick:
        counts, repeat, seconds = [50], 1, 2.0
    bench = Bench(common.named("fanout", quick), variants, seconds, repeat, server_core, load_core, rtmpd)
    for number, count, variant in bench.rounds(counts):
        case = {"players": count, "drain_ms": drain_ms, "fps": fps}
        measure = partial(_measure, bench, variant, count, drain_ms, fps, bitrate)
        bench.attempt(number, case, variant, measure)
    bench.finish(
        ["players", "drain_ms", "fps"],
        {
            "cpu_per_gb": "CPU-s/GB",
            "user_per_gb": "user",
            "system_per_gb": "system",
            "us_per_message": "us/message",
            "cpu_share": "share of a core",
            "latency_p99_ms": "p99 ms",
            "rss_mb": "RSS MB",
            "kb_per_player": "KB/player",
            "mbit_per_second": "Mbit/s",
            "failed": "failed",
            "load_cpu_share": "load core",
        },
        ratio="cpu_per_gb",
    )


def _measure(bench: Bench, variant: Variant, players: int, drain_ms: float, fps: float, bitrate: int) -> Row:
    media = ("--fps", fps, "--bitrate", bitrate)
    with (
        bench.server(variant) as server,
        bench.load("publish", "-d", 3600, *media, server.url("cam")) as publisher,
    ):
        publisher.wait_for("joined")
        alone = server.usage()
        options = ("-n", players, "-d", bench.seconds, "--drain-interval", drain_ms / 1000)
        with bench.load("play", *options, server.play_url("cam")) as load:
            report, before, after = common.measured(server, load)
    columns = common.cpu_columns(before, after, report["bytes"] / report["seconds"])
    return {
        **columns,
        "us_per_message": columns["cpu_share"] * 1e6 / (fps + AUDIO_PACKETS),
        "kb_per_player": (after.rss_bytes - alone.rss_bytes) / players / 1000,
        "latency_p99_ms": report["latency_ms"]["p99"],
        **common.load_columns(report),
    }


if __name__ == "__main__":
    typer.run(main)
