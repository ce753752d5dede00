"""A ladder as far as a streamer's canvas, GPU and wishes allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    rungs = _within_canvas(ladder.rungs, question.canvas)[: question.max_tracks]
    rungs = _within_bitrate(rungs, _kbps_left(ladder, question))
    return tuple(_video(rung, question, family) for rung in rungs)


def _within_canvas(rungs: tuple[Rung, ...], canvas: Canvas) -> list[Rung]:
    """No picture is made larger: higher rungs get the lines of the canvas, and of several with the same
    codec and lines the one with the fewest bits stays."""
    best: dict[tuple[int, Codec], Rung] = {}
    for rung in rungs:
        there = min(rung.height, canvas.height), rung.codec
        if there not in best or rung.kbps < best[there].kbps:
            best[there] = rung
    return [rung for rung in rungs if rung is best[min(rung.height, canvas.height), rung.codec]]


def _kbps_left(ladder: Ladder, question: Question) -> float:
    """For video, beside the audio."""
    if question.max_kbps is None:
        return math.inf
    return question.max_kbps - ladder.audio_kbps - (ladder.vod_kbps if question.vod else 0)


def _within_bitrate(rungs: list[Rung], most: float) -> list[Rung]:
    """Without the largest ones, until the others fit; one that does not do so alone gets what there is."""
    kept = list(rungs)
    while len(kept) > 1 and sum(rung.kbps for rung in kept) > most:
        kept.remove(max(kept, key=_kbps))
    if kept and kept[0].kbps > most:
        first = kept[0]
        pressed = Rung(first.height, int(most), first.fps, first.codec)
        kept = [pressed] if pressed.kbps >= _LEAST_KBPS else []
    return kept


def _kbps(rung: Rung) -> int:
    return rung.kbps


def _video(rung: Rung, question: Question, family: Family) -> Video:
    canvas = question.canvas
    height = _even(min(rung.height, canvas.height))
    width = _even(round(canvas.width * height / canvas.height))
    encoder, codec = choose(rung.codec, question, family)
    divisor = _divisor(rung.fps, canvas.numerator / canvas.denominator)
    numerator, denominator = canvas.numerator, canvas.denominator * divisor
    common = math.gcd(numerator, denominator)
    return Video(encoder, codec, width, height, numerator // common, denominator // common, rung.kbps)


def _divisor(wanted: float, there: float) -> int:
    """By which OBS has to divide what its canvas has: it skips whole frames."""
    return max(math.ceil(there / (wanted * _ROUNDING)), 1) if wanted else 1


def _even(pixels: int) -> int:
    """Colours are kept for two by two of them."""
    return max(pixels & ~1, 2)
