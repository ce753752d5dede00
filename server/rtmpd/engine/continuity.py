"""For how long streams that are meant to be live had no media, and why: looked at once a second."""

from __future__ import annotations

from typing import Final

from rtmpd.engine.levels import Levels, Outage
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.sources import Life
from rtmpd.engine.stream import LiveStream

_OURS: Final = frozenset({CloseReason.INTERNAL_ERROR, CloseReason.MEMORY})
"""Ends of a publication that are faults of this server."""


class Continuity:
    """Adds up the seconds of all streams in ``levels``.

    Silence counts once it has lasted for ``EngineLimits.stall``, and then from its first moment on: what is
    shorter nobody notices who buffers.
    """

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._looked_at: float | None = None
        self._elapsed = 0.0

    def begin(self, now: float) -> None:
        """Streams are looked at: ``look`` follows for each."""
        self._elapsed = 0.0 if self._looked_at is None else max(now - self._looked_at, 0.0)
        self._looked_at = now

    def look(self, stream: LiveStream, now: float) -> None:
        """Count the seconds since the last look of one stream."""
        levels, elapsed, life = self._levels, self._elapsed, stream.life
        publication = stream.publication if life is Life.LIVE else stream.last
        if life is Life.IDLE or publication is None:
            return
        levels.stream_seconds += elapsed
        levels.player_seconds += stream.players * elapsed
        if levels.late_seconds:
            levels.note_outage(Outage.SERVER_LATE, levels.late_seconds)
        silent = publication.silent_for(now)
        stall = stream.limits.stall
        if silent >= stall:
            begins = silent - elapsed < stall
            levels.note_outage(_cause(publication), silent if begins else elapsed)

    def end(self, behind: int) -> None:
        """All streams have been looked at; so many connections are ``behind``."""
        self._levels.behind_seconds += behind * self._elapsed
        self._levels.late_seconds = 0.0


def _cause(publication: Publication) -> Outage:
    """Why there is no media of one that is on air, or was last."""
    if publication.origin.is_relay:
        return Outage.RELAY_DOWN
    if not publication.closed:
        return Outage.ENCODER_STALLED
    ending = publication.ending
    ours = ending is not None and ending.reason in _OURS
    return Outage.SERVER_ENDED if ours else Outage.ENCODER_LOST
