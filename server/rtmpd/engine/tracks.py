"""Which track stands for a medium of several, for whoever is sent only one."""

from __future__ import annotations

from typing import Final

from rtmpd.media.tags import CODED_FRAME, END_OF_SEQUENCE

VANISHED_MS: Final = 3000
"""The default track has sent nothing for this long while another begins: that one takes its place."""


class Election:
    """The default track of a medium: the lowest id of those that flow.

    The office changes hands only where a decoder can follow: ``begins`` is a keyframe of video, any frame
    of audio.
    """

    __slots__ = ("_framed", "_last", "_max_tracks", "default")

    def __init__(self, max_tracks: int) -> None:
        self._max_tracks = max_tracks
        self._last: dict[int, int] = {}
        """When each track was seen last (64-bit ms)."""
        self._framed = False
        """The default track has had a frame."""
        self.default = -1
        """Track id; -1 before the first message."""

    def admit(self, track: int) -> bool:
        """Whether messages of this track can be told apart from others: there is a bound to how many."""
        return track in self._last or len(self._last) < self._max_tracks

    def see(self, track: int, flags: int, timestamp: int, *, begins: bool) -> bool:
        """Note a message; True when from this one on its track is the default."""
        last = self._last
        if track not in last or flags & CODED_FRAME:
            last[track] = timestamp
        if track == self.default:
            if flags & END_OF_SEQUENCE:
                last[track] = timestamp - 2 * VANISHED_MS
            elif flags & CODED_FRAME:
                self._framed = True
            return False
        if self.default < 0:
            elected = True
        elif track < self.default:
            elected = begins or not self._framed
        else:
            elected = begins and abs(timestamp - last[self.default]) > VANISHED_MS
        if elected:
            self.default = track
            self._framed = bool(flags & CODED_FRAME)
        return elected
