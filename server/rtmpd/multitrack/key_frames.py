"""Key frames that come together in all tracks, whatever OBS makes of seconds.

OBS counts the frames from one to the next: as many as a track has in the seconds that it is told, less what
is left over. At 59.94 frames a second those of 2 seconds are 119, and 59 of a track that has half of them:
each GOP of that one is a frame of the other shorter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import lcm

from rtmpd.multitrack.question import Canvas


def come_together(canvas: Canvas, keyint: int, divisors: Iterable[int]) -> bool:
    """Whether they do by ``keyint`` seconds, in tracks that have every so-manieth frame of the canvas."""
    return len({_between(canvas, keyint, divisor) for divisor in divisors}) <= 1


def common_gop(canvas: Canvas, keyint: int, divisors: Collection[int]) -> int | None:
    """Frames of the canvas from key frame to key frame, as near to ``keyint`` seconds as all tracks can have
    them; None where that were twice as long, or longer.
    """
    wanted, step = keyint * canvas.numerator / canvas.denominator, lcm(*divisors)
    return round(wanted / step) * step or None


def nearest_divisor(canvas: Canvas, keyint: int, divisor: int, fastest: int) -> int:
    """The largest up to ``divisor`` with which key frames come together with those of the fastest track."""
    return next(
        each
        for each in range(divisor, 0, -1)
        if each == fastest or come_together(canvas, keyint, (each, fastest))
    )


def _between(canvas: Canvas, keyint: int, divisor: int) -> int:
    """Frames of the canvas from key frame to key frame of a track."""
    return keyint * canvas.numerator // (canvas.denominator * divisor) * divisor
