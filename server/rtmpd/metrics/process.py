"""The process as the kernel sees it, under the names that every dashboard knows."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from rtmpd.metrics.families import Family

_PROC = Path("/proc/self")


class MemoryGroup(Protocol):
    """The control group that bounds this process; ``rtmpd.daemon.memory_group.MemoryGroup`` is one."""

    @property
    def limit(self) -> int: ...

    def used(self) -> int | None:
        """Bytes that count against the limit; None when nobody can tell. Opens files."""


class ProcessMetrics:
    """Memory, CPU, files and start time.

    prometheus_client's own collector falls silent where /proc/stat is hidden, as by ProcSubset=pid in the
    shipped systemd unit. This one reads only the process's own entries, and leaves out what a system has not.
    """

    def __init__(self, started_at: float, memory_group: MemoryGroup | None) -> None:
        """``started_at``: seconds since 1970."""
        self._started_at = started_at
        self._memory_group = memory_group

    def collect(self) -> Iterator[Family]:
        """Fit for any thread; opens files."""
        yield Family(
            "gauge", "process_start_time_seconds", "When the process started, in seconds since 1970."
        ).with_value(self._started_at)
        yield Family("counter", "process_cpu_seconds", "CPU time used, user and system.").with_value(
            time.process_time()
        )
        yield Family("gauge", "process_max_fds", "Most files that may be open.").with_value(
            resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        )
        yield from self._group()
        try:
            pages = (_PROC / "statm").read_text().split()
            files = sum(1 for _ in (_PROC / "fd").iterdir())
        except OSError:
            return
        page_size = resource.getpagesize()
        yield Family("gauge", "process_virtual_memory_bytes", "Address space.").with_value(
            int(pages[0]) * page_size
        )
        yield Family("gauge", "process_resident_memory_bytes", "Memory in use.").with_value(
            int(pages[1]) * page_size
        )
        yield Family("gauge", "process_open_fds", "Files open now, sockets included.").with_value(files)

    def _group(self) -> Iterator[Family]:
        limit = Family(
            "gauge", "rtmpd_memory_group_limit_bytes", "Limit of the container or unit; none has no series."
        )
        used = Family(
            "gauge", "rtmpd_memory_group_used_bytes", "Memory that counts against it, without file cache."
        )
        if self._memory_group is not None:
            limit.add((), self._memory_group.limit)
            if (number := self._memory_group.used()) is not None:
                used.add((), number)
        yield from (limit, used)
