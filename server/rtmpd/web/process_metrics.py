"""The process as the kernel sees it, under the names that every dashboard knows."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from rtmpd.web.families import Family

_PROC = Path("/proc/self")


class ProcessMetrics:
    """Memory, CPU, files and start time.

    prometheus_client's own collector falls silent where /proc/stat is hidden, as by ProcSubset=pid in the
    shipped systemd unit. This one reads only the process's own entries, and leaves out what a system has not.
    """

    def __init__(self, started_at: float) -> None:
        """``started_at``: seconds since 1970."""
        self._started_at = started_at

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
