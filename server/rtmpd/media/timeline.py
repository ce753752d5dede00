"""One time for what is played or published several times over: it starts at 0 and rises across every join."""

from __future__ import annotations

from typing import Final

MAX_STEP_BACK_MS: Final = 3000
"""Audio and video of a file are interleaved at most this badly; a longer step back is a new beginning."""
MAX_STEP_AHEAD_MS: Final = 10_000
"""A longer step is a hole that nobody should wait through."""
_MAX_USUAL_STEP_MS: Final = 1000
_VIDEO: Final = 9
_ANY_STEP_AHEAD_MS: Final = 0x7FFFFFFF


class Timeline:
    """Gives each tag of an FLV stream its time in ms since the first frame (64-bit).

    Where the stream begins again or its timestamps jump, what follows is joined to what went before: the
    next frame comes one usual step after the last.
    """

    def __init__(self, begin: int = 0) -> None:
        """The first frame is at ``begin``, ms."""
        self.position = self._begin = begin
        """Time of the latest frame, ms."""
        self.jumps = 0
        """Timestamps that did not follow from the one before and were joined."""
        self._offset = 0
        self._reference: int | None = None
        """Timestamp of the frame before, unwrapped; None before the first of a run."""
        self._earliest: int | None = None
        """Lowest timestamp of the run: where the same file begins when it is read again."""
        self._latest: dict[int, int] = {}
        self._steps: dict[int, int] = {}
        self._farthest = MAX_STEP_AHEAD_MS
        self._earliest_next = 0

    @property
    def end(self) -> int:
        """When the next frame would be due if nothing jumped, ms."""
        ends = [time + self._steps.get(kind, 1) for kind, time in self._latest.items()]
        return max(ends, default=self._begin)

    def begin_again(self) -> None:
        """The same tags follow once more."""
        if self._earliest is not None:
            self._offset = self.end - self._earliest
        self._reference = self._earliest

    def expect_hole(self, shown: int = 0) -> None:
        """Before the next frame something is missing: its time is its own, however far ahead that is.

        But it comes one usual step after ``shown``, when the last picture is shown (ms), at the earliest.
        """
        self._farthest = _ANY_STEP_AHEAD_MS
        self._earliest_next = shown + self._steps.get(_VIDEO, 1)

    def join(self, shown: int = 0) -> None:
        """The next frame comes one usual step after the last, and after ``shown``, whatever its time is."""
        self._reference = None
        self._earliest_next = shown + self._steps.get(_VIDEO, 1)

    def place_frame(self, kind: int, timestamp: int) -> int:
        """Time of an audio or video frame (``kind`` 8 or 9) stamped ``timestamp`` (u32 ms)."""
        reference = self._reference
        if reference is None:
            raw = timestamp
            self._offset = self.end - raw
            self._earliest = raw
        else:
            raw = reference + _signed(timestamp - reference)
            if not -MAX_STEP_BACK_MS <= raw - reference <= self._farthest:
                self.jumps += 1
                self._offset = self.end - raw
                self._earliest = raw
        self._farthest = MAX_STEP_AHEAD_MS
        self._reference = raw
        self._earliest = raw if self._earliest is None else min(self._earliest, raw)
        if self._earliest_next:
            self._offset = max(self._offset, self._earliest_next - raw)
            self._earliest_next = 0
        time = max(0, raw + self._offset)
        last = self._latest.get(kind)
        if last is not None and 0 < time - last <= _MAX_USUAL_STEP_MS:
            self._steps[kind] = time - last
        self._latest[kind] = time if last is None else max(last, time)
        self.position = max(self.position, time)
        return time

    def place_other(self, kind: int, timestamp: int) -> int:
        """Time of what is no frame: its own where that is plausible, and never before frames of its kind.

        Headers are often stamped 0, and so is OBS' end of sequence: they come with the latest frame.
        """
        if self._reference is None:
            return self.position
        time = self._reference + _signed(timestamp - self._reference) + self._offset
        earliest = self._latest.get(kind, self.position)
        return time if earliest <= time <= self.position + MAX_STEP_AHEAD_MS else self.position


def _signed(step: int) -> int:
    """Serial number arithmetic: the shorter way round the 32 bits."""
    step &= 0xFFFFFFFF
    return step if step < 0x80000000 else step - 0x100000000
