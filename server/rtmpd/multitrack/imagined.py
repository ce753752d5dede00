"""An OBS that has not asked: what is known of it stands in a few words, as in a query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rtmpd.multitrack.encoders import Family
from rtmpd.multitrack.question import MOST_TRACKS, SCHEMAS, Canvas, Question

ENCODER: Final = "encoder"
_SIZE: Final = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_RATE: Final = re.compile(r"([1-9]\d{0,6})(?:/([1-9]\d{0,6}))?")
_CHANNELS: Final = re.compile("[1-8]")
_CODECS: Final = frozenset({"h264", "h265", "av1"})


def imagine(fields: Mapping[str, str]) -> Question:
    """By ``canvas`` (1920x1080), ``fps`` (60, 30000/1001), ``channels`` (2) and ``vod`` (1), as far as they
    are there. Raises ValueError with a sentence.
    """
    size = _SIZE.fullmatch(fields.get("canvas", "1920x1080"))
    rate = _RATE.fullmatch(fields.get("fps", "60"))
    channels = fields.get("channels", "2")
    if size is None or min(int(size[1]), int(size[2])) < 2:
        raise ValueError("a canvas has a width and a height: write canvas=1920x1080")
    if rate is None:
        raise ValueError("frames a second are a number or a fraction: write fps=60 or fps=60000/1001")
    if not _CHANNELS.fullmatch(channels):
        raise ValueError("OBS has 1 to 8 channels of audio: write channels=2")
    canvas = Canvas(int(size[1]), int(size[2]), int(rate[1]), int(rate[2] or 1))
    return Question(
        key="",
        schema=SCHEMAS[0],
        version="",
        codecs=_CODECS,
        vendor=None,
        canvas=canvas,
        max_kbps=None,
        max_tracks=MOST_TRACKS,
        channels=int(channels),
        vod=fields.get("vod") == "1",
    )


def named_family(fields: Mapping[str, str]) -> Family | None:
    """Whose encoders are wanted, whatever GPU is told; None where nothing is said. Raises ValueError with a
    sentence."""
    named = fields.get(ENCODER, "auto")
    if named == "auto":
        return None
    try:
        return Family(named)
    except ValueError:
        known = ", ".join(Family)
        raise ValueError(f"encoder is auto, {known.rpartition(', ')[0]} or {[*Family][-1]}") from None
