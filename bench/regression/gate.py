"""A gate against getting slower that no busy machine can confuse: instructions are counted, not timed.

The workloads of the micro benchmarks run under callgrind; the instructions per operation are compared with
those committed in ``baseline.json``, which has an entry for each build of Python, because the interpreter's
own instructions are most of them.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
TOLERANCE = 0.10
BESIDE = {"accept_publish_by_key": "accept_publish_open", "accept_play_by_key": "accept_play_open"}
"""Workloads that may cost at most ``MORE`` than others, whatever was committed."""
MORE = 0.05
MARK = "getloadavg"

Counts = dict[str, float]


def main(
    record: Annotated[
        bool, typer.Option("--record", help="Make what is counted now the baseline of this Python.")
    ] = False,
    only: Annotated[str, typer.Option(help="Only workloads whose name holds this.")] = "",
    required: Annotated[
        bool,
        typer.Option(
            "--required",
            envvar="BENCH_GATE_REQUIRED",
            help="Fail where valgrind or a baseline is missing, rather than skip.",
        ),
    ] = False,
) -> None:
    """Compare instructions per operation with the baseline; exit 1 past 10 % more."""
    if shutil.which("valgrind") is None:
        _skip("valgrind is missing: apt-get install valgrind", required)
    baselines: dict[str, Counts] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    key = interpreter()
    if key not in baselines and not record:
        hint = "on a revision that you trust, run: python bench/regression/gate.py --record"
        _skip(f"there is no baseline for {key}; {hint}", required)
    counts = count(only)
    dear = _compare_beside(counts)
    if record:
        baselines[key] = (baselines.get(key, {}) if only else {}) | counts
        BASELINE.write_text(json.dumps(baselines, indent=1, sort_keys=True) + "\n")
        print(f"recorded {len(counts)} workloads for {key}")
        return
    worse = _compare(counts, baselines[key])
    if worse:
        print(f"\nmore than {TOLERANCE:.0%} more instructions than committed: {', '.join(worse)}")
        print("if that is meant, run: python bench/regression/gate.py --record")
    if worse or dear:
        raise typer.Exit(1)


def interpreter() -> str:
    """What the counts depend on: this build of Python, and the machine's kind."""
    version = f"{platform.python_implementation()} {platform.python_version()}"
    built = " ".join(platform.python_build())
    return f"{version} ({built}, {platform.python_compiler()}) {platform.system()} {platform.machine()}"


def count(only: str) -> Counts:
    """Instructions per operation of every workload whose name holds ``only``.

    Raises ``RuntimeError`` when valgrind fails.
    """
    with tempfile.TemporaryDirectory(prefix="rtmpd-gate-") as name:
        out = Path(name) / "callgrind"
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            f"--dump-before={MARK}",
            sys.executable,
            str(HERE / "count.py"),
            only,
        ]
        # Hashes and the environment's size move instructions about; both are the same every time. And what is
        # counted are the sources beside the gate, whatever is installed.
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(HERE.parent.parent / "server"),
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"valgrind ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        workloads = [line.split() for line in done.stdout.splitlines()]
        # Of the two dumps of each workload the second holds what ran between the marks.
        dumps = [out.with_name(f"{out.name}.{2 * number}") for number in range(1, len(workloads) + 1)]
        return {
            name: round(_total(dump) / int(operations), 1)
            for (name, operations), dump in zip(workloads, dumps, strict=True)
        }


def _total(dump: Path) -> int:
    found = re.search(r"^totals: (\d+)", dump.read_text(), flags=re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{dump.name} holds no total")
    return int(found.group(1))


def _compare(counts: Counts, baseline: Counts) -> list[str]:
    """Print the table; the workloads that got worse, unknown ones included."""
    worse = []
    print("| workload | instructions each | committed | change |\n| --- | --- | --- | --- |")
    for name, value in counts.items():
        committed = baseline.get(name)
        if committed is None:
            print(f"| {name} | {value:,.0f} | - | new: record it |")
            worse.append(name)
            continue
        change = value / committed - 1
        print(f"| {name} | {value:,.0f} | {committed:,.0f} | {change:+.1%} |")
        if change > TOLERANCE:
            worse.append(name)
    return worse


def _compare_beside(counts: Counts) -> list[str]:
    """Print what some workloads cost beside others; those that cost too much."""
    dear = []
    for name, other in BESIDE.items():
        if name not in counts or other not in counts:
            continue
        more = counts[name] / counts[other] - 1
        print(f"{name}: {more:+.1%} beside {other}, at most {MORE:+.0%}")
        if more > MORE:
            dear.append(name)
    return dear


def _skip(reason: str, required: bool) -> None:
    print(f"bench-gate {'failed' if required else 'skipped, nothing was compared'}: {reason}")
    raise typer.Exit(1 if required else 0)


if __name__ == "__main__":
    typer.run(main)
