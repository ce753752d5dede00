"""What a sequence header says of the picture and the sound, for logs and metrics.

Best effort on bytes from a peer: nothing here raises, a member that is not known stays 0 or empty. The relay
itself never depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from rtmpd.media.aac import AAC_CHANNELS, read_object_type, read_rate
from rtmpd.media.av1 import av1_dimensions
from rtmpd.media.bits import BitReader
from rtmpd.media.sps import read_avc_sps, read_hevc_sps
from rtmpd.media.tags import (
    ENHANCED,
    MULTITRACK,
    AudioPacketType,
    VideoPacketType,
    parse_audio,
    parse_video,
)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Video of one track; width and height in pixels after cropping, 0 when not known."""

    codec: str
    width: int = 0
    height: int = 0
    profile: str = ""
    """As the codec's specification calls it; its number when it has no name here."""
    level: str = ""
    """Such as ``4.1``."""
    frame_rate: float = 0.0
    """Frames a second, 0 when it is not said."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Sound of one track; ``sample_rate`` in Hz and ``channels``, 0 when not known."""

    codec: str
    sample_rate: int = 0
    channels: int = 0
    profile: str = ""
    """AAC object type, such as ``LC`` or ``HE-AAC``."""


_MAX_RECORD_BYTES: Final = 4096
"""How much of a configuration record is looked at."""

_AVC_PROFILES: Final = {
    66: "Baseline",
    77: "Main",
    88: "Extended",
    100: "High",
    110: "High 10",
    122: "High 4:2:2",
    244: "High 4:4:4",
}
_HEVC_PROFILES: Final = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Rext"}
_AV1_PROFILES: Final = {0: "Main", 1: "High", 2: "Professional"}
_AAC_OBJECT_TYPES: Final = {
    1: "Main",
    2: "LC",
    3: "SSR",
    4: "LTP",
    5: "HE-AAC",
    23: "LD",
    29: "HE-AACv2",
    39: "ELD",
    42: "xHE-AAC",
}
_AAC_SBR: Final = 5
_AAC_PS: Final = 29
_FLV_SAMPLE_RATES: Final = (5512, 11025, 22050, 44100)
_FLV_FIXED_FORMATS: Final = {
    4: (16000, 1),
    5: (8000, 1),
    7: (8000, 1),
    8: (8000, 1),
    11: (16000, 1),
    14: (8000, 0),
}
"""Sound formats whose rate (and channels) do not follow the bits of the tag: (Hz, channels or 0)."""


def video_info(payload: bytes) -> VideoInfo | None:
    """What a video sequence header payload says of its (first) track; None for any other payload."""
    tag = parse_video(payload)
    if tag.packet_type != VideoPacketType.SEQUENCE_START or not tag.codec or tag.body_offset > len(payload):
        return None
    read = _VIDEO_RECORDS.get(tag.codec)
    if read is not None:
        record = payload[tag.body_offset : tag.body_offset + _MAX_RECORD_BYTES]
        try:
            return read(record)
        except IndexError:
            return VideoInfo(tag.codec)
    return VideoInfo(tag.codec)


def avc_compatibility(payload: bytes) -> int | None:
    """The flags of an H.264 sequence header that say to which profiles the stream keeps besides its own
    (profile_compatibility, ISO/IEC 14496-15 section 5.3.3.1); None for any other payload.
    """
    tag = parse_video(payload)
    if tag.packet_type != VideoPacketType.SEQUENCE_START or tag.codec != "avc1":
        return None
    return payload[tag.body_offset + 2] if len(payload) > tag.body_offset + 2 else None


def audio_info(payload: bytes) -> AudioInfo | None:
    """What an audio payload says of its (first) track; None when this kind of payload says nothing.

    Codecs before AAC describe themselves in every payload, the others in their sequence header.
    """
    tag = parse_audio(payload)
    if not tag.codec:
        return None
    if not tag.flags & (ENHANCED | MULTITRACK) and payload[0] >> 4 != 10:
        return _read_flv_sound(tag.codec, payload[0])
    if tag.packet_type != AudioPacketType.SEQUENCE_START or tag.body_offset > len(payload):
        return None
    read = _AUDIO_RECORDS.get(tag.codec)
    if read is not None:
        record = payload[tag.body_offset : tag.body_offset + _MAX_RECORD_BYTES]
        try:
            return read(record)
        except IndexError:
            return AudioInfo(tag.codec)
    return AudioInfo(tag.codec)


def _field(record: bytes, offset: int, size: int) -> bytes:
    field = record[offset : offset + size]
    if len(field) < size:
        raise IndexError("a record is cut short")
    return field


def _read_avcc(record: bytes) -> VideoInfo:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1)."""
    profile = _AVC_PROFILES.get(record[1], str(record[1]))
    level = f"{record[3] // 10}.{record[3] % 10}"
    with suppress(IndexError):
        sps = read_avc_sps(record)
        return VideoInfo("avc1", sps.width, sps.height, profile, level, sps.frame_rate)
    return VideoInfo("avc1", 0, 0, profile, level)


def _read_hvcc(record: bytes) -> VideoInfo:
    """HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 8.3.3.1)."""
    profile_idc = record[1] & 31
    profile = _HEVC_PROFILES.get(profile_idc, str(profile_idc))
    level = f"{record[12] // 30}.{record[12] % 30 // 3}"
    with suppress(IndexError):
        sps = read_hevc_sps(record)
        return VideoInfo("hvc1", sps.width, sps.height, profile, level, sps.frame_rate)
    return VideoInfo("hvc1", 0, 0, profile, level)


def _read_av1c(record: bytes) -> VideoInfo:
    """AV1CodecConfigurationRecord (AV1 in ISOBMFF section 2.3.3)."""
    profile, level = divmod(record[1], 32)
    named_level = "" if level == 31 else f"{2 + (level >> 2)}.{level & 3}"
    width, height = av1_dimensions(record[4:])
    return VideoInfo("av01", width, height, _AV1_PROFILES.get(profile, str(profile)), named_level)


def _read_vpcc(codec: str) -> Callable[[bytes], VideoInfo]:
    """Reader of the VPCodecConfigurationBox body (VP Codec ISOBMFF section 2.2)."""

    def read(record: bytes) -> VideoInfo:
        level = record[5]
        named_level = f"{level // 10}.{level % 10}" if level else ""
        return VideoInfo(codec, profile=str(record[4]), level=named_level)

    return read


def _read_asc(record: bytes) -> AudioInfo:
    """AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1)."""
    bits = BitReader(record[:64])
    object_type = read_object_type(bits)
    sample_rate = read_rate(bits)
    channels = AAC_CHANNELS.get(bits.u(4), 0)
    if object_type in (_AAC_SBR, _AAC_PS):
        sample_rate = read_rate(bits)
    if object_type == _AAC_PS:
        channels = 2
    return AudioInfo("mp4a", sample_rate, channels, _AAC_OBJECT_TYPES.get(object_type, str(object_type)))


def _read_opus_head(record: bytes) -> AudioInfo:
    """OpusHead (RFC 7845 section 5.1); Opus decodes at 48 kHz whatever the original rate was."""
    if record[:8] != b"OpusHead":
        raise IndexError("a record is cut short")
    return AudioInfo("Opus", 48000, record[9])


def _read_flac(record: bytes) -> AudioInfo:
    """``fLaC`` marker, metadata block header and STREAMINFO (RFC 9639 section 8)."""
    # quirk(ffmpeg): its muxer writes the bare STREAMINFO, without marker and block header.
    start = 4 if record[:4] == b"fLaC" else 0
    if record[start + 1 : start + 4] == b"\0\0\x22":
        start += 4
    packed = int.from_bytes(_field(record, start + 10, 4), "big")
    return AudioInfo("fLaC", packed >> 12, (packed >> 9 & 7) + 1)


def _read_flv_sound(codec: str, head: int) -> AudioInfo:
    """Rate and channel bits of a legacy audio tag (FLV 10.1 annex E.4.2.1)."""
    sample_rate = _FLV_SAMPLE_RATES[head >> 2 & 3]
    channels = (head & 1) + 1
    fixed_rate, fixed_channels = _FLV_FIXED_FORMATS.get(head >> 4, (0, 0))
    return AudioInfo(codec, fixed_rate or sample_rate, fixed_channels or channels)


_VIDEO_RECORDS: Final[Mapping[str, Callable[[bytes], VideoInfo]]] = {
    "avc1": _read_avcc,
    "hvc1": _read_hvcc,
    "av01": _read_av1c,
    "vp08": _read_vpcc("vp08"),
    "vp09": _read_vpcc("vp09"),
}
_AUDIO_RECORDS: Final[Mapping[str, Callable[[bytes], AudioInfo]]] = {
    "mp4a": _read_asc,
    "Opus": _read_opus_head,
    "fLaC": _read_flac,
}
