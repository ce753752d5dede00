"""What is known of an FLV file before it is played: how long it is, what is in it, where one can begin."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Final

from rtmpd.engine.packet import AUDIO, DATA, VIDEO, Packet
from rtmpd.exceptions import FlvError
from rtmpd.media.cache_key import CacheKey, cache_key
from rtmpd.media.flv import FILE_HEADER_BYTES
from rtmpd.media.metadata import read_metadata, recorded_metadata
from rtmpd.media.tags import (
    CODEC_METADATA,
    SEQUENCE_HEADER,
    audio_codec,
    audio_flags,
    video_codec,
    video_flags,
)
from rtmpd.outputs.flv_index import Index, Told, believe, read_told, scan
from rtmpd.outputs.flv_tags import BACK_POINTER_BYTES, TagAt, head_at, packets_of, tags
from rtmpd.reasons import FlvFailure
from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.constants import ON_META_DATA

_HEADER: Final = SEQUENCE_HEADER | CODEC_METADATA
_MAX_METADATA_BYTES: Final = 4 * 1024 * 1024
_LOOKED_AT: Final = 400
"""Tags at the beginning of a file among which its headers are."""
_LAST_TAGS: Final = 16
"""Tags at its end among which the last frame is."""
_MAX_FILE_HEADER: Final = 4096


@dataclass(slots=True)
class Survey:
    """One file, as it was when it was opened. Times as the tags are stamped, in ms."""

    begin: int
    """Offset of its first tag."""
    base: int
    """Time of its first frame."""
    last: int
    """Of its last."""
    metadata: bytes
    """For players."""
    headers: tuple[Packet, ...]
    codecs: str
    index: Index | None
    """None as long as nobody has looked for key frames."""
    size: int
    _scanning: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def duration(self) -> int:
        """How long it is (ms)."""
        return max(self.last - self.base, 0)

    def find_key_frames(self, fd: int) -> Index:
        """The index, made if there is none. Blocks."""
        with self._scanning:
            if self.index is None:
                index, latest = scan(fd, self.begin)
                self.last = max(self.last, latest)
                self.index = index
            return self.index


def survey(fd: int, size: int) -> Survey:
    """Look at a file that has been opened. Blocks. Raises ``FlvError`` for what cannot be played."""
    begin = _read_header(fd)
    metadata, headers, base, codecs = b"", dict[CacheKey, Packet](), None, dict[int, str]()
    first = begin
    for count, (tag, payload) in enumerate(tags(fd, begin)):
        if tag.kind == DATA:
            if not metadata and payload.startswith(ON_META_DATA) and len(payload) <= _MAX_METADATA_BYTES:
                metadata = payload
        elif payload:
            if base is None:
                base, first = tag.timestamp, tag.offset
            flags = video_flags(payload) if tag.kind == VIDEO else audio_flags(payload)
            if flags & _HEADER:
                for each in packets_of(tag, payload, 0):
                    headers[cache_key(tag.kind, each.payload)] = each
            codecs.setdefault(tag.kind, video_codec(payload) if tag.kind == VIDEO else audio_codec(payload))
            if flags and not flags & _HEADER and len(codecs) == 2:  # A frame behind all headers.
                break
        if count >= _LOOKED_AT:
            break
    if base is None:
        raise FlvError(FlvFailure.NO_MEDIA, "the file holds no audio and no video")
    told = read_told(metadata)
    index = None if told is None else believe(fd, told, first, size)
    last = max(_last_time(fd, size), base)
    if last == base:
        last = base + _told_duration(metadata, told)
    return Survey(
        begin=begin,
        base=base,
        last=last,
        metadata=_for_players(metadata, told, (last - base) / 1000),
        headers=tuple(headers.values()),
        codecs="+".join(codecs[kind] for kind in (VIDEO, AUDIO) if kind in codecs),
        index=index,
        size=size,
    )


def _read_header(fd: int) -> int:
    """Where the first tag begins."""
    head = os.pread(fd, FILE_HEADER_BYTES, 0)
    size = int.from_bytes(head[5:9], "big")
    if head[:4] != b"FLV\x01" or not FILE_HEADER_BYTES <= size <= _MAX_FILE_HEADER:
        raise FlvError(FlvFailure.NOT_FLV, "it is no FLV file")
    return size + BACK_POINTER_BYTES


def _last_time(fd: int, size: int) -> int:
    """The latest time of the last tags, found from behind; 0 where that does not lead to one."""
    latest, end = 0, size
    for _ in range(_LAST_TAGS):
        pointer = int.from_bytes(os.pread(fd, BACK_POINTER_BYTES, end - BACK_POINTER_BYTES), "big")
        offset = end - BACK_POINTER_BYTES - pointer
        found = head_at(fd, offset) if pointer and offset > 0 else None
        if found is None:
            break
        tag: TagAt = found[0]
        if tag.end != end:
            break
        if tag.kind != DATA:
            latest = max(latest, tag.timestamp)
        end = offset
    return latest


def _without_index(metadata: bytes, told: Told | None) -> bytes:
    """Players are not told where in the file something is; the end of sizes of tables is nobody's concern."""
    return metadata if told is None else metadata[: told.start] + metadata[told.end :]


def _for_players(metadata: bytes, told: Told | None, duration: float) -> bytes:
    return recorded_metadata(_without_index(metadata, told) or encode_values("onMetaData"), duration)


def _told_duration(metadata: bytes, told: Told | None) -> int:
    duration = read_metadata(_without_index(metadata, told)).get("duration")
    if isinstance(duration, int | float) and not isinstance(duration, bool) and 0 < duration < 1e7:
        return round(duration * 1000)
    return 0
