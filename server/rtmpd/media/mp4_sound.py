"""Sound in MP4: sample entries and codec strings of what RTMP carries, and how long its frames are."""

from __future__ import annotations

from struct import pack
from typing import Final, NamedTuple

from rtmpd.exceptions import NotForMp4
from rtmpd.media.codec_names import spoken
from rtmpd.media.codecs import audio_info
from rtmpd.media.mp4_boxes import box, full_box
from rtmpd.media.tags import MULTITRACK, AudioPacketType, parse_audio

_MAX_CONFIG_BYTES: Final = 1024


class SoundEntry(NamedTuple):
    sample_entry: bytes
    codec: str
    sample_rate: int
    """Hz, which times of the track are counted in."""
    channels: int
    frame_samples: int
    """Of each frame, at ``sample_rate``; 0 where it says so itself."""


def read_sound(header: bytes) -> SoundEntry:
    """Of the track with this sequence header, or first frame. Raises NotForMp4."""
    tag = parse_audio(header)
    if tag.codec != "mp4a" or tag.flags & MULTITRACK:
        raise NotForMp4(f"{spoken(tag.codec or 'unknown')} cannot be played in browsers")
    record = header[tag.body_offset :]
    info = audio_info(header)
    if (
        tag.packet_type != AudioPacketType.SEQUENCE_START
        or not 2 <= len(record) <= _MAX_CONFIG_BYTES
        or info is None
    ):
        raise NotForMp4(f"the sequence header of {spoken(tag.codec)} cannot be read")
    if not info.sample_rate:
        raise NotForMp4(f"the sequence header of {spoken(tag.codec)} cannot be read")
    entry = box(b"mp4a", _sound(info.channels or 2, info.sample_rate), _esds(0x40, record))
    object_type = record[0] >> 3
    return SoundEntry(entry, f"mp4a.40.{object_type}", info.sample_rate, info.channels or 2, 1024)


def _sound(channels: int, sample_rate: int) -> bytes:
    """What all AudioSampleEntries begin with (ISO/IEC 14496-12 section 12.2.3)."""
    return pack(">6xH8xHH4xI", 1, channels, 16, (sample_rate if sample_rate <= 0xFFFF else 0) << 16)


def _esds(object_type: int, config: bytes = b"") -> bytes:
    """ISO/IEC 14496-1 section 7.2.6: ES, its decoder with its configuration, its packets."""
    specific = _descriptor(5, config) if config else b""
    decoder = _descriptor(4, pack(">BB3xII", object_type, 0x15, 0, 0) + specific)
    return full_box(b"esds", 0, 0, _descriptor(3, bytes(3) + decoder + _descriptor(6, b"\2")))


def _descriptor(tag: int, body: bytes) -> bytes:
    size = len(body)
    return (
        pack(">5B", tag, size >> 21 & 127 | 128, size >> 14 & 127 | 128, size >> 7 & 127 | 128, size & 127)
        + body
    )
