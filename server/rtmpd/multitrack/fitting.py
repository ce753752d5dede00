"""A ladder as far as a streamer's canvas, GPU and wishes allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, NamedTuple

from rtmpd.multitrack.encoders import Family, choose, counts_frames
from rtmpd.multitrack.key_frames import come_together, common_gop, nearest_divisor
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
    gop: int | None = None
    """Frames from key frame to key frame, where OBS would count too few."""


def fit(ladder: Ladder, question: Question, family: Family) -> tuple[Video, ...]:
    """The tracks, in the order of the ladder. None if not even the smallest keeps to the bitrate."""
    kept: dict[Rung, Video] = {}
    pace = _pace(ladder, question, family)
    for rung in sorted(ladder.rungs, key=_kbps):
        video, is_cut = _video(rung, question, family, pace), rung.height > question.canvas.height
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


class _Pace(NamedTuple):
    """When all tracks have a picture, and a key frame."""

    divisors: Mapping[Rung, int]
    """Of the frames of the canvas a track has every so-manieth."""
    gop: int | None
    """Frames of the canvas from key frame to key frame, where OBS has to be told."""


def _pace(ladder: Ladder, question: Question, family: Family) -> _Pace:
    canvas, keyint = question.canvas, ladder.keyint
    divisors = {rung: _divisor(rung.fps, canvas) for rung in ladder.rungs}
    wanted = divisors.values()
    if come_together(canvas, keyint, wanted):
        return _Pace(divisors, None)
    encoders = {choose(rung.codec, question, family)[0] for rung in ladder.rungs}
    gop = common_gop(canvas, keyint, wanted) if all(map(counts_frames, encoders)) else None
    if gop is None:
        fastest = min(wanted)
        divisors = {rung: nearest_divisor(canvas, keyint, each, fastest) for rung, each in divisors.items()}
    return _Pace(divisors, gop)


def _video(rung: Rung, question: Question, family: Family, pace: _Pace) -> Video:
    """No picture is made larger: higher rungs get the lines of the canvas."""
    canvas = question.canvas
    height = _even(min(rung.height, canvas.height))
    width = _even(round(canvas.width * height / canvas.height))
    encoder, codec = choose(rung.codec, question, family)
    divisor = pace.divisors[rung]
    rate = Fraction(canvas.numerator, canvas.denominator * divisor)
    gop = None if pace.gop is None else pace.gop // divisor
    return Video(encoder, codec, width, height, rate.numerator, rate.denominator, rung.kbps, gop)


def _divisor(wanted: float, canvas: Canvas) -> int:
    """OBS skips whole frames, so what it has a second is what its canvas has by a whole number."""
    there = canvas.numerator / canvas.denominator
    return max(math.ceil(there / (wanted * _ROUNDING)), 1) if wanted else 1


def _even(pixels: int) -> int:
    """Colours are kept for two by two of them."""
    return max(pixels & ~1, 2)
