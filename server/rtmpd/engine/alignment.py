"""Whether the key frames of a video's tracks come together, so that players can go from one to another."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.engine.packet import VIDEO
from rtmpd.engine.stats import StreamStats, TrackStats

TOLERANCE_MS: Final = 100
"""Between key frames of one moment: a frame of 15 in a second, and what rounding adds."""


class Apart(NamedTuple):
    """A track whose key frames come at other times than those of another."""

    track: int
    of: int
    seconds: float


def find_apart(stats: StreamStats) -> Apart | None:
    """The worst of the tracks that flow, None where all agree. Intervals may be multiples of each other: of
    two tracks those of the one that has them more often are where the other's have to be.
    """
    flowing = [
        (track, figures)
        for (kind, track), figures in sorted(stats.tracks.items())
        if kind == VIDEO and figures.frame_rate.over_1s >= 1.0 and figures.keyframe_interval_ms is not None
    ]
    if len(flowing) < 2:
        return None
    (first, leading), *others = flowing
    worst = Apart(first, first, 0.0)
    for track, figures in others:
        distance = _distance(figures, leading)
        if distance > max(TOLERANCE_MS, worst.seconds * 1000):
            worst = Apart(track, first, distance / 1000)
    return worst if worst.seconds else None


def _distance(one: TrackStats, other: TrackStats) -> int:
    """Milliseconds from a key frame to the next moment at which there should be one."""
    apart = abs((one.keyframe_timestamp or 0) - (other.keyframe_timestamp or 0))
    interval = min(one.keyframe_interval_ms or 0, other.keyframe_interval_ms or 0)
    if interval <= 0:
        return apart
    behind = apart % interval
    return min(behind, interval - behind)
