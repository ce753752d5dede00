"""When frames are decoded in MP4: decode times that rise, made of RTMP's milliseconds, which need not.

A ``StreamTime`` is what the tracks of a stream have in common: it joins what follows a jump to what went
before, for all of them alike. A ``VideoTime`` or ``SoundTime`` is one track's: its decode times rise, and
what it corrects is bounded, as who is farther off has jumped. What was corrected is counted by reason.
Players of RTMP are sent the times that came.
"""

from __future__ import annotations

from typing import Final

from rtmpd.media.correction import Correction

MAX_BACK_MS: Final = 3000
"""Frames of a track may be so much earlier than the one before them; then they are moved, or left out."""
MAX_AHEAD_MS: Final = 10_000
"""A longer hole is one that nobody should wait through."""
MAX_LATE_SOUND_MS: Final = 100
"""Sound may be stamped so much earlier than its frames add up to, until one of them is left out."""
MIN_GAP_MS: Final = 3
"""Less than that is how encoders round."""
DEFAULT_STEP: Final = 3600
"""Of a picture that nothing followed yet: 40 ms at 90 kHz."""
MAX_STEP: Final = 90_000
_SCALE: Final = 90
_MS: Final = 1000
_NANOS_PER_MS: Final = 1_000_000


class StreamTime:
    """The time of a stream: milliseconds as its packets have them (64-bit), joined where they jump."""

    def __init__(self, begin: int = 1000) -> None:
        """The first frame is at ``begin``, ms; frames of other tracks may be earlier by as much."""
        self.corrections: dict[Correction, int] = dict.fromkeys(Correction, 0)
        """How many frames each was done to."""
        self._latest = begin
        """The latest time of a frame, ms."""
        self._offset = 0
        self._begun = False

    def place(self, timestamp: int, end: int) -> int:
        """Time, in ms, of a frame stamped ``timestamp`` of a track whose frames so far reach to ``end``.

        It is at most ``MAX_AHEAD_MS`` later than the latest frame of all, and ``MAX_BACK_MS`` before ``end``.
        """
        if not self._begun:
            self._begun = True
            self._offset = self._latest - timestamp
        time = timestamp + self._offset
        latest = self._latest
        if time - latest > MAX_AHEAD_MS or end - time > MAX_BACK_MS:
            self.corrections[Correction.JUMP] += 1
            time = max(latest, end)
            self._offset = time - timestamp
        if time > latest:
            self._latest = time
        return time

    @property
    def latest(self) -> int:
        """The latest time of a frame, ms."""
        return self._latest


class VideoTime:
    """Decode times of a video track, in units of 1/90000 s."""

    def __init__(self, stream: StreamTime) -> None:
        self._stream = stream
        self._end = -1
        """The earliest time that the next frame can have; -1 before the first."""
        self._last = 0
        self.step = DEFAULT_STEP
        """How long a picture is usually shown."""

    def next(self, timestamp: int, nanos: int = 0) -> int:
        """Decode time of the frame that is stamped ``timestamp`` (ms, 64-bit) and ``nanos`` (ModEx)."""
        end = self._end
        stream = self._stream
        beyond = nanos * _SCALE // _NANOS_PER_MS
        if end < 0:
            time = max(0, stream.place(timestamp, stream.latest) * _SCALE + beyond)
        else:
            time = stream.place(timestamp, (self._last + self.step) // _SCALE) * _SCALE + beyond
            if time < end:
                stream.corrections[Correction.ORDER] += 1
                time = end
            step = time - self._last
            if _SCALE <= step <= MAX_STEP:
                self.step = step
        self._last = time
        self._end = time + 1
        return time

    def shown_until(self, end: int) -> None:
        """The last frame has been told to end at ``end``: the next cannot be earlier."""
        self._end = max(self._end, end)


class SoundTime:
    """Decode times of an audio track, in samples: counted, so that frames follow each other without a gap."""

    def __init__(self, stream: StreamTime, sample_rate: int) -> None:
        self._stream = stream
        self._end = -1
        self._set_rate(sample_rate)

    def change_rate(self, sample_rate: int) -> None:
        """What follows is counted in samples of another rate (Hz)."""
        if self._end >= 0:
            self._end = -(-self._end * sample_rate // self._rate)
        self._set_rate(sample_rate)

    def next(self, timestamp: int, samples: int) -> int:
        """Decode time of a frame of so many samples stamped ``timestamp`` (ms, 64-bit); -1: leave it out."""
        end = self._end
        stream = self._stream
        if end < 0:
            time = max(0, stream.place(timestamp, stream.latest) * self._rate // _MS)
        else:
            time = stream.place(timestamp, end * _MS // self._rate) * self._rate // _MS
            ahead = time - end
            if ahead > self._least_gap and ahead > samples >> 1:
                stream.corrections[Correction.GAP] += 1
            elif ahead < -self._late and ahead < -samples:
                stream.corrections[Correction.OVERLAP] += 1
                return -1
            else:
                time = end
        self._end = time + samples
        return time

    def _set_rate(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._late = sample_rate * MAX_LATE_SOUND_MS // _MS
        self._least_gap = max(1, sample_rate * MIN_GAP_MS // _MS)
