"""Encoders whose media was rejected a moment ago: if they come back at once, it is wrong still."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal

HELD: Final = 10.0
"""Seconds for which it is taken to be so."""
LONGEST: Final = 30.0
"""Seconds to which that grows for who comes again and again: twice as long as it has stayed away."""
_MOST: Final = 1000
"""Encoders that are remembered; further ones take the places of the oldest."""
_SEEN_AT_ONCE: Final = (Refusal.VIDEO_CODEC, Refusal.AUDIO_CODEC, Refusal.RESOLUTION)
"""What takes longer to be seen makes nobody come back in a tight loop."""


class Encoder(NamedTuple):
    """One that comes again and again, as far as it can be known."""

    key: StreamKey
    network: str
    backup: bool
    """The main encoder beside it may be another one, with other settings."""


class _Held(NamedTuple):
    rejection: Refused
    """What it was told."""
    since: float
    """Clock reading of its last attempt."""
    until: float


class Rejections:
    """Refuses a publish that would end with its first header, so that no player is told of it.

    quirk(obs): whatever ends a running stream, it connects again, and reads only then what it is told. Each
    time that it is refused it waits half as long again; once it is let in it begins anew.
    """

    def __init__(self) -> None:
        self._held: dict[Encoder, _Held] = {}
        """In order of time."""

    def note(self, encoder: Encoder, rejection: Refused, now: float) -> None:
        """A publish of that encoder was rejected."""
        if rejection.reason in _SEEN_AT_ONCE:
            self._hold(encoder, _Held(rejection, now, now + HELD))

    def check(self, encoder: Encoder, now: float) -> None:
        """Raise ``Refused`` if that was a moment ago."""
        held = self._held.get(encoder) if self._held else None
        if held is None:
            return
        if held.until <= now:
            del self._held[encoder]
            return
        rejection, left = held.rejection, held.until - now
        until = now + min(max(2 * (now - held.since), left), LONGEST)
        self._hold(encoder, _Held(rejection, now, until))
        text = f"That was a moment ago: once it is mended, try again in {math.ceil(until - now)} s."
        raise Refused(rejection.code, f"{rejection.description} {text}", rejection.reason)

    def _hold(self, encoder: Encoder, held: _Held) -> None:
        self._held.pop(encoder, None)
        self._held[encoder] = held
        if len(self._held) > _MOST:
            del self._held[next(iter(self._held))]
