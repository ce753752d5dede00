"""Micro benchmarks: nanoseconds per operation and MB/s of the hot paths, in this process, without sockets."""

from __future__ import annotations

import gc
import json
import os
import statistics
import time
from typing import Annotated

import common
import typer
from servers import ROOT
from workloads import Workload, all_workloads


def main(
    only: Annotated[str, typer.Option(help="Only workloads whose name holds this.")] = "",
    quick: common.Quick = False,
    repeat: common.Repeat = 9,
    seconds: Annotated[float, typer.Option(min=0.01, help="Length of each repetition.")] = 0.3,
    core: Annotated[int, typer.Option(min=0, help="The core to run on.")] = 0,
) -> None:
    """Time chunk reader and writer, session, engine, packaging and its answers, handshake and AMF."""
    if quick:
        repeat, seconds = 3, 0.02
    os.sched_setaffinity(0, {core})
    rows = []
    print("\n## micro\n")
    where = common.machine()
    for name, value in where.items():
        print(f"- {name}: {value}")
    print("\n| workload | ns/operation, best | median | operation | MB/s |\n| --- | --- | --- | --- | --- |")
    for workload in all_workloads():
        if only not in workload.name:
            continue
        times = _time(workload, repeat, seconds)
        best, middle = min(times), statistics.median(times)
        megabytes = workload.size / workload.operations / best * 1e3
        print(f"| {workload.name} | {best:,.0f} | {middle:,.0f} | {workload.unit} | {megabytes:,.0f} |")
        rows.append(
            {"workload": workload.name, "unit": workload.unit, "ns": times, "mb_per_second": megabytes}
        )
    common.RESULTS.mkdir(exist_ok=True)
    path = common.RESULTS / f"{common.named('micro', quick)}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps({"benchmark": "micro", "where": where, "rows": rows}, indent=1) + "\n")
    print(f"\nwritten to {path.relative_to(ROOT)}")


def _time(workload: Workload, repeat: int, seconds: float) -> list[float]:
    """Nanoseconds per operation, of each repetition."""
    run = workload.run
    run()
    started = time.perf_counter_ns()
    run()
    once = max(1, time.perf_counter_ns() - started)
    loops = max(1, round(seconds * 1e9 / once))
    times = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeat):
            started = time.perf_counter_ns()
            for _ in range(loops):
                run()
            times.append((time.perf_counter_ns() - started) / loops / workload.operations)
    finally:
        gc.enable()
    return times


if __name__ == "__main__":
    typer.run(main)
