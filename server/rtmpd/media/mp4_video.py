"""Pictures in MP4: sample entries and codec strings of what Enhanced RTMP carries."""

from __future__ import annotations

from struct import pack
from typing import Final, NamedTuple

from rtmpd.exceptions import NotForMp4
from rtmpd.media.codec_names import spoken
from rtmpd.media.codecs import video_info
from rtmpd.media.mp4_boxes import box
from rtmpd.media.tags import MULTITRACK, VideoPacketType, parse_video

MAX_RECORD_BYTES: Final = 0x10000
"""Of a decoder configuration: what goes into every init segment."""


class VideoEntry(NamedTuple):
    """``width`` and ``height`` in pixels."""

    sample_entry: bytes
    codec: str
    width: int
    height: int


def read_video(header: bytes) -> VideoEntry:
    """Of the track with this sequence header. Raises NotForMp4."""
    tag = parse_video(header)
    if tag.codec != "avc1" or tag.flags & MULTITRACK:
        raise NotForMp4(f"{spoken(tag.codec or 'unknown')} cannot be shown in browsers")
    record = header[tag.body_offset :]
    if tag.packet_type != VideoPacketType.SEQUENCE_START or len(record) < 7 or len(record) > MAX_RECORD_BYTES:
        raise NotForMp4(f"the sequence header of {spoken(tag.codec)} cannot be read")
    info = video_info(header)
    if info is None or not info.width:
        raise NotForMp4(f"the sequence header of {spoken(tag.codec)} does not say how large pictures are")
    codec = f"avc1.{record[1]:02x}{record[2]:02x}{record[3]:02x}"
    entry = box(b"avc1", _visual(info.width, info.height), box(b"avcC", record))
    return VideoEntry(entry, codec, info.width, info.height)


def _visual(width: int, height: int) -> bytes:
    """What all VisualSampleEntries begin with (ISO/IEC 14496-12 section 12.1.3)."""
    return pack(">6xH16xHHII4xH32xHh", 1, width, height, 72 << 16, 72 << 16, 1, 24, -1)
