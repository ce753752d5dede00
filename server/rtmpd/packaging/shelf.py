"""The segments of one rendition: those that a playlist names, and those that somebody may still ask for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from rtmpd.net.scratch import Written

FIRST: Final = 1
"""Number of the first segment: of one with number 0 hls.js forgets that it has the parts."""
SEGMENT_OVERHEAD_BYTES: Final = 1024
"""What a segment costs beside its media: what the playlist says of it."""
PART_OVERHEAD_BYTES: Final = 256
_MOST: Final = 100
_PER_SECOND: Final = 4
"""Segments that are listed for each second of a window, and ``_MOST`` more: encoders may make short ones."""
_TELLS: Final = 0.5
"""Seconds; what a shorter segment needs says nothing."""


@dataclass(slots=True)
class Part:
    """A piece of a segment that can be had before the whole is there."""

    duration: float
    """Seconds."""
    independent: bool
    """It begins with a key frame."""
    offset: int
    """Where it is in the segment."""
    size: int


@dataclass(slots=True, eq=False)
class Segment:
    """From a key frame on, but for very long GOPs."""

    number: int
    """Media sequence number."""
    init: int
    """Number of the init segment that it needs."""
    begins: float
    """Unix time at which its first frame was live."""
    discontinuity: bool
    """What was before does not lead up to it."""
    independent: bool
    parts: list[Part] = field(default_factory=list)
    duration: float = 0.0
    """Seconds."""
    size: int = 0
    fresh: list[bytes] = field(default_factory=list)
    """Its parts, until it is whole."""
    data: bytes | None = None
    """All of it; None until it is whole, and when it is in memory no more."""
    place: Written | None = None
    """Where it is on the drive."""
    lost: bool = False
    """It is nowhere any more."""
    on_its_way: bool = False
    """To the drive."""

    @property
    def held(self) -> int:
        """What its media cost the budget."""
        return self.size + PART_OVERHEAD_BYTES * len(self.parts) if self.data or self.fresh else 0

    def part(self, number: int) -> bytes | None:
        """The bytes of one part; None where there is none of that number, or it is in memory no more."""
        if number >= len(self.parts):
            return None
        if self.fresh:
            return self.fresh[number]
        part = self.parts[number]
        return self.data and self.data[part.offset : part.offset + part.size]


class Archive(Protocol):
    """Where segments are kept that are in memory no more."""

    @property
    def full(self) -> bool:
        """The oldest have to go."""

    def store(self, segment: Segment, done: Callable[[], None]) -> None:
        """Keep it, and call ``done`` when that is done or has failed; not if it is not tried."""

    def forget(self, segment: Segment) -> None:
        """It is asked for no more."""


class Shelf:
    """Segments in order: listed ones, the last of them perhaps in the making, and before them unlisted ones.

    ``charge`` is called with what is held more, or less. With an ``archive`` what is older than the newest
    seconds is in memory no more.
    """

    def __init__(
        self,
        window: float,
        spare: float,
        charge: Callable[[int], None],
        archive: Archive | None = None,
        memory: float = 0.0,
    ) -> None:
        """``window`` seconds are listed at least; what is not any more is kept for ``spare`` seconds.

        With an archive ``memory`` seconds of that stay in memory.
        """
        self._window = window
        self._spare = spare
        self._charge = charge
        self._archive = archive
        self._memory = memory
        self._recent: deque[Segment] = deque()
        """Those in memory, where there is an archive."""
        self._listed: deque[Segment] = deque()
        self._unlisted: deque[Segment] = deque()
        self.open: Segment | None = None
        """Has no end yet; behind all that are listed."""
        self.next = FIRST
        """Number of the segment that is begun next."""
        self.discontinuities = 0
        """Of segments that are listed no more."""
        self.breaks = 0
        """Of all segments so far."""
        self.seconds = 0.0
        """Of the listed segments that are whole."""
        self.held_bytes = 0
        self.made_bytes = 0
        """Of all parts so far."""
        self.inits: dict[int, bytes] = {}
        """Init segments by number."""
        self.independent = True
        """All segments so far begin with a key frame, and as far as is known the next one does; once one does
        not, a playlist may not promise it again."""
        self.losses = 0
        """Segments that were lost while they were listed."""
        self._bits = 0
        self._lasted = self._peak = 0.0

    @property
    def listed(self) -> deque[Segment]:
        """The whole ones that a playlist names."""
        return self._listed

    @property
    def rates(self) -> tuple[float, float]:
        """Bits a second of the whole segments so far: of the one with most, and of all."""
        mean = self._bits / self._lasted if self._lasted else 0.0
        return max(self._peak, mean), mean

    def join(self, number: int, breaks: int) -> None:
        """Begin with that number, where another rendition has come to, with so many discontinuities; call it
        before the first segment.
        """
        self.next, self.discontinuities, self.breaks = number, breaks, breaks

    def begin(self, begins: float, init: int, *, discontinuity: bool, independent: bool) -> Segment:
        """Begin another segment."""
        self.breaks += discontinuity
        self.independent &= independent
        self.open = Segment(self.next, init, begins, discontinuity, independent)
        self.next += 1
        self._hold(SEGMENT_OVERHEAD_BYTES)
        return self.open

    def add_part(self, data: bytes, duration: float, *, independent: bool) -> None:
        """One more part of the segment that is open."""
        segment = self.open
        if segment is not None:
            segment.parts.append(Part(duration, independent, segment.size, len(data)))
            segment.fresh.append(data)
            segment.size += len(data)
            self.made_bytes += len(data)
            segment.duration += duration
            self._hold(len(data) + PART_OVERHEAD_BYTES)

    def end(self) -> Segment | None:
        """The open segment is whole."""
        segment, self.open = self.open, None
        if segment is None:
            return None
        segment.data = b"".join(segment.fresh)
        segment.fresh.clear()
        self._listed.append(segment)
        self.seconds += segment.duration
        self._bits += 8 * segment.size
        self._lasted += segment.duration
        if segment.duration > _TELLS:
            self._peak = max(self._peak, 8.0 * segment.size / segment.duration)
        if self._archive is not None:
            self._archive.store(segment, partial(self._stored, segment))
            self._recent.append(segment)
        self._trim()
        return segment

    def find(self, number: int) -> Segment | None:
        """The segment of that number, if it is still here."""
        if self.open is not None and number == self.open.number:
            return self.open
        for segments in (self._listed, self._unlisted):
            if segments and segments[0].number <= number <= segments[-1].number:
                return segments[number - segments[0].number]
        return None

    def give_back(self) -> bool:
        """Memory is short: give up the oldest segment there; False where none can be."""
        if self._archive is not None:
            if len(self._recent) <= 1:
                return False
            self._evict(self._recent.popleft())
            return True
        if self._unlisted:
            self._forget(self._unlisted.popleft())
            return True
        if len(self._listed) > 1:
            self._unlist()
            self._forget(self._unlisted.popleft())
            return True
        return False

    def clear(self) -> None:
        """Nothing is asked for any more."""
        if self._archive is not None:
            for segment in self.segments():
                self._archive.forget(segment)
        self._hold(-self.held_bytes)
        self._recent.clear()
        self._listed.clear()
        self._unlisted.clear()
        self.inits.clear()
        self.open = None

    def keep_init(self, number: int, data: bytes) -> None:
        """An init segment, for as long as a segment needs it."""
        self.inits[number] = data
        self._hold(len(data) + PART_OVERHEAD_BYTES)

    def segments(self) -> Iterator[Segment]:
        """All there are, whole or not."""
        yield from self._unlisted
        yield from self._listed
        if self.open is not None:
            yield self.open

    # Inside

    def _trim(self) -> None:
        listed, unlisted = self._listed, self._unlisted
        archive = self._archive
        most = _MOST + int(_PER_SECOND * self._window)
        while listed and (self.seconds - listed[0].duration >= self._window or len(listed) > most):
            self._unlist()
        while archive is not None and archive.full and len(listed) > 1:
            self._unlist()
            self._forget(unlisted.popleft())
        over = sum([segment.duration for segment in unlisted]) - self._spare
        while unlisted and (over >= unlisted[0].duration or len(unlisted) > most):
            over -= unlisted[0].duration
            self._forget(unlisted.popleft())
        recent = self._recent
        over = sum([segment.duration for segment in recent]) - self._memory
        while recent and over >= recent[0].duration and not recent[0].on_its_way:
            over -= recent[0].duration
            self._evict(recent.popleft())

    def _stored(self, segment: Segment) -> None:
        """The archive has it, or could not take it."""
        self._look_for(segment)
        self._trim()

    def _look_for(self, segment: Segment) -> None:
        """Whether it is anywhere."""
        if segment.data is None and segment.place is None:
            segment.lost = True
            self.losses += 1

    def _evict(self, segment: Segment) -> None:
        """It is in memory no more."""
        self._hold(-segment.held)
        segment.data = None
        segment.parts.clear()
        if not segment.on_its_way:
            self._look_for(segment)

    def _unlist(self) -> None:
        segment = self._listed.popleft()
        self.seconds -= segment.duration
        self.discontinuities += segment.discontinuity
        self._unlisted.append(segment)

    def _forget(self, segment: Segment) -> None:
        self._hold(-segment.held - SEGMENT_OVERHEAD_BYTES)
        if self._recent and self._recent[0] is segment:
            self._recent.popleft()
        if self._archive is not None:
            self._archive.forget(segment)
        oldest = next(self.segments(), None)
        if oldest is not None and oldest.init != segment.init:
            for number in [number for number in self.inits if number < oldest.init]:
                self._hold(-len(self.inits.pop(number)) - PART_OVERHEAD_BYTES)

    def _hold(self, size: int) -> None:
        self.held_bytes += size
        self._charge(size)
