"""Encoders whose media was rejected a moment ago: if they come back at once, it is wrong still."""

from __future__ import annotations

import math
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal

HELD: Final = 10.0
"""Seconds for which it is taken to be so."""
_MOST: Final = 1000
"""Encoders that are remembered; further ones take the places of the oldest."""
_SEEN_AT_ONCE: Final = (Refusal.VIDEO_CODEC, Refusal.AUDIO_CODEC, Refusal.RESOLUTION)
"""What takes longer to be seen makes nobody come back in a tight loop."""


class Rejections:
    """Refuses a publish that would end with its first header, so that no player is told of it.

    quirk(obs): whatever ends a running stream, it connects again, and reads only then what it is told.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[StreamKey, str], tuple[Refused, float]] = {}
        """By stream and network: what it was told, and until when that holds. In order of time."""

    def note(self, key: StreamKey, network: str, rejection: Refused, now: float) -> None:
        """A publish of ``key`` from ``network`` was rejected."""
        if rejection.reason in _SEEN_AT_ONCE:
            self._held.pop((key, network), None)
            self._held[key, network] = rejection, now + HELD
            if len(self._held) > _MOST:
                del self._held[next(iter(self._held))]

    def check(self, key: StreamKey, network: str, now: float) -> None:
        """Raise ``Refused`` if that was a moment ago."""
        if not self._held:
            return
        rejection, until = self._held.get((key, network), (None, 0.0))
        if rejection is None:
            return
        left = until - now
        if left <= 0.0:
            del self._held[key, network]
            return
        text = f"That was a moment ago: once it is mended, try again in {math.ceil(left)} s."
        raise Refused(rejection.code, f"{rejection.description} {text}", rejection.reason)
