"""How a rendition is cut: chosen once, by its frames and key frames, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median_low
from typing import Final

SLACK: Final = 1.03
"""A part may be so much longer than its frames: RTMP's times are whole milliseconds."""
LEAST: Final = 0.85
"""Of its target every part is as long as that at least, but the last of a segment."""
_FEWEST_FPS: Final = 5.0
"""With fewer there are no parts."""
_USUAL_RATES: Final = (
    *(5.0, 10.0, 12.0, 12.5, 15.0, 20.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0),
    *(48.0, 50.0, 60000 / 1001, 60.0, 75.0, 90.0, 100.0, 120.0, 144.0, 240.0),
)
_NEAR: Final = 0.008
"""A measured rate that is so near to a usual one is that."""
LONGEST: Final = 10.0
"""Seconds; key frames that are farther apart are not waited for."""
_USUAL: Final = 4
"""Seconds; key frames of encoders for live streams are not farther apart."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Times in seconds."""

    segment: float
    """A segment ends at the first key frame behind that."""
    target_duration: int
    """No segment is longer, rounded."""
    frame: float
    """From one frame to the next."""
    part: float = 0.0
    """What a part lasts; 0 where there are none."""
    part_target: float = 0.0
    """No part is longer."""

    @property
    def part_hold_back(self) -> float:
        """So far behind the end players of parts stay."""
        return 3.0 * self.part_target

    @property
    def hold_back(self) -> float:
        """The same of others."""
        return 3.0 * self.target_duration

    @property
    def skip_until(self) -> float:
        """What is farther from the end is left out of an update."""
        return 6.0 * self.target_duration


def frame_time(durations: Sequence[float], told: float = 0.0) -> float:
    """Seconds from one frame to the next, of some that came in a row: without those that were lost.

    ``told`` are the frames a second that the encoder says there are, 0 if it does not: believed where that
    may be.
    """
    middle = median_low(durations)  # One of them: so some are as usual.
    usual = [each for each in durations if 0.5 * middle <= each <= 1.5 * middle]
    mean = sum(usual) / len(usual)
    rates = [rate for rate in (told, *_USUAL_RATES) if abs(rate * mean - 1.0) <= _NEAR]
    # So few frames do not tell 30 from 29.97.
    rate = min(rates, key=lambda rate: (rate != told, rate % 1.0 > 0.0, abs(rate * mean - 1.0)), default=0.0)
    return 1.0 / rate if rate else mean


def key_frame_patience(segment: float) -> float:
    """Seconds of a stream for which its second key frame is waited for."""
    return max(_USUAL, ceil(2.0 * segment))


def make_plan(frame: float, part: float, segment: float, key_frames: float | None) -> Plan:
    """Of frames that are ``frame`` apart; parts and segments are wanted as long as ``part``, ``segment``.

    ``key_frames`` is how far apart those are; 0 where every frame is one, None where that takes longer than
    ``key_frame_patience``.
    """
    if key_frames is None:
        target = int(LONGEST)
    elif key_frames > LONGEST:
        target = int(key_frame_patience(segment))
    else:
        gops = max(1, ceil(0.95 * segment / key_frames)) if key_frames else 0
        target = max(round(gops * key_frames), ceil(segment))
    if not part or frame * _FEWEST_FPS > 1.001:
        return Plan(segment, target, frame)
    length = max(1, round(part / frame)) * frame
    return Plan(segment, target, frame, length, ceil(length * SLACK * 1e5) / 1e5)
