"""What every benchmark shares: options, load processes, measurements, repetitions, tables and JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import servers
import typer
from servers import ROOT, Server, Usage, Variant

RESULTS = Path(__file__).resolve().parent / "results"
GIGABYTE = 1e9

Against = Annotated[
    str,
    typer.Option(
        "--against",
        help="Servers to compare with: nginx, nms, bare (the event loop alone), or an earlier rtmpd's path; "
        "empty for none.",
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Small and short: shows that it works, not how fast anything is.")
]
Repeat = Annotated[int, typer.Option("--repeat", min=1, help="Rounds; every server takes part in each.")]
Seconds = Annotated[float, typer.Option("--seconds", min=0.5, help="Length of each measurement.")]
ServerCore = Annotated[int, typer.Option("--server-core", min=0, help="The core of the server.")]
Rtmpd = Annotated[
    Path,
    typer.Option(
        "--rtmpd",
        exists=True,
        dir_okay=False,
        show_default=False,
        help="Another rtmpd to measure, such as .venv-compiled/bin/rtmpd.",
    ),
]
LoadCore = Annotated[int, typer.Option("--load-core", min=0, help="The core of players and publishers.")]
DrainMs = Annotated[
    float,
    typer.Option(
        "--drain-ms",
        min=0,
        help="Have most players read only so often; acknowledgements are late then, as from far away.",
    ),
]
DEFAULT_RTMPD = servers.RTMPD
DEFAULT_AGAINST = "nginx,nms"
DEFAULT_REPEAT = 3
DEFAULT_SECONDS = 8.0

RTMPD = Variant("rtmpd", "rtmpd")
"""With its defaults."""
RTMPD_AT_ONCE = Variant("rtmpd, window 0", "rtmpd", ("stream.merge_window_ms=0",))
RTMPD_50_MS = Variant("rtmpd, window 50 ms", "rtmpd", ("stream.merge_window_ms=50",))
RTMPD_350_MS = Variant("rtmpd, window 350 ms", "rtmpd", ("stream.merge_window_ms=350",))
EARLIER = "rtmpd, earlier"
OTHERS = {
    "nginx": Variant("nginx-rtmp", "nginx"),
    "nms": Variant("node-media-server", "nms"),
    "bare": Variant("the event loop alone", "bare"),
}

_REPORT_TIMEOUT = 120.0
_STOP_TIMEOUT = 5.0

Row = dict[str, Any]


def others(against: str) -> list[Variant]:
    """The variants named in ``--against``."""
    names = [name.strip() for name in against.split(",") if name.strip()]
    unknown = [name for name in names if name not in OTHERS and not Path(name).is_file()]
    if unknown:
        known = ", ".join(OTHERS)
        raise typer.BadParameter(f"{', '.join(unknown)}: --against takes {known} and the path of an rtmpd")
    return [OTHERS.get(name) or Variant(EARLIER, "rtmpd", program=name) for name in names]


def named(name: str, quick: bool) -> str:
    """The name of a run: figures of quick ones must not be taken for others."""
    return f"{name}-quick" if quick else name


class Load:
    """A process such as ``rtmpd bench``, followed phase by phase: it prints each as a line of JSON."""

    def __init__(self, core: int, *command: str) -> None:
        self._process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def of_rtmpd(cls, core: int, what: str, *arguments: object) -> Load:
        """``rtmpd bench``, of whatever it can do."""
        return cls(core, str(servers.RTMPD), "bench", what, "--json", *map(str, arguments))

    def wait_for(self, phase: str, timeout: float = _REPORT_TIMEOUT) -> Row:
        """The line of ``phase``. Raises ``RuntimeError`` if the process ends or takes too long before it."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RuntimeError(f"the load is not {phase} after {timeout:g} s") from None
            if line is None:
                raise RuntimeError(f"the load ended before it was {phase}")
            if line["phase"] == phase:
                return line

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_TIMEOUT)
        self._reader.join(_STOP_TIMEOUT)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            self._lines.put(json.loads(text))
        self._lines.put(None)


@dataclass(slots=True)
class Bench:
    """One script's run: where things run, and the rows it has made."""

    name: str
    variants: Sequence[Variant]
    seconds: float
    repeat: int
    server_core: int
    load_core: int
    rtmpd: Path = DEFAULT_RTMPD
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        servers.require(self.variants)
        os.sched_setaffinity(0, {self.load_core})
        # Whoever ends this script ends its servers and its load.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    @contextlib.contextmanager
    def load(self, what: str, *arguments: object) -> Iterator[Load]:
        """``rtmpd bench`` on its core, gone at the end of the block."""
        process = Load.of_rtmpd(self.load_core, what, *arguments)
        try:
            yield process
        finally:
            process.stop()

    @contextlib.contextmanager
    def server(self, variant: Variant) -> Iterator[Server]:
        with servers.running(variant, self.server_core, self.rtmpd.absolute()) as server:
            yield server

    def rounds(self, cases: Sequence[Any]) -> Iterator[tuple[int, Any, Variant]]:
        """Every case with every server in every round, servers one after the other so that drift hits all."""
        total = self.repeat * len(cases) * len(self.variants)
        done = 0
        for number in range(self.repeat):
            for case in cases:
                for variant in self.variants:
                    done += 1
                    progress = f"[{done}/{total}] {self.name}: {case}, {variant.label}"
                    print(progress, file=sys.stderr, flush=True)
                    yield number, case, variant

    def attempt(self, number: int, case: Row, variant: Variant, measure: Callable[[], Row]) -> None:
        """Add the row that ``measure`` makes, or one that says why there is none."""
        row: Row = {"round": number, "server": variant.label, **case}
        try:
            row |= measure()
        except RuntimeError as error:
            row["error"] = str(error)
            print(f"  failed: {error}", file=sys.stderr, flush=True)
        self.rows.append(row)

    def finish(
        self,
        key: Sequence[str],
        columns: Mapping[str, str],
        ratio: str | None = None,
        reference: str = OTHERS["nginx"].label,
    ) -> None:
        """Print the table and write the JSON.

        Rows are grouped by server and ``key``; ``columns`` maps a field to its title; ``ratio`` is the field
        that is put in relation to an earlier rtmpd's in the same round, or else to that of ``reference``.
        """
        labels = [variant.label for variant in self.variants]
        reference = EARLIER if EARLIER in labels else reference
        found = servers.versions(self.variants, self.rtmpd.absolute())
        where = {**machine(), **found, "command": " ".join(["python", *sys.argv])}
        about = {
            "benchmark": self.name,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "where": where,
            "seconds": self.seconds,
            "repeat": self.repeat,
            "variants": [asdict(variant) for variant in self.variants],
        }
        print(f"\n## {self.name}\n")
        for name, value in where.items():
            print(f"- {name}: {value}")
        print()
        print("\n".join(_table(self.rows, key, columns, ratio, reference)))
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        path.write_text(json.dumps({**about, "rows": self.rows}, indent=1) + "\n")
        print(f"\nwritten to {path.relative_to(ROOT)}")


def measured(server: Server, load: Load) -> tuple[Row, Usage, Usage]:
    """The report of ``load``, and the server's usage at both ends of its measurement."""
    load.wait_for("measuring")
    before = server.usage()
    load.wait_for("measured")
    after = server.usage()
    return load.wait_for("report"), before, after


def cpu_columns(before: Usage, after: Usage, bytes_per_second: float) -> Row:
    """CPU of the server between two readings, for what was carried meanwhile."""
    seconds = after.at - before.at
    cpu, user, system = after.cpu - before.cpu, after.user - before.user, after.system - before.system
    gigabytes = bytes_per_second * seconds / GIGABYTE
    return {
        "cpu_share": cpu / seconds,
        "cpu_per_gb": cpu / gigabytes if gigabytes else None,
        "user_per_gb": user / gigabytes if gigabytes else None,
        "system_per_gb": system / gigabytes if gigabytes else None,
        "rss_mb": after.rss_bytes / 1e6,
    }


def load_columns(report: Row) -> Row:
    """What tells whether the load generator was in order."""
    seconds = report["seconds"]  # 0 when no media came, so that there was nothing to measure.
    return {
        "load_cpu_share": report["cpu_seconds"] / seconds if seconds else None,
        "load_late_p99_ms": report["late_ms"]["p99"],
        "mbit_per_second": report["bytes"] * 8 / 1e6 / seconds if seconds else None,
        "failed": sum(report["failures"].values()) + report["closed"],
        "report": report,
    }


def machine() -> dict[str, str]:
    """Where the figures were made."""
    model = "unknown"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "load average before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }


def _table(
    rows: Sequence[Row], key: Sequence[str], columns: Mapping[str, str], ratio: str | None, reference: str
) -> list[str]:
    titles = [*key, "server", *columns.values()]
    if ratio:
        titles.append(f"of {reference}")
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((*(row[name] for name in key), row["server"]), []).append(row)
    for group, members in groups.items():
        cells = [str(part) for part in group]
        cells += [_spread([row.get(name) for row in members]) for name in columns]
        if ratio:
            cells.append(_spread([_ratio(row, rows, key, ratio, reference) for row in members]))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _ratio(row: Row, rows: Sequence[Row], key: Sequence[str], name: str, reference: str) -> float | None:
    for other in rows:
        same = all(other[part] == row[part] for part in (*key, "round"))
        if same and other["server"] == reference and other.get(name) and row.get(name) is not None:
            return float(row[name] / other[name])
    return None


def _spread(values: Sequence[float | None]) -> str:
    """Median, with the smallest and the largest where they differ."""
    present = [value for value in values if value is not None]
    if not present:
        return "-"
    middle, low, high = (_number(value) for value in (statistics.median(present), min(present), max(present)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _number(value: float) -> str:
    if value and abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"
