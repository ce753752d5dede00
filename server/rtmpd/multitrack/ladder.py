"""What an operator wants streamers' encoders to send: one rung for each quality."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Codec(StrEnum):
    """Of video, as the settings name it."""

    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"


@dataclass(frozen=True, slots=True)
class Rung:
    """One quality."""

    height: int
    """Lines of the picture; it is as wide as the canvas is beside its height."""
    kbps: int
    """Kilobits a second, constant."""
    fps: float = 0.0
    """Frames a second at most; 0 is as many as the canvas has."""
    codec: Codec = Codec.H264
    """Where the encoder has it; else it is H.264."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """All of them, and what they share."""

    rungs: tuple[Rung, ...]
    """The first is the default track."""
    keyint: int = 2
    """Seconds from key frame to key frame, of all rungs at once."""
    audio_kbps: int = 160
    vod_kbps: int = 160
    """The same of a second audio track, for recordings."""
