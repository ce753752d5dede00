"""What sequence parameter sets of H.264 and H.265 say of the picture, in their configuration records.

Records come from peers: IndexError is all that is raised for one that is cut short or says what cannot be.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

from rtmpd.media.bits import BitReader


class Colors(NamedTuple):
    """Code points of ISO/IEC 23091-2; 2 where it is not said."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False


class Sps(NamedTuple):
    """Size in pixels after cropping, and what is said besides."""

    width: int
    height: int
    frame_rate: float = 0.0
    """Frames a second; 0 when it is not said."""
    pixel_width: int = 1
    """Shape of a pixel, as ``pixel_height``."""
    pixel_height: int = 1
    colors: Colors | None = None


_MAX_SPS_BYTES: Final = 512
_MAX_POC_CYCLE: Final = 255
_EXTENDED_SAR: Final = 255
_MAX_FRAME_RATE: Final = 999
_MAX_REF_PIC_SETS: Final = 64
_MAX_PICTURES: Final = 16
_MAX_LONG_TERM: Final = 33
_AVC_HIGH_PROFILES: Final = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
"""Profiles whose SPS carries chroma format and scaling matrices (H.264 section 7.3.2.1.1)."""
_HEVC_SPS: Final = 33
_SHAPES: Final = (
    *((1, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11), (80, 33)),
    *((18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)
"""Of pixels, by aspect_ratio_idc (table E-1)."""
_UNDEFINED_SHAPE: Final = (1, 1)


def read_avc_sps(record: bytes) -> Sps:
    """The first of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1)."""
    if not record[5] & 31:
        raise IndexError("there is none")
    bits = _sps_bits(_field(record, 8, int.from_bytes(_field(record, 6, 2), "big")), 1)
    width, height = _avc_dimensions(bits)
    found = Sps(width, height)
    with suppress(IndexError):
        found = _read_vui(bits, found, avc=True)
    return found


def read_hevc_sps(record: bytes) -> Sps:
    """The first of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 8.3.3.1)."""
    bits = _sps_bits(_find_hevc_sps(record), 2)
    bits.skip(4)
    sub_layers = bits.u(3)
    width, height = _hevc_dimensions(bits, sub_layers)
    found = Sps(width, height)
    with suppress(IndexError):
        _skip_to_hevc_vui(bits, sub_layers)
        found = _read_vui(bits, found, avc=False)
    return found


def _sps_bits(nal_unit: bytes, header_bytes: int) -> BitReader:
    """Bits of a parameter set behind its NAL unit header, emulation prevention bytes removed."""
    return BitReader(nal_unit[header_bytes:_MAX_SPS_BYTES].replace(b"\0\0\3", b"\0\0"))


def _field(record: bytes, offset: int, size: int) -> bytes:
    field = record[offset : offset + size]
    if len(field) < size:
        raise IndexError("a record is cut short")
    return field


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
    raise IndexError("there is none")


def _hevc_dimensions(bits: BitReader, sub_layers: int) -> tuple[int, int]:
    """Cropped picture size of an H.265 SPS (section 7.3.2.2.1), from its profile on."""
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


def _skip_to_hevc_vui(bits: BitReader, sub_layers: int) -> None:
    bits.ue()
    bits.ue()
    poc_bits = bits.ue() + 4
    for _ in range(1 if not bits.u(1) else sub_layers + 1):
        bits.ue()
        bits.ue()
        bits.ue()
    for _ in range(6):
        bits.ue()
    if bits.u(1) and bits.u(1):
        _skip_hevc_scaling_lists(bits)
    bits.skip(2)
    if bits.u(1):  # pcm_enabled_flag
        bits.skip(8)
        bits.ue()
        bits.ue()
        bits.skip(1)
    _skip_ref_pic_sets(bits)
    if bits.u(1):  # long_term_ref_pics_present_flag
        bits.skip(min(bits.ue(), _MAX_LONG_TERM) * (min(poc_bits, 16) + 1))
    bits.skip(2)


def _skip_hevc_scaling_lists(bits: BitReader) -> None:
    """Section 7.3.4."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.u(1):
                bits.ue()
                continue
            if size > 1:
                bits.se()
            for _ in range(min(64, 16 << 2 * size)):
                bits.se()


def _skip_ref_pic_sets(bits: BitReader) -> None:
    """Section 7.3.7, all of an SPS."""
    pictures = 0
    """Of the set before."""
    for index in range(min(bits.ue(), _MAX_REF_PIC_SETS)):
        if index and bits.u(1):  # inter_ref_pic_set_prediction_flag
            bits.skip(1)
            bits.ue()
            used = 0
            for _ in range(pictures + 1):
                if bits.u(1) or bits.u(1):
                    used += 1
            pictures = used
            continue
        negative, positive = bits.ue(), bits.ue()
        pictures = negative + positive
        if pictures > _MAX_PICTURES:
            raise IndexError("more pictures than can be")
        for _ in range(pictures):
            bits.ue()
            bits.skip(1)


def _read_vui(bits: BitReader, found: Sps, *, avc: bool) -> Sps:
    """What comes next (sections E.1.1 and E.2.1)."""
    if not bits.u(1):
        return found
    shape = _read_shape(bits)
    found = found._replace(pixel_width=shape[0], pixel_height=shape[1])
    if bits.u(1):  # overscan_info_present_flag
        bits.skip(1)
    if bits.u(1):  # video_signal_type_present_flag
        bits.skip(3)
        full_range = bool(bits.u(1))
        points = (bits.u(8), bits.u(8), bits.u(8)) if bits.u(1) else (2, 2, 2)
        found = found._replace(colors=Colors(*points, full_range))
    if bits.u(1):  # chroma_loc_info_present_flag
        bits.ue()
        bits.ue()
    if not avc:
        bits.skip(3)
        if bits.u(1):  # default_display_window_flag
            for _ in range(4):
                bits.ue()
    if bits.u(1):  # timing_info_present_flag
        ticks, scale = bits.u(32), bits.u(32)
        rate = scale / (ticks * (2 if avc else 1)) if ticks else 0.0
        found = found._replace(frame_rate=rate if rate <= _MAX_FRAME_RATE else 0.0)
    return found


def _read_shape(bits: BitReader) -> tuple[int, int]:
    if not bits.u(1):
        return _UNDEFINED_SHAPE
    number = bits.u(8)
    if number == _EXTENDED_SAR:
        width, height = bits.u(16), bits.u(16)
        return (width, height) if width and height else _UNDEFINED_SHAPE
    return _SHAPES[number] if number < len(_SHAPES) else _UNDEFINED_SHAPE


def _plausible(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF):
        raise IndexError("no picture has such a size")
    return width, height
