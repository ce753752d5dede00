"""What is shown of a stream whose encoder sends nothing, by what rules, and why no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtmpd.reasons import Word

MOST_UNWATCHED: Final = 1000
"""Streams with a slate that are kept for their encoders, though nobody is attached."""


class Slate(Word):
    """What is shown."""

    FILE = "file", "the file that `slate` names, again and again"
    STILL = "still", "the last key frame of the encoder, with silence, as `still` has it"


class SlateEnd(Word):
    """Why a slate is shown no more."""

    RESUMED = "resumed", "the encoder is back, or another one of the stream goes on"
    EXPIRED = "expired", "`slate_for` is over"
    ENDED = "ended", "the stream is over for its players"
    WITHDRAWN = "withdrawn", "the settings name no slate any more, or another, or the server ends"


@dataclass(frozen=True, slots=True)
class SlateRules:
    """What a stream shows, and for how long."""

    file: str = ""
    """Path of an FLV file; empty for none."""
    still: bool = False
    """Without a file the last key frame is."""
    seconds: float = 300.0


class SlateStats:
    """Counters of a server."""

    __slots__ = ("on_air", "seconds", "shown")

    def __init__(self) -> None:
        self.on_air = 0
        """Streams that show one now."""
        self.shown: dict[Slate, int] = {}
        """How often one has begun."""
        self.seconds = 0.0
        """For how long those were shown that are over."""

    def begin(self, slate: Slate) -> None:
        self.on_air += 1
        self.shown[slate] = self.shown.get(slate, 0) + 1

    def end(self, seconds: float) -> None:
        self.on_air -= 1
        self.seconds += seconds
