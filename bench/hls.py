"""Low-latency HLS: what viewers cost who reload and fetch each part, and nginx that has the same as files.

nginx answers the same requests without waiting for anything: playlists and parts lie there as files. What it
takes is what HTTP itself costs; the goal is to cost no more than three times that.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import common
import servers
import typer
from common import Bench, Row
from servers import Variant

_LOAD = Path(__file__).with_name("hls_load.py")
_FPS = 30
_FILES = 10
NGINX_FILES = Variant("nginx, files", "nginx-files")


def main(
    viewers: Annotated[str, typer.Option(help="Numbers of viewers, with the length of parts in ms.")] = (
        "1200@200,2000@333"
    ),
    mbit: Annotated[float, typer.Option(help="Of the stream.")] = 3.0,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure what viewers cost, and how late parts reach them."""
    cases = [tuple(map(int, each.split("@"))) for each in viewers.split(",")]
    if quick:
        cases, repeat, seconds = [(50, 200)], 1, 3.0
    variants = [common.RTMPD, NGINX_FILES]
    bench = Bench(common.named("hls", quick), variants, seconds, repeat, server_core, load_core, rtmpd)
    for number, (count, part_ms), variant in bench.rounds(cases):
        case = {"viewers": count, "part_ms": part_ms}
        measure = _measure_files if variant is NGINX_FILES else _measure
        bench.attempt(number, case, variant, partial(measure, bench, count, part_ms / 1000, mbit))
    bench.finish(
        ["viewers", "part_ms"],
        {
            "cpu_share": "share of a core",
            "reloads": "playlists/s",
            "parts": "parts/s",
            "mbit_per_second": "Mbit/s",
            "skipped": "parts skipped",
            "lost": "lost",
            "p50_ms": "delay p50 ms",
            "p99_ms": "p99",
            "max_ms": "max",
            "load_cpu_share": "load core",
        },
        ratio="cpu_share",
        reference=NGINX_FILES.label,
    )


def _measure(bench: Bench, viewers: int, part: float, mbit: float) -> Row:
    (http_port,) = servers.free_ports(1)
    settings = (
        f"http.listen=127.0.0.1:{http_port}",
        "rtmp.limits.max_command_cost_per_address=0",
        f"apps.live.hls.part={part}",
        "apps.live.hls.segment=1",
    )
    variant = Variant("rtmpd", "rtmpd", settings)
    with bench.server(variant) as server:
        publishing = ("-d", 3600, "--bitrate", int(mbit * 1e6), "--fps", _FPS, "--keyframe-interval", 1)
        with bench.load("publish", *publishing, server.url("cam")) as publisher:
            publisher.wait_for("joined")
            time.sleep(3.0)
            with _watching(bench, http_port, "/live/cam", viewers) as load:
                return _row(*common.measured(server, load))


def _measure_files(bench: Bench, viewers: int, part: float, mbit: float) -> Row:
    with tempfile.TemporaryDirectory(prefix="rtmpd-bench-hls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (port,) = servers.free_ports(1)
        www = folder / "www" / "live" / "cam"
        www.mkdir(parents=True)
        (www / "index.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmain.m3u8\n")
        (www / "main.m3u8").write_bytes(b"#" * 1500)
        for number in range(_FILES):
            (www / f"part_{number}.mp4").write_bytes(bytes(round(mbit * 125_000 * part)))
        with (
            servers.files(folder, port, bench.server_core) as server,
            _watching(bench, port, "/live/cam", viewers, files=_FILES, period=part) as load,
        ):
            return _row(*common.measured(server, load))


@contextlib.contextmanager
def _watching(
    bench: Bench, port: int, folder: str, viewers: int, files: int = 0, period: float = 0.2
) -> Iterator[common.Load]:
    command = [
        sys.executable,
        str(_LOAD),
        str(port),
        folder,
        "-n",
        str(viewers),
        "--seconds",
        str(bench.seconds),
    ]
    command += ["--files", str(files), "--period", str(period)]
    load = common.Load(bench.load_core, *command)
    try:
        load.wait_for("joined")
        yield load
    finally:
        load.stop()


def _row(report: Row, before: servers.Usage, after: servers.Usage) -> Row:
    delays = report["delay_ms"]
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        "reloads": report["reloads"],
        "parts": report["parts"],
        "skipped": report["skipped"],
        "lost": report["lost"],
        "mbit_per_second": report["bytes"] * 8 / 1e6 / report["seconds"],
        "load_cpu_share": report["cpu_seconds"] / report["seconds"],
        **{f"{name}_ms": delays[name] for name in ("p50", "p99", "max")},
    }


if __name__ == "__main__":
    typer.run(main)
