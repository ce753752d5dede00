"""What the process and its machine are busy with."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from rtmpd.control.server_answers import Machine, Process

_SHORTEST: Final = 1.0
"""Seconds over which it is worth telling how busy the process was."""
_STATM: Final = Path("/proc/self/statm")


class Usage:
    """Looks at them when somebody asks."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic()
        self._used = time.process_time()
        self._cores = 0.0

    def process(self) -> Process:
        """This one, now. Opens a file of the kernel's."""
        now, used = time.monotonic(), time.process_time()
        if now - self._looked_at >= _SHORTEST:
            self._cores = (used - self._used) / (now - self._looked_at)
            self._looked_at, self._used = now, used
        return Process(
            id=os.getpid(),
            memory_bytes=_resident(),
            cpu_seconds=round(used, 3),
            cpu_cores=round(self._cores, 3),
        )


def machine() -> Machine:
    """That of this process."""
    loads = os.getloadavg()
    return Machine(
        cores=os.cpu_count() or 1,
        # Not out of /proc/meminfo, which ProcSubset=pid of the shipped unit hides.
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        load_1m=round(loads[0], 2),
        load_5m=round(loads[1], 2),
        load_15m=round(loads[2], 2),
    )


def _resident() -> int | None:
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
