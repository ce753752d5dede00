"""Counters of all that is packaged: plain ints that metrics read."""

from __future__ import annotations


class HlsStats:
    """Of one process."""

    __slots__ = (
        "corrections",
        "disk_bytes",
        "disk_failures",
        "gaps",
        "held_bytes",
        "late_parts",
        "long_gops",
        "packages",
        "packages_total",
        "parts",
        "relieved",
        "segments",
    )

    def __init__(self) -> None:
        self.packages = 0
        """Streams that are packaged now."""
        self.packages_total = 0
        self.parts = 0
        self.late_parts = 0
        """Parts that came later behind the one before, by the clock, than their target and a fifth."""
        self.segments = 0
        self.gaps = 0
        """Parts that end before the next frame, because that one was late."""
        self.long_gops = 0
        """Segments that begin without a key frame, because none came in time."""
        self.corrections = 0
        """Frames whose time was repaired."""
        self.held_bytes = 0
        """Of segments, in memory."""
        self.relieved = 0
        """Segments that were given up before their time, because memory was short."""
        self.disk_bytes = 0
        """Of segments, on a drive."""
        self.disk_failures = 0
        """Writes to a drive that failed, or that it was too slow for."""
