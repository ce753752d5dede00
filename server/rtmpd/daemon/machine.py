"""What this process may use of the machine: files and memory."""

from __future__ import annotations

import logging
import resource
import sys
from dataclasses import dataclass, replace
from typing import Final

from rtmpd.daemon.memory_group import MemoryGroup, machine_memory
from rtmpd.serving.server import ConnectionLimits

logger = logging.getLogger(__name__)

_RESERVED_FILES: Final = 64
"""Of the limit of open files, what connections leave to admin port, relays and log."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The bounds that the system sets to this process."""

    files: int
    """How many may be open."""
    memory: int
    """Bytes: of the machine, or of the control group if that is less."""
    group: MemoryGroup | None
    """The control group that bounds the memory, if one does."""

    @classmethod
    def survey(cls) -> Machine:
        """Find the bounds. The limit of open files is raised first to what the system lets us have."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        files = sys.maxsize if hard == resource.RLIM_INFINITY else hard
        group = MemoryGroup.find()
        memory = machine_memory()
        return cls(files, memory if group is None else min(memory, group.limit), group)

    @property
    def max_descriptor(self) -> int:
        """The largest descriptor that a connection may have; half of the reserve may be open before."""
        return self.files - _RESERVED_FILES // 2

    def fit(self, limits: ConnectionLimits) -> ConnectionLimits:
        """``limits`` with no more connections than there are files for.

        At the kernel's limit connections are reset without a word or a count, those to the admin port too.
        """
        fitting = max(self.files - _RESERVED_FILES, 1)
        if limits.max_connections <= fitting:
            return limits
        fields = {"max_connections": fitting, "configured": limits.max_connections}
        logger.warning("too few files for rtmp.limits.max_connections", extra={"fields": fields})
        return replace(limits, max_connections=fitting)
