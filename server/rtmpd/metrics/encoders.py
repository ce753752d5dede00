"""What encoders say of themselves, of those that do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtmpd.engine.encoder import EncoderStats
from rtmpd.engine.stats import StreamStats

_SILENT: Final = EncoderStats(0)


def said(stats: StreamStats) -> EncoderStats:
    """What the encoder of a stream says; of one that is silent, nothing."""
    return stats.encoder or _SILENT


def fates(stats: StreamStats) -> Iterable[tuple[tuple[str, ...], int]]:
    """Frames by what became of them."""
    encoder = stats.encoder
    if encoder is None:
        return []
    return [
        (("rendered",), encoder.rendered),
        (("lagged",), encoder.lagged),
        (("sent",), encoder.sent),
        (("dropped",), encoder.dropped),
    ]


def track_fates(stats: StreamStats) -> Iterable[tuple[tuple[str, ...], int]]:
    """The same of each track and its encoder."""
    for track, frames in said(stats).tracks.items():
        yield (str(track), "taken"), frames.taken
        yield (str(track), "skipped"), frames.skipped
