"""Counters of all that is packaged: plain ints that metrics read."""

from __future__ import annotations

from typing import Final

from rtmpd.media.fmp4 import Sample
from rtmpd.reasons import Word

SAMPLE_OVERHEAD_BYTES: Final = 384
"""What a frame costs beside its bytes, until it is in a part."""


def cost(sample: Sample) -> int:
    """What a frame is charged that is in no part yet."""
    return len(sample.data) + SAMPLE_OVERHEAD_BYTES


class Overfull(Word):
    """Where so much of a stream was held that it was not waited any longer."""

    GATHERING = "gathering", "before it was known of which tracks it is"
    TURN = "turn", "until another rendition, which says where segments begin, had come as far"
    OTHERS = "others", "of a track that goes with another one, which had not come as far"
    PART = "part", "of a part in the making"
    SEGMENT = "segment", "of a segment in the making"


class HlsStats:
    """Of one process."""

    __slots__ = (
        "corrections",
        "disk_bytes",
        "disk_failures",
        "gaps",
        "held_bytes",
        "late_parts",
        "late_tracks",
        "long_gops",
        "overfull",
        "packages",
        "packages_total",
        "parts",
        "pending_bytes",
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
        self.late_tracks = 0
        """Times that tracks came when their stream was packaged already."""
        self.segments = 0
        self.gaps = 0
        """Parts that end before the next frame, because that one was late."""
        self.long_gops = 0
        """Segments that begin without a key frame, because none came in time."""
        self.corrections = 0
        """Frames whose time was repaired."""
        self.held_bytes = 0
        """Of segments, in memory."""
        self.pending_bytes = 0
        """Of frames that are in no part yet."""
        self.overfull: dict[str, int] = dict.fromkeys(Overfull, 0)
        self.relieved = 0
        """Segments that were given up before their time, because memory was short."""
        self.disk_bytes = 0
        """Of segments, on a drive."""
        self.disk_failures = 0
        """Writes to a drive that failed, or that it was too slow for."""
