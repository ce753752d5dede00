"""How much memory there is for this process: the machine's, or what its control group leaves it (cgroups(7)).

A container's ``--memory``, Kubernetes' limits and systemd's ``MemoryMax=`` are all limits of a control group,
and whoever passes one is killed by the kernel. Both hierarchies are read, v1 and v2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_UNLIMITED: Final = 1 << 60
"""What v1 shows for no limit is a little less than the largest number that there is."""


def machine_memory() -> int:
    """Bytes of RAM. By sysinfo(2), as ProcSubset=pid of the shipped unit hides /proc/meminfo."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """The control group with the lowest limit of those that this process is in."""

    limit: int
    """Bytes."""
    _usage: Path
    _reclaimable: str
    """The line of memory.stat with what the kernel takes back before it kills."""

    @classmethod
    def find(
        cls, membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
    ) -> MemoryGroup | None:
        """The group of this process; None where there is no limit, or no control groups."""
        try:
            lines = membership.read_text().splitlines()
        except OSError:
            return None
        groups = [group for line in lines for group in _groups(line, root)]
        return min(groups, key=lambda group: group.limit, default=None)

    def used(self) -> int | None:
        """Bytes that count against the limit, sockets' included, without file cache that can go."""
        try:
            used = int(self._usage.read_text())
            statistics = self._usage.with_name("memory.stat").read_text()
        except (OSError, ValueError):
            return None
        found = re.search(rf"^{self._reclaimable} (\d+)$", statistics, re.MULTILINE)
        return max(used - int(found[1]), 0) if found else used


def _groups(line: str, root: Path) -> Iterator[MemoryGroup]:
    """The groups with a limit along one line of /proc/self/cgroup: ``hierarchy:controllers:path``."""
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    if controllers == "":
        base, limit, usage, reclaimable = root, "memory.max", "memory.current", "inactive_file"
    elif "memory" in controllers.split(","):
        base, reclaimable = root / "memory", "total_inactive_file"
        limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
    else:
        return
    # A limit holds for all below. A container may see the machine's path, but only its own part of the tree.
    below = PurePosixPath(path.lstrip("/"))
    for folder in (base / part for part in (below, *below.parents)):
        try:
            number = int((folder / limit).read_text())
        except (OSError, ValueError):  # No such file at the root, and "max" is no number.
            continue
        if number < _UNLIMITED:
            yield MemoryGroup(number, folder / usage, reclaimable)
