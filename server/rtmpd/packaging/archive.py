"""What of a rendition is in memory no more: segments on a drive, to go back to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtmpd.net.scratch import Scratch, Written
from rtmpd.packaging.shelf import Segment
from rtmpd.packaging.stats import HlsStats

_MOST_WAITING: Final = 32 * 1024 * 1024
"""Bytes that may be on their way to the drive; what comes while it is slower than that is not kept."""
_MOST_READERS: Final = 64


class DriveArchive:
    """Of one rendition, of which ``most_bytes`` are on the drive."""

    def __init__(self, scratch: Scratch, most_bytes: int, stats: HlsStats) -> None:
        self._scratch = scratch
        self._most = most_bytes
        self._stats = stats
        self._bytes = 0
        self._waiting = 0
        self._readers = 0

    @property
    def full(self) -> bool:
        """See ``shelf.Archive``."""
        return self._bytes > self._most

    def store(self, segment: Segment, done: Callable[[], None]) -> None:
        """See ``shelf.Archive``."""
        data = segment.data or b""
        if not self._scratch.usable or self._waiting + len(data) > _MOST_WAITING:
            self._stats.disk_failures += 1
            return
        segment.on_its_way = True
        self._waiting += len(data)

        def written(outcome: Written | Exception) -> None:
            self._waiting -= len(data)
            if isinstance(outcome, Exception):
                self._stats.disk_failures += 1
            elif segment.on_its_way:
                segment.place = outcome
                self._add(outcome.size)
            else:  # It was forgotten meanwhile.
                outcome.file.leave()
            segment.on_its_way = False
            done()

        self._scratch.append(lambda: data, written)

    def forget(self, segment: Segment) -> None:
        """See ``shelf.Archive``."""
        segment.on_its_way = False
        place, segment.place = segment.place, None
        if place is not None:
            self._add(-place.size)
            place.file.leave()

    def read(self, segment: Segment, done: Callable[[bytes | None], None]) -> bool:
        """See ``Package.read``."""
        place = segment.place
        if place is None or self._readers >= _MOST_READERS:
            return False
        self._readers += 1

        def finish(outcome: bytes | Exception) -> None:
            self._readers -= 1
            whole = isinstance(outcome, bytes) and len(outcome) == segment.size
            done(outcome if isinstance(outcome, bytes) and whole else None)

        self._scratch.fetch(place, lambda data: data, finish)
        return True

    def _add(self, size: int) -> None:
        self._bytes += size
        self._stats.disk_bytes += size
