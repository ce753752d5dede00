"""Series of the processes that streams have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rtmpd.metrics.families import Family
from rtmpd.processes.words import (
    HookCounts,
    HookEnd,
    ProcessCounts,
    ProcessEnd,
    ProcessState,
    ProcessStatus,
)


def collect_processes(
    processes: Sequence[ProcessStatus], counts: ProcessCounts, max_processes: int
) -> Iterator[Family]:
    """All families; the first ``max_processes`` have series of their own."""
    states = Counter(each.state for each in processes)
    text = "Processes that live as long as a stream, by what they do now."
    yield Family("gauge", "rtmpd_processes", text, ("state",)).with_table(states, ProcessState)
    text = "Ends of such processes, by how they came."
    yield Family("counter", "rtmpd_process_ends", text, ("reason",)).with_table(counts.ends, ProcessEnd)
    text = "Lines that such processes have written, by whether they were logged."
    lines = {"logged": counts.lines_logged, "left_out": counts.lines_left_out}
    yield Family("counter", "rtmpd_process_output_lines", text, ("fate",)).with_table(lines)
    labels = ("app", "stream", "process")
    up = Family("gauge", "rtmpd_process_running", "Whether the process of a stream runs now.", labels)
    starts = Family("counter", "rtmpd_process_starts", "How often it was started.", labels)
    for each in processes[:max_processes]:
        names = (each.key.app, each.key.name, each.name)
        up.add(names, each.state is ProcessState.RUNNING)
        starts.add(names, each.starts)
    yield from (up, starts)


def collect_hooks(counts: HookCounts) -> Iterator[Family]:
    """What has become of the commands that are run for events."""
    now = {"running": counts.running, "waiting": counts.waiting}
    yield Family("gauge", "rtmpd_hooks", "Commands for events, by what they do now.", ("state",)).with_table(
        now
    )
    text = "Commands for events, by how they ended."
    yield Family("counter", "rtmpd_hook_ends", text, ("reason",)).with_table(counts.ends, HookEnd)
