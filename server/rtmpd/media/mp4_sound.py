"""Sound in MP4: sample entries and codec strings of what browsers play of RTMP's codecs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import pack
from typing import Final, NamedTuple

from rtmpd.exceptions import NotForMp4
from rtmpd.media.aac import read_aac_config
from rtmpd.media.codec_names import spoken
from rtmpd.media.mp4_boxes import box, full_box
from rtmpd.media.sound_frames import read_ac3_frame, read_eac3_frame, read_mp3_frame
from rtmpd.media.tags import MULTITRACK, AudioPacketType, parse_audio

_MAX_RECORD_BYTES: Final = 1024
_AAC_OBJECT: Final = 0x40
_OPUS_RATE: Final = 48_000
_OPUS_HEAD: Final = 19
_STREAMINFO: Final = 34
_LEAST_RATE: Final = 3000
_MAX_RATE: Final = 384_000
"""Hz that browsers play; peers may write any number of 24 bits."""
_MAX_RATE_FIELD: Final = 0xFFFF
_MP3_OBJECTS: Final = {1152: 0x6B, 576: 0x69}
"""Object types of MPEG-1 and MPEG-2 layer 3, by the samples of their frames."""


class SoundEntry(NamedTuple):
    """What MP4 says of a track of sound."""

    sample_entry: bytes
    codec: str
    sample_rate: int
    """Hz, which times of the track are counted in."""
    channels: int
    frame_samples: int
    """Of each frame, at ``sample_rate``; 0 where each says so itself: ``sound_frames.frame_samples``."""


def read_sound(header: bytes, frame: bytes = b"") -> SoundEntry:
    """Of the track with this sequence header and this first frame, which is asked where there is no header.

    Raises NotForMp4.
    """
    tag = parse_audio(frame or header)
    name = spoken(tag.codec or "unknown")
    if tag.flags & MULTITRACK or tag.codec not in (*_OF_RECORDS, *_OF_FRAMES):
        raise NotForMp4(f"browsers do not play {name}")
    of_frames = _OF_FRAMES.get(tag.codec)
    try:
        if of_frames is not None:
            return of_frames((frame or header)[tag.body_offset :])
        found = _OF_RECORDS[tag.codec](_record(header, tag.codec))
    except IndexError:
        place = "first frame" if of_frames is not None else "sequence header"
        raise NotForMp4(f"the {place} of {name} is cut short, or says what cannot be") from None
    if not _LEAST_RATE <= found.sample_rate <= _MAX_RATE:
        raise NotForMp4(f"browsers do not play {name} of {found.sample_rate} Hz")
    return found


def _record(header: bytes, codec: str) -> bytes:
    """The configuration in a sequence header, which has to be of ``codec``."""
    tag = parse_audio(header)
    if tag.packet_type != AudioPacketType.SEQUENCE_START or tag.codec != codec:
        raise NotForMp4(f"{spoken(codec)} without a sequence header cannot be decoded")
    record = header[tag.body_offset :]
    if len(record) > _MAX_RECORD_BYTES:
        raise IndexError("nobody needs so much")
    return record


def _read_aac(record: bytes) -> SoundEntry:
    config = read_aac_config(record)
    entry = _sound(b"mp4a", config.channels, config.sample_rate, _esds(_AAC_OBJECT, record))
    codec = f"mp4a.40.{config.object_type}"
    return SoundEntry(entry, codec, config.sample_rate, config.channels, config.frame_samples)


def _read_opus(record: bytes) -> SoundEntry:
    """OpusHead (RFC 7845 section 5.1) as ``dOps`` (Opus in ISOBMFF section 4.3.2): the other byte order."""
    if record[:8] != b"OpusHead" or len(record) < _OPUS_HEAD or not record[9]:
        raise IndexError("no OpusHead")
    channels, family = record[9], record[18]
    mapping = record[19 : 21 + channels] if family else b""
    if len(mapping) != (2 + channels if family else 0):
        raise IndexError("no mapping")
    numbers = record[10:12][::-1] + record[12:16][::-1] + record[16:18][::-1]
    specific = box(b"dOps", bytes((0, channels)), numbers, bytes((family,)), mapping)
    return SoundEntry(_sound(b"Opus", channels, _OPUS_RATE, specific), "opus", _OPUS_RATE, channels, 0)


def _read_flac(record: bytes) -> SoundEntry:
    """STREAMINFO (RFC 9639 section 8.2), marker and block header before it or not."""
    # quirk(ffmpeg): its muxer writes the bare STREAMINFO, without marker and block header.
    start = 4 if record[:4] == b"fLaC" else 0
    if record[start + 1 : start + 4] == b"\0\0\x22":
        start += 4
    info = record[start : start + _STREAMINFO]
    if len(info) < _STREAMINFO:
        raise IndexError("the record is cut short")
    packed = int.from_bytes(info[10:14], "big")
    rate, channels, bits = packed >> 12, (packed >> 9 & 7) + 1, (packed >> 4 & 31) + 1
    if not rate:
        raise IndexError("no rate")
    specific = full_box(b"dfLa", 0, 0, b"\x80\0\0\x22", info)
    return SoundEntry(_sound(b"fLaC", channels, rate, specific, bits), "flac", rate, channels, 0)


def _read_ac3(frame: bytes) -> SoundEntry:
    found = read_ac3_frame(frame)
    entry = _sound(b"ac-3", found.channels, found.sample_rate, box(b"dac3", found.config))
    return SoundEntry(entry, "ac-3", found.sample_rate, found.channels, found.samples)


def _read_eac3(frame: bytes) -> SoundEntry:
    found = read_eac3_frame(frame)
    entry = _sound(b"ec-3", found.channels, found.sample_rate, box(b"dec3", found.config))
    return SoundEntry(entry, "ec-3", found.sample_rate, found.channels, found.samples)


def _read_mp3(frame: bytes) -> SoundEntry:
    found = read_mp3_frame(frame)
    number = _MP3_OBJECTS[found.samples]
    entry = _sound(b"mp4a", found.channels, found.sample_rate, _esds(number))
    return SoundEntry(entry, f"mp4a.{number:X}", found.sample_rate, found.channels, found.samples)


def _sound(kind: bytes, channels: int, sample_rate: int, config: bytes, bits: int = 16) -> bytes:
    """An AudioSampleEntry (ISO/IEC 14496-12 section 12.2.3)."""
    rate = sample_rate if sample_rate <= _MAX_RATE_FIELD else 0
    return box(kind, pack(">6xH8xHH4xI", 1, channels, bits, rate << 16), config)


def _esds(object_type: int, config: bytes = b"") -> bytes:
    """ISO/IEC 14496-1 section 7.2.6: a stream, its decoder with its configuration, its packets."""
    specific = _descriptor(5, config) if config else b""
    decoder = _descriptor(4, pack(">BB3xII", object_type, 0x15, 0, 0) + specific)
    return full_box(b"esds", 0, 0, _descriptor(3, bytes(3) + decoder + _descriptor(6, b"\2")))


def _descriptor(tag: int, body: bytes) -> bytes:
    size = len(body)
    sizes = bytes((size >> 21 & 127 | 128, size >> 14 & 127 | 128, size >> 7 & 127 | 128, size & 127))
    return bytes((tag,)) + sizes + body


_OF_RECORDS: Final[Mapping[str, Callable[[bytes], SoundEntry]]] = {
    "mp4a": _read_aac,
    "Opus": _read_opus,
    "fLaC": _read_flac,
}
_OF_FRAMES: Final[Mapping[str, Callable[[bytes], SoundEntry]]] = {
    "ac-3": _read_ac3,
    "ec-3": _read_eac3,
    ".mp3": _read_mp3,
}
