"""Tags of an FLV file that lies on a drive, read piece by piece, from wherever one begins.

Everything here blocks: it is called in threads. A tag that cannot be one is the end of a file, as what was
cut off in the middle of one is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from rtmpd.engine.packet import ASIDE, DATA, TRACK_SHIFT, TRACKED, VIDEO, Packet
from rtmpd.media.flv import TAG_HEADER_BYTES
from rtmpd.media.tags import MULTITRACK, audio_flags, video_flags
from rtmpd.media.tracks import MANY_TRACKS, split_tracks, track_of
from rtmpd.rtmp.constants import MEDIA_CSIDS, ON_META_DATA, SAMPLE_ACCESS
from rtmpd.rtmp.limits import Limits

MAX_TAG_BYTES: Final = Limits().max_message_bytes
"""No encoder may send more in one message."""
BACK_POINTER_BYTES: Final = 4
_PIECE: Final = 64 * 1024
"""What is read at once. A thread that reads pieces lets the event loop have its turn in between."""


class TagAt(NamedTuple):
    """The head of a tag."""

    kind: int
    timestamp: int
    size: int
    """Of its payload."""
    offset: int
    """Of its first byte in the file."""

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + TAG_HEADER_BYTES + self.size + BACK_POINTER_BYTES


def parse_head(data: bytes, pos: int, offset: int, most: int = MAX_TAG_BYTES) -> TagAt | None:
    """The tag at ``pos`` of ``data``, which is ``offset`` in its file; None if it can be none, as one with
    more than ``most`` bytes of payload.
    """
    if pos + TAG_HEADER_BYTES > len(data):
        return None
    kind = data[pos]
    size = int.from_bytes(data[pos + 1 : pos + 4], "big")
    if kind not in MEDIA_CSIDS or size > most:
        return None
    timestamp = data[pos + 7] << 24 | int.from_bytes(data[pos + 4 : pos + 7], "big")
    return TagAt(kind, timestamp, size, offset)


def head_at(fd: int, offset: int) -> tuple[TagAt, int] | None:
    """The tag at ``offset`` and the first byte of its payload (0 if it has none); None if there is none."""
    data = os.pread(fd, TAG_HEADER_BYTES + 1, offset)
    tag = parse_head(data, 0, offset)
    if tag is None:
        return None
    return tag, data[TAG_HEADER_BYTES] if tag.size and len(data) > TAG_HEADER_BYTES else 0


def heads(fd: int, offset: int) -> Iterator[tuple[TagAt, int]]:
    """All tags from ``offset`` on, each with the first byte of its payload; payloads are stepped over."""
    data, at = b"", offset
    while True:
        pos = offset - at
        if pos < 0 or pos + TAG_HEADER_BYTES >= len(data):
            data, at, pos = os.pread(fd, _PIECE, offset), offset, 0
        tag = parse_head(data, pos, offset)
        if tag is None:
            return
        first = pos + TAG_HEADER_BYTES
        yield tag, data[first] if tag.size and first < len(data) else 0
        offset = tag.end


def tags(fd: int, offset: int) -> Iterator[tuple[TagAt, bytes]]:
    """All whole tags from ``offset`` on, with their payloads."""
    while True:
        data, pos = os.pread(fd, _PIECE, offset), 0
        while (tag := parse_head(data, pos, offset)) is not None:
            start = pos + TAG_HEADER_BYTES
            end = start + tag.size
            if end > len(data):
                break
            yield tag, data[start:end]
            pos = end + BACK_POINTER_BYTES
            offset = tag.end
        if pos:
            continue
        tag = parse_head(data, 0, offset)
        if tag is None:
            return
        payload = os.pread(fd, tag.size, offset + TAG_HEADER_BYTES)
        if len(payload) < tag.size:
            return
        yield tag, payload
        offset = tag.end


def packets_of(tag: TagAt, payload: bytes, time: int) -> list[Packet]:
    """What is in a tag, stamped ``time`` (ms), as the engine has it: one packet for each track.

    Nothing of what speaks of the whole file, or is between a server and its player.
    """
    kind = tag.kind
    if not payload or payload.startswith(_NOT_PLAYED):
        return []
    if kind == DATA:
        return [Packet(kind, time, payload, 0)]
    flags = video_flags(payload) if kind == VIDEO else audio_flags(payload)
    if not flags & MULTITRACK:
        return [Packet(kind, time, payload, flags)]
    parts = split_tracks(payload) if track_of(payload) == MANY_TRACKS else [payload]
    found = []
    for part in parts:
        track = track_of(part)
        marks = TRACKED | track << TRACK_SHIFT | (ASIDE if track else 0)
        found.append(Packet(kind, time, part, flags | marks))
    return found


_NOT_PLAYED: Final = (ON_META_DATA, SAMPLE_ACCESS)
