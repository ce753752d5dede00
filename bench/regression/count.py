"""Runs each workload once, between marks that callgrind sees. Started by gate.py under valgrind."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from workloads import all_workloads

_WARM_UP_RUNS = 3
"""CPython specializes its bytecode meanwhile."""


def main(only: str) -> None:
    """Print one ``name operations`` line per workload with ``only`` in its name, in order of the marks."""
    workloads = [workload for workload in all_workloads() if only in workload.name]
    gc.collect()
    gc.disable()
    for workload in workloads:
        print(workload.name, workload.operations, flush=True)
        for _ in range(_WARM_UP_RUNS):
            workload.run()
        # callgrind writes and clears its counts whenever this harmless C function is entered.
        os.getloadavg()
        workload.run()
        os.getloadavg()


if __name__ == "__main__":
    main(sys.argv[1])
