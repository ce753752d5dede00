"""What a sequence header says of the picture and the sound, for logs and metrics.

Best effort on bytes from a peer: nothing here raises, a member that is not known stays 0 or empty. The relay
itself never depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from rtmpd.media.av1 import av1_dimensions
from rtmpd.media.bits import BitReader
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
_MAX_SPS_BYTES: Final = 512
_MAX_POC_CYCLE: Final = 255
_EXTENDED_SAR: Final = 255
_MAX_FRAME_RATE: Final = 999

_AVC_PROFILES: Final = {
    66: "Baseline",
    77: "Main",
    88: "Extended",
    100: "High",
    110: "High 10",
    122: "High 4:2:2",
    244: "High 4:4:4",
}
_AVC_HIGH_PROFILES: Final = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
"""Profiles whose SPS carries chroma format and scaling matrices (H.264 section 7.3.2.1.1)."""
_HEVC_PROFILES: Final = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Rext"}
_HEVC_SPS: Final = 33
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
_AAC_SAMPLE_RATES: Final = (
    96000,
    88200,
    64000,
    48000,
    44100,
    32000,
    24000,
    22050,
    16000,
    12000,
    11025,
    8000,
    7350,
)
_AAC_CHANNELS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
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


def _sps_bits(nal_unit: bytes, header_bytes: int) -> BitReader:
    """Bits of a parameter set behind its NAL unit header, emulation prevention bytes removed."""
    return BitReader(nal_unit[header_bytes:_MAX_SPS_BYTES].replace(b"\0\0\3", b"\0\0"))


def _field(record: bytes, offset: int, size: int) -> bytes:
    field = record[offset : offset + size]
    if len(field) < size:
        raise IndexError("a record is cut short")
    return field


def _read_avcc(record: bytes) -> VideoInfo:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1)."""
    profile = _AVC_PROFILES.get(record[1], str(record[1]))
    level = f"{record[3] // 10}.{record[3] % 10}"
    rate = 0.0
    try:
        bits = _sps_bits(_first_avc_sps(record), 1)
        width, height = _avc_dimensions(bits)
    except IndexError:
        width = height = 0
    else:
        with suppress(IndexError):
            rate = _avc_frame_rate(bits)
    return VideoInfo("avc1", width, height, profile, level, rate)


def _first_avc_sps(record: bytes) -> bytes:
    if not record[5] & 31:
        raise IndexError("a record is cut short")
    return _field(record, 8, int.from_bytes(_field(record, 6, 2), "big"))


def _avc_dimensions(bits: BitReader) -> tuple[int, int]:
    """Cropped picture size of an H.264 SPS (section 7.3.2.1.1), which is read up to its VUI."""
    profile_idc = bits.u(8)
    bits.skip(16)
    bits.ue()  # seq_parameter_set_id
    chroma_format = 1
    if profile_idc in _AVC_HIGH_PROFILES:
        chroma_format = _skip_avc_high_fields(bits)
    bits.ue()  # log2_max_frame_num_minus4
    poc_type = bits.ue()
    if poc_type == 0:
        bits.ue()
    elif poc_type == 1:
        bits.skip(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), _MAX_POC_CYCLE)):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.skip(1)
    width = (bits.ue() + 1) * 16
    map_units = bits.ue() + 1
    frame_mbs_only = bits.u(1)
    if not frame_mbs_only:
        bits.skip(1)
    height = map_units * 16 * (2 - frame_mbs_only)
    bits.skip(1)  # direct_8x8_inference_flag
    if bits.u(1):
        unit_x = 2 if chroma_format in (1, 2) else 1
        unit_y = (2 if chroma_format == 1 else 1) * (2 - frame_mbs_only)
        width -= unit_x * (bits.ue() + bits.ue())
        height -= unit_y * (bits.ue() + bits.ue())
    return _plausible(width, height)


def _avc_frame_rate(bits: BitReader) -> float:
    """What the VUI says (section E.1.1), which comes next; 0 if nothing that can be."""
    if not bits.u(1):
        return 0.0
    if bits.u(1) and bits.u(8) == _EXTENDED_SAR:
        bits.skip(32)
    if bits.u(1):
        bits.skip(1)
    if bits.u(1):
        bits.skip(4)
        bits.skip(24 * bits.u(1))
    if bits.u(1):
        bits.ue()
        bits.ue()
    if not bits.u(1):
        return 0.0
    ticks, scale = bits.u(32), bits.u(32)
    rate = scale / (2 * ticks) if ticks else 0.0
    return rate if rate <= _MAX_FRAME_RATE else 0.0


def _skip_avc_high_fields(bits: BitReader) -> int:
    """Skip what only the High profiles have; returns chroma_format_idc, 0 for separate colour planes."""
    chroma_format = bits.ue()
    separate_planes = bits.u(1) if chroma_format == 3 else 0
    bits.ue()
    bits.ue()
    bits.skip(1)
    if bits.u(1):
        for index in range(8 if chroma_format != 3 else 12):
            if bits.u(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return 0 if separate_planes else chroma_format


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _plausible(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF):
        raise IndexError("a record is cut short")
    return width, height


def _read_hvcc(record: bytes) -> VideoInfo:
    """HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 8.3.3.1)."""
    profile_idc = record[1] & 31
    profile = _HEVC_PROFILES.get(profile_idc, str(profile_idc))
    level = f"{record[12] // 30}.{record[12] % 30 // 3}"
    try:
        width, height = _hevc_dimensions(_find_hevc_sps(record))
    except IndexError:
        width = height = 0
    return VideoInfo("hvc1", width, height, profile, level)


def _find_hevc_sps(record: bytes) -> bytes:
    offset = 23
    for _ in range(record[22]):
        nal_type = record[offset] & 63
        count = int.from_bytes(_field(record, offset + 1, 2), "big")
        offset += 3
        for _ in range(count):
            size = int.from_bytes(_field(record, offset, 2), "big")
            nal_unit = _field(record, offset + 2, size)
            if nal_type == _HEVC_SPS:
                return nal_unit
            offset += 2 + size
    raise IndexError("a record is cut short")


def _hevc_dimensions(sps: bytes) -> tuple[int, int]:
    """Cropped picture size of an H.265 SPS NAL unit (section 7.3.2.2.1)."""
    bits = _sps_bits(sps, 2)
    bits.skip(4)
    sub_layers = bits.u(3)
    bits.skip(1 + 96)
    if sub_layers:
        present = [(bits.u(1), bits.u(1)) for _ in range(8)]
        for profile_present, level_present in present[:sub_layers]:
            bits.skip(88 * profile_present + 8 * level_present)
    bits.ue()  # sps_seq_parameter_set_id
    chroma_format = bits.ue()
    if chroma_format == 3 and bits.u(1):
        chroma_format = 0
    width = bits.ue()
    height = bits.ue()
    if bits.u(1):
        width -= (2 if chroma_format in (1, 2) else 1) * (bits.ue() + bits.ue())
        height -= (2 if chroma_format == 1 else 1) * (bits.ue() + bits.ue())
    return _plausible(width, height)


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
    object_type = _read_object_type(bits)
    sample_rate = _read_aac_rate(bits)
    channels = _AAC_CHANNELS.get(bits.u(4), 0)
    if object_type in (_AAC_SBR, _AAC_PS):
        sample_rate = _read_aac_rate(bits)
    if object_type == _AAC_PS:
        channels = 2
    return AudioInfo("mp4a", sample_rate, channels, _AAC_OBJECT_TYPES.get(object_type, str(object_type)))


def _read_object_type(bits: BitReader) -> int:
    object_type = bits.u(5)
    return 32 + bits.u(6) if object_type == 31 else object_type


def _read_aac_rate(bits: BitReader) -> int:
    index = bits.u(4)
    if index == 15:
        return bits.u(24)
    return _AAC_SAMPLE_RATES[index]


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
