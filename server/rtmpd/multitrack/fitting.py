"""A ladder as far as a streamer's canvas, GPU and wishes allow."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from rtmpd.multitrack.encoders import Family, choose
from rtmpd.multitrack.ladder import Codec, Ladder, Rung
from rtmpd.multitrack.question import Canvas, Question

_LEAST_KBPS: Final = 100
"""Below it no rung is pressed, whatever the streamer says: then there is none."""
_ROUNDING: Final = 1.02
"""By so much a canvas may have more frames a second than a rung wants: 60 is 59.94 too."""


@dataclass(frozen=True, slots=True)
class Video:
    """One track of video."""

    encoder: str
    """OBS's id."""
    codec: Codec
    width: int
    height: int
    numerator: int
    """Of frames a second, as the next one."""
    denominator: int
    kbps: int


def fit(ladder: Ladder, question: Question, family: Family) -> tuple[Video, ...]:
    """The tracks, in the order of the ladder. None if not even the smallest keeps to the bitrate."""
    kept: dict[Rung, Video] = {}
    for rung in sorted(ladder.rungs, key=_kbps):
        video, is_cut = _video(rung, question, family), rung.height > question.canvas.height
        if not any(_does_for(each, video, is_cut=is_cut) for each in kept.values()):
            kept[rung] = video
    videos = [kept[rung] for rung in dict.fromkeys(ladder.rungs) if rung in kept]
    return _within_bitrate(videos[: question.max_tracks], _kbps_left(ladder, question))


def _does_for(there: Video, video: Video, *, is_cut: bool) -> bool:
    """Whether ``there``, with no more bits, is as good: for one that was to be larger it may be slower."""
    is_as_fast = is_cut or (there.numerator, there.denominator) == (video.numerator, video.denominator)
    return is_as_fast and (there.height, there.codec) == (video.height, video.codec)


def _kbps_left(ladder: Ladder, question: Question) -> float:
    """For video, beside the audio."""
    if question.max_kbps is None:
        return math.inf
    return question.max_kbps - ladder.audio_kbps - (ladder.vod_kbps if question.vod else 0)


def _within_bitrate(videos: list[Video], most: float) -> tuple[Video, ...]:
    """Without the largest ones, until the others fit; one that does not do so alone gets what there is."""
    kept = list(videos)
    while len(kept) > 1 and sum(video.kbps for video in kept) > most:
        kept.remove(max(kept, key=_kbps))
    if kept and kept[0].kbps > most:
        kept = [replace(kept[0], kbps=int(most))] if most >= _LEAST_KBPS else []
    return tuple(kept)


def _kbps(each: Rung | Video) -> int:
    return each.kbps


def _video(rung: Rung, question: Question, family: Family) -> Video:
    """No picture is made larger: higher rungs get the lines of the canvas."""
    canvas = question.canvas
    height = _even(min(rung.height, canvas.height))
    width = _even(round(canvas.width * height / canvas.height))
    encoder, codec = choose(rung.codec, question, family)
    numerator, denominator = _rate(rung.fps, canvas)
    return Video(encoder, codec, width, height, numerator, denominator, rung.kbps)


def _rate(wanted: float, canvas: Canvas) -> tuple[int, int]:
    """Frames a second: OBS skips whole ones, so it is what its canvas has by a whole number."""
    there = canvas.numerator / canvas.denominator
    divisor = max(math.ceil(there / (wanted * _ROUNDING)), 1) if wanted else 1
    denominator = canvas.denominator * divisor
    common = math.gcd(canvas.numerator, denominator)
    return canvas.numerator // common, denominator // common


def _even(pixels: int) -> int:
    """Colours are kept for two by two of them."""
    return max(pixels & ~1, 2)
