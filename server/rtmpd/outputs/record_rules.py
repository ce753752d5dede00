"""What the settings say of the recording of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rtmpd.media.track_names import EVERY_TRACK, TrackWish

DEFAULT_NAME: Final = "{app}/{name}/{start}_{part}"


class RecordStart(StrEnum):
    """Which streams are recorded."""

    NEVER = "never"
    MANUAL = "manual"
    """When somebody in charge wants it."""
    ASKED = "asked"
    """Besides, what encoders publish as ``record`` or ``append``."""
    ALWAYS = "always"
    """All."""


class Fsync(StrEnum):
    """When a file is made to outlive a machine that fails, which the drive takes its time for."""

    NEVER = "never"
    FINISHED = "finished"
    ALWAYS = "always"


class RecordTime(StrEnum):
    """What becomes of time in which nothing came."""

    TRUE = "true"
    GAPLESS = "gapless"


@dataclass(frozen=True, slots=True)
class RecordRule:
    """How a stream is recorded. Sizes in bytes, times in seconds."""

    root: str
    """The folder of its files, absolute."""
    start: RecordStart = RecordStart.NEVER
    name: str = DEFAULT_NAME
    """As ``NameTemplate`` reads it."""
    tracks: TrackWish = EVERY_TRACK
    split_after: float = 0.0
    """0 is never."""
    split_bytes: int = 0
    """0 is never."""
    time: RecordTime = RecordTime.TRUE
    slate: bool = False
    """Also what is shown while the encoder sends nothing."""
    fsync: Fsync = Fsync.FINISHED
    min_free: int = 64 * 1024 * 1024
    """What a file system has to have left."""
    max_queue_bytes: int = 32 * 1024 * 1024
    """What may wait for the drive, of one stream."""
