"""What is wrong with a stream that its publisher could mend: shown to the operator, never acted upon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class HealthKind(StrEnum):
    """Kinds of warnings; words for metrics, logs and the API."""

    GOP_TOO_LONG = "gop_too_long"
    """A group of pictures outgrew the cache: who joins gets a still until the next keyframe."""
    KEYFRAMES_RARE = "keyframes_rare"
    """Video comes, and no keyframe for long: nobody can join, nobody who lost a frame goes on."""
    AUDIO_SILENT = "audio_silent"
    """Audio was announced and does not flow, while video does: joiners are not promised it."""
    VIDEO_SILENT = "video_silent"
    """The same the other way round."""
    NO_MEDIA = "no_media"
    """Published, and not one audio or video message since."""
    UPDATES_DROPPED = "updates_dropped"
    """Sequence headers or onMetaData change so often that some are dropped."""
    HEADERS_REFUSED = "headers_refused"
    """Headers too large, or more tracks than are told apart."""


@dataclass(slots=True)
class HealthWarning:
    """One warning while it holds."""

    since: float
    """Clock reading."""
    figures: dict[str, float]
    """What it was seen by, such as ``seconds``."""


class Health:
    """The warnings of one stream."""

    __slots__ = ("_active",)

    def __init__(self) -> None:
        self._active: dict[HealthKind, HealthWarning] = {}

    @property
    def active(self) -> Mapping[HealthKind, HealthWarning]:
        """What holds now; live."""
        return self._active

    def raise_warning(self, kind: HealthKind, now: float, **figures: float) -> bool:
        """From ``now`` on, or still with newer figures; True when it did not hold before."""
        warning = self._active.get(kind)
        if warning is not None:
            warning.figures = figures
            return False
        self._active[kind] = HealthWarning(now, figures)
        return True

    def clear(self, kind: HealthKind) -> None:
        """It holds no more. Idempotent."""
        self._active.pop(kind, None)

    def clear_all(self) -> None:
        """There is no publication that anything could be wrong with."""
        self._active.clear()
