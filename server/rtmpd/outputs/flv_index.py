"""Where the key frames of an FLV file are: from its own metadata, or else found tag by tag."""

from __future__ import annotations

import math
import struct
import time
from array import array
from bisect import bisect_right
from itertools import pairwise
from typing import Final, NamedTuple

from rtmpd.engine.packet import AUDIO, VIDEO
from rtmpd.outputs.flv_tags import head_at, heads

MAX_ENTRIES: Final = 65_536
"""Of more key frames every other one is left out, again and again."""
_MIN_GAP_MS: Final = 1000
"""Closer to each other than this, one of them is enough to begin at."""
_SCAN_SECONDS: Final = 30.0
"""What a file may take; behind what was looked at by then one begins at the last key frame that was found."""
_TIME_SLACK_MS: Final = 50
_CHECKED: Final = 3
"""Entries of an index that are looked up in the file before it is believed."""
_KEYFRAMES: Final = b"\x00\x09keyframes"
_OBJECT: Final = 3
_ECMA_ARRAY: Final = 8
_STRICT_ARRAY: Final = 10
_END: Final = b"\x00\x00\x09"


class Index(NamedTuple):
    """Places to begin at, in order."""

    times: array[int]
    """As the tags are stamped (ms)."""
    offsets: array[int]
    """Of the tags."""

    def before(self, timestamp: int) -> tuple[int, int] | None:
        """Time and offset of the last place that is not later; of the first if all are; None without any."""
        if not self.times:
            return None
        found = max(bisect_right(self.times, timestamp) - 1, 0)
        return self.times[found], self.offsets[found]


class Told(NamedTuple):
    """What a file says of its key frames, and where in its metadata it does."""

    start: int
    end: int
    """The bytes of the property."""
    times: tuple[float, ...]
    """In seconds."""
    offsets: tuple[float, ...]


def read_told(metadata: bytes) -> Told | None:
    """The property ``keyframes`` of an onMetaData body: an object of two arrays of numbers, as all tools
    write it; None if there is none that is so.
    """
    start = metadata.find(_KEYFRAMES)
    pos = start + len(_KEYFRAMES)
    if start < 0 or pos >= len(metadata) or metadata[pos] not in (_OBJECT, _ECMA_ARRAY):
        return None
    pos += 1 if metadata[pos] == _OBJECT else 5
    arrays: dict[bytes, tuple[float, ...]] = {}
    while metadata[pos : pos + 3] != _END:
        size = int.from_bytes(metadata[pos : pos + 2], "big")
        key, pos = metadata[pos + 2 : pos + 2 + size], pos + 2 + size
        count = int.from_bytes(metadata[pos + 1 : pos + 5], "big")
        end = pos + 5 + 9 * count
        if not size or end > len(metadata) or metadata[pos] != _STRICT_ARRAY:
            return None
        values = metadata[pos + 5 : end]
        if values[::9].strip(b"\0"):
            return None
        arrays[key] = tuple([value for (value,) in struct.iter_unpack(">xd", values)])
        pos = end
    return Told(start, pos + 3, arrays.get(b"times", ()), arrays.get(b"filepositions", ()))


def believe(fd: int, told: Told, first: int, size: int) -> Index | None:
    """The index that a file brings along, if it is one of this file; ``first`` is its first tag of media."""
    if not told.times or len(told.times) != len(told.offsets):
        return None
    times, offsets = array("Q"), array("Q")
    for seconds, offset in zip(told.times, told.offsets, strict=True):
        if not (math.isfinite(seconds) and math.isfinite(offset) and 0 <= seconds < 1e7):
            return None
        if not first <= offset < size:  # Some name the metadata, too, or fill up with the size of the file.
            continue
        if offsets and offset <= offsets[-1]:
            continue
        times.append(round(seconds * 1000))
        offsets.append(int(offset))
    index = Index(times, offsets)
    if not times or any(later < earlier for earlier, later in pairwise(times)):
        return None
    step = max(len(times) // _CHECKED, 1)
    checked = {*range(0, len(times), step), len(times) - 1}
    return thinned(index) if all(_holds(fd, times[each], offsets[each]) for each in checked) else None


def scan(fd: int, first: int, *, seconds: float = _SCAN_SECONDS) -> tuple[Index, int]:
    """Find key frames from ``first`` on, or where there is no video places in the sound; and the latest time.

    In a file whose times step back only what follows without such a step is found.
    """
    until = time.monotonic() + seconds
    video, sound = Index(array("Q"), array("Q")), Index(array("Q"), array("Q"))
    latest, gap = 0, _MIN_GAP_MS
    for count, (tag, head) in enumerate(heads(fd, first)):
        latest = max(latest, tag.timestamp)
        if not count % 1024 and time.monotonic() > until:
            break
        if tag.kind == VIDEO and is_keyframe(head):
            into = video
        elif tag.kind == AUDIO and not video.times:
            into = sound
        else:
            continue
        if not into.times or tag.timestamp >= into.times[-1] + gap:
            into.times.append(tag.timestamp)
            into.offsets.append(tag.offset)
            if len(into.times) >= 2 * MAX_ENTRIES:
                del into.times[1::2], into.offsets[1::2]
                gap *= 2
    return video if video.times else sound, latest


def thinned(index: Index) -> Index:
    """At most ``MAX_ENTRIES`` of it."""
    step = -(-len(index.times) // MAX_ENTRIES)
    return index if step <= 1 else Index(index.times[::step], index.offsets[::step])


def is_keyframe(head: int) -> bool:
    """Whether a video payload that begins with this byte is a key frame, in either form."""
    return head >> 4 & 7 == 1


def _holds(fd: int, timestamp: int, offset: int) -> bool:
    found = head_at(fd, offset)
    if found is None:
        return False
    tag, head = found
    fits = tag.kind == AUDIO or (tag.kind == VIDEO and is_keyframe(head))
    return fits and abs(tag.timestamp - timestamp) <= _TIME_SLACK_MS
