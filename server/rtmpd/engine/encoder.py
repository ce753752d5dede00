"""What an encoder says of itself in its key frames, counted: see ``media.obs_sei``."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from rtmpd.media.obs_sei import ObsReport

_LOOKS: Final = 10
"""About a second apart: what is judged is what has come between the first and the last."""
_FEWEST: Final = 100
"""Frames of which shares are said."""
_LONGEST: Final = 60.0
"""Seconds that a picture may take through an encoder; more is no time but a mistake."""
_SILENT: Final = 5
"""Key frames of others without one of the track that stands for all."""


class TrackFrames(NamedTuple):
    """Of one track of video."""

    taken: int
    skipped: int


class _Totals(NamedTuple):
    rendered: int
    lagged: int
    sent: int
    dropped: int
    taken: int
    skipped: int


class EncoderStats:
    """Of one publication. What is said of OBS as a whole each track says: one is believed for all."""

    __slots__ = (
        "_least",
        "_looks",
        "_speaker",
        "_unheard",
        "composed_at",
        "delay",
        "dropped",
        "lagged",
        "rendered",
        "reported_at",
        "sent",
        "tracks",
        "uplink",
    )

    def __init__(self, track: int) -> None:
        """``track`` is the first that says something."""
        self._speaker = track
        self._unheard = 0
        self._least: float | None = None
        self._looks: deque[_Totals] = deque(maxlen=_LOOKS + 1)
        self.rendered = self.lagged = self.sent = self.dropped = 0
        """Frames, as in ``ObsReport``."""
        self.tracks: dict[int, TrackFrames] = {}
        """By id."""
        self.delay: float | None = None
        """Seconds from the picture to the network, within the encoder."""
        self.composed_at: float | None = None
        """When the picture of the last report was put together, on the streamer's clock (Unix time, s)."""
        self.reported_at = 0.0
        """Clock reading of the last report."""
        self.uplink: float | None = None
        """Seconds by which the last report took longer from picture to server than the quickest one: whatever
        the streamer's clock says, that is how far the way here has filled up.
        """

    def note(self, track: int, report: ObsReport, now: float) -> None:
        """A key frame of a track has come."""
        taken, skipped = self.tracks.get(track, TrackFrames(0, 0))
        self.tracks[track] = TrackFrames(taken + report.taken, skipped + report.skipped)
        if track != self._speaker:
            self._unheard += 1
            if self._unheard <= _SILENT * len(self.tracks):
                return
            self._speaker = track
        self._unheard = 0
        self.rendered += report.rendered
        self.lagged += report.lagged
        self.sent += report.sent
        self.dropped += report.dropped
        self.reported_at = now
        self.composed_at = composed_at = report.composed_at
        self.delay = self.uplink = None
        if composed_at is None:
            return
        if report.sent_at is not None and 0.0 <= report.sent_at - composed_at <= _LONGEST:
            self.delay = report.sent_at - composed_at
        way = now - composed_at
        # A clock that was set back has no quickest way any more.
        if self._least is None or way < self._least or way - self._least > _LONGEST:
            self._least = way
        self.uplink = way - self._least

    def look(self) -> None:
        """Call it about once a second."""
        taken = sum([each.taken for each in self.tracks.values()])
        skipped = sum([each.skipped for each in self.tracks.values()])
        self._looks.append(_Totals(self.rendered, self.lagged, self.sent, self.dropped, taken, skipped))

    @property
    def lost(self) -> float:
        """The share of frames that were dropped for want of network, over about 10 seconds; 0 to 1."""
        first, last = self._ends
        return _share(last.dropped - first.dropped, last.sent - first.sent + last.dropped - first.dropped)

    @property
    def late(self) -> float:
        """The share of frames that the machine was too slow for: to put together, or to encode."""
        first, last = self._ends
        return max(
            _share(last.lagged - first.lagged, last.rendered - first.rendered),
            _share(last.skipped - first.skipped, last.taken - first.taken),
        )

    @property
    def _ends(self) -> tuple[_Totals, _Totals]:
        nothing = _Totals(0, 0, 0, 0, 0, 0)
        return (self._looks[0], self._looks[-1]) if self._looks else (nothing, nothing)


def _share(part: int, whole: int) -> float:
    return min(part / whole, 1.0) if whole >= _FEWEST else 0.0
