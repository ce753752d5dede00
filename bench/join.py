"""Joining: how soon a player sees its first key frame, and what a connection costs.

``alone``     players join a running stream one after the other, in the middle of a GOP
``together``  500 players join it in the same second
``picture``   1,000 players join a small stream as fast as they are answered: CPU from TCP to the first frame
``connect``   players connect as fast as they are answered, to a name that nobody publishes

In the last two the CPU that one connection costs the server says more than the rate, which is bounded by the
load generator where the server is faster. Of ``picture`` what it costs to carry the stream meanwhile is taken
off; a server that has players wait for a key frame carries it longer, which is not.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import common
import typer
from common import Bench, Row
from servers import Variant

_ALONE_RATE = 3.7
"""Players a second: no multiple of the key frame rate, so that they join everywhere in the GOP."""


def main(
    only: Annotated[str, typer.Option("--only", help="Cases, of alone, together, picture and connect.")] = "",
    against: common.Against = common.DEFAULT_AGAINST,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure time to first frame and the cost of a connection, against other servers."""
    alone, together, connects = (8, 30, 100) if quick else (40, 500, 2000)
    if quick:
        repeat = 1
    variants = [common.RTMPD, *common.others(against)]
    bench = Bench(common.named("join", quick), variants, 1.0, repeat, server_core, load_core, rtmpd)
    cases = {
        "alone": partial(_join, bench, players=alone, rate=_ALONE_RATE),
        "together": partial(_join, bench, players=together, rate=float(together)),
        "picture": partial(_picture, bench, players=2 * together),
        "connect": partial(_connect, bench, players=connects),
    }
    if unknown := set(only.split(",")) - {"", *cases}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: --only takes {', '.join(cases)}")
    chosen = [case for case in cases if not only or case in only.split(",")]
    for number, case, variant in bench.rounds(chosen):
        bench.attempt(number, {"case": case}, variant, partial(cases[case], variant=variant))
    bench.finish(
        ["case"],
        {
            "first_frame_p50_ms": "first frame p50 ms",
            "first_frame_p99_ms": "p99",
            "connect_p50_ms": "connect p50 ms",
            "connect_p99_ms": "p99",
            "per_second": "connections/s",
            "cpu_ms_each": "CPU ms each",
            "without_picture": "without picture",
            "failed": "failed",
        },
        ratio="cpu_ms_each",
    )


def _join(bench: Bench, variant: Variant, players: int, rate: float) -> Row:
    with bench.server(variant) as server, bench.load("publish", "-d", 3600, server.url("cam")) as publisher:
        publisher.wait_for("joined")
        with bench.load("play", "-n", players, "--rate", rate, "-d", 1, server.url("cam")) as load:
            report, _, _ = common.measured(server, load)
    first_frame = report["first_frame_ms"]
    return {
        "first_frame_p50_ms": first_frame["p50"],
        "first_frame_p99_ms": first_frame["p99"],
        "without_picture": report["without_picture"],
        **_connect_columns(report),
    }


def _picture(bench: Bench, variant: Variant, players: int) -> Row:
    small = ("--bitrate", 100_000, "--fps", 1, "--keyframe-interval", 1)
    with (
        bench.server(variant) as server,
        bench.load("publish", *small, "-d", 3600, server.url("cam")) as publisher,
    ):
        publisher.wait_for("joined")
        before = server.usage()
        with bench.load("play", "-n", players, "-d", 1, "--warmup", 0, server.url("cam")) as load:
            report, joined, after = common.measured(server, load)
    carrying = (after.cpu - joined.cpu) / (after.at - joined.at)
    # They come one after the other, so half of them are there on average.
    joining = joined.cpu - before.cpu - carrying * report["joining_seconds"] / 2
    first_frame = report["first_frame_ms"]
    return {
        "first_frame_p50_ms": first_frame["p50"],
        "first_frame_p99_ms": first_frame["p99"],
        "without_picture": report["without_picture"],
        "per_second": players / report["joining_seconds"],
        "cpu_ms_each": joining * 1000 / players,
        **_connect_columns(report),
    }


def _connect(bench: Bench, variant: Variant, players: int) -> Row:
    options = ("-n", players, "-d", 0.5, "--warmup", 0, "--patience", 0)
    with bench.server(variant) as server:
        before = server.usage()
        with bench.load("play", *options, server.url("nobody")) as load:
            load.wait_for("joined")
            after = server.usage()
            report = load.wait_for("report")
    joined = players - sum(report["failures"].values())
    return {
        **_connect_columns(report),
        "per_second": joined / report["joining_seconds"],
        "cpu_ms_each": (after.cpu - before.cpu) * 1000 / max(1, joined),
    }


def _connect_columns(report: Row) -> Row:
    connect = report["connect_ms"]
    columns = {"connect_p50_ms": connect["p50"], "connect_p99_ms": connect["p99"]}
    return {**columns, **common.load_columns(report)}


if __name__ == "__main__":
    typer.run(main)
