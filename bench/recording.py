"""Recording: what 50 streams of 4 Mbit/s cost that are written to files, and whether others notice.

Each round has the same publishers, and ten players of one of them as a canary, first with nothing recorded
and then with everything. CPU of the server, what is written at once and how long that takes, what waits for
the drive at most, and the canary's latency. Files are counted and looked into at the end.

Exit status 1 if a packet of a recording was lost, a player disconnected or a file not complete.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import common
import typer
from common import Bench, Row

_LOOK: Final = 0.25
"""Seconds between looks at what waits."""
_COLUMNS: Final = {
    "cpu_share": "share of a core",
    "rss_mb": "RSS MB",
    "written_mb": "written MB/s",
    "write_kb": "KB a write",
    "write_ms": "ms a write",
    "queue_mb": "waiting at most, MB",
    "p50_ms": "canary p50 ms",
    "p99_ms": "p99",
    "max_ms": "max",
    "lost": "lost packets",
    "files": "files",
    "load_cpu_share": "load core",
}


def main(
    streams: Annotated[int, typer.Option(help="Streams that are published.")] = 50,
    bitrate: Annotated[int, typer.Option(help="Bit/s of each.")] = 4_000_000,
    root: Annotated[
        Path | None, typer.Option(help="Where the files go; without it a temporary folder.")
    ] = None,
    quick: common.Quick = False,
    repeat: common.Repeat = 3,
    seconds: common.Seconds = 20.0,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure what recording costs, and what the players of a stream notice of it."""
    if quick:
        streams, repeat, seconds = 5, 1, 3.0
    with tempfile.TemporaryDirectory(prefix="rtmpd-recording-", dir=root) as name:
        config = Path(name) / "rtmpd.toml"
        variant = replace(common.RTMPD, config=str(config))
        bench = Bench(
            common.named("recording", quick), [variant], seconds, repeat, server_core, load_core, rtmpd
        )
        for number, recorded, _ in bench.rounds(["nothing", "all"]):
            files = Path(name) / "files"
            files.mkdir()
            config.write_text(_settings(files, recorded))
            case = {"streams": streams, "recorded": recorded}
            bench.attempt(number, case, variant, partial(_measure, bench, streams, bitrate, files))
            shutil.rmtree(files)
    bench.finish(["streams", "recorded"], _COLUMNS)
    raise typer.Exit(any("error" in row or row["lost"] or row["failed"] for row in bench.rows))


def _settings(files: Path, recorded: str) -> str:
    start = "always" if recorded == "all" else "manual"
    return f'[apps.live.record]\nstart = "{start}"\nroot = "{files}"\n'


@dataclass(slots=True)
class _Looks:
    """Looks at the metrics of recordings, in a thread."""

    port: int
    queue_bytes: float = 0.0
    """The most that has waited."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK):
            self.queue_bytes = max(self.queue_bytes, _metrics(self.port)["queue_bytes"])


def _metrics(port: int) -> dict[str, float]:
    """Those of recordings, labels added up."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    found: dict[str, float] = {}
    for line in page.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("rtmpd_recording_") and "_bucket" not in name:
            key = name.partition("{")[0].removeprefix("rtmpd_recording_").removesuffix("_total")
            found[key] = found.get(key, 0.0) + float(value)
    return found


def _measure(bench: Bench, streams: int, bitrate: int, files: Path) -> Row:
    (variant,) = bench.variants
    publish = ("-n", streams, "--bitrate", bitrate, "-d", 3600)
    play = ("-n", 10, "-d", bench.seconds, "--warmup", 3.0)
    with bench.server(variant) as server:
        looks = _Looks(server.admin_port)
        with bench.load("publish", *publish, server.url("cam")) as source:
            source.wait_for("joined")
            with bench.load("play", *play, server.url("cam0")) as canary, looks.running():
                canary.wait_for("measuring")
                began, before = _metrics(server.admin_port), server.usage()
                canary.wait_for("measured")
                after, ended = server.usage(), _metrics(server.admin_port)
                report = canary.wait_for("report")
        seconds = after.at - before.at
        writes = ended["write_seconds_count"] - began["write_seconds_count"]
        written = ended["bytes"] - began["bytes"]
        spent = ended["write_seconds_sum"] - began["write_seconds_sum"]
    complete = list(files.rglob("*.flv"))
    if len(list(files.rglob("*.part"))) or (written and len(complete) != streams):
        raise RuntimeError(f"{len(complete)} of {streams} files are complete")
    latency = report["latency_ms"]
    return {
        **common.cpu_columns(before, after, streams * bitrate / 8),
        **common.load_columns(report),
        **{f"{name}_ms": latency[name] for name in ("p50", "p99", "max")},
        "written_mb": written / seconds / 1e6,
        "write_kb": written / writes / 1e3 if writes else None,
        "write_ms": spent / writes * 1e3 if writes else None,
        "queue_mb": looks.queue_bytes / 1e6,
        "lost": ended["lost_packets"],
        "files": len(complete),
    }


if __name__ == "__main__":
    typer.run(main)
