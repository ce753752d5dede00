"""Colours and brightness of HDR: what Enhanced RTMP calls colorInfo, as boxes of MP4."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack
from typing import Final, NamedTuple

from rtmpd.exceptions import AmfError
from rtmpd.media.mp4_boxes import box
from rtmpd.media.sps import Colors
from rtmpd.media.tags import CODEC_METADATA, parse_video
from rtmpd.rtmp import amf

_COLOR_INFO: Final = "colorInfo"
_MAX_BYTES: Final = 4096
_MAX_VALUES: Final = 64
_NOT_SAID: Final = 2
_RGB: Final = 0
_CHROMATICITY_UNITS: Final = 50_000
_LUMINANCE_UNITS: Final = 10_000
_PRIMARIES: Final = ("greenX", "greenY", "blueX", "blueY", "redX", "redY", "whitePointX", "whitePointY")
"""In the order of the box."""


class ColorInfo(NamedTuple):
    """``boxes`` are of the mastering display and the content light level, none where nothing is said."""

    colors: Colors | None = None
    boxes: bytes = b""


def read_color_info(payload: bytes) -> ColorInfo:
    """Of a metadata payload; what is not there or cannot be is left out."""
    tag = parse_video(payload)
    body = payload[tag.body_offset :]
    if not tag.flags & CODEC_METADATA or len(body) > _MAX_BYTES:
        return ColorInfo()
    try:
        name, value, *_ = amf.decode_values(body, max_values=_MAX_VALUES)
    except (AmfError, ValueError):
        return ColorInfo()
    if name != _COLOR_INFO or not isinstance(value, Mapping):
        return ColorInfo()
    light = _light_box(_member(value, "hdrCll"))
    return ColorInfo(_colors(_member(value, "colorConfig")), _display_box(_member(value, "hdrMdcv")) + light)


def color_box(colors: Colors | None) -> bytes:
    """``colr`` (ISO/IEC 14496-12 section 12.1.5); nothing where nothing is said."""
    if colors is None or {colors.primaries, colors.transfer, colors.matrix} <= {0, _NOT_SAID}:
        return b""
    return box(b"colr", b"nclx", pack(">HHHB", *colors[:3], colors.full_range << 7))


def _member(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _colors(config: Mapping[str, object]) -> Colors | None:
    primaries = _scaled(config, "colorPrimaries", 1, 0xFF)
    transfer = _scaled(config, "transferCharacteristics", 1, 0xFF)
    # quirk(ffmpeg): it says RGB of YUV whose matrix it does not know, and nothing besides.
    matrix = _scaled(config, "matrixCoefficients", 1, 0xFF) or _NOT_SAID
    return Colors(primaries, transfer, matrix) if primaries and transfer else None


def _display_box(display: Mapping[str, object]) -> bytes:
    """``mdcv``: the display that it was mastered on (SMPTE ST 2086)."""
    points = [_scaled(display, name, _CHROMATICITY_UNITS, 0xFFFF) for name in _PRIMARIES]
    most = _scaled(display, "maxLuminance", _LUMINANCE_UNITS, 0xFFFFFFFF)
    least = _scaled(display, "minLuminance", _LUMINANCE_UNITS, 0xFFFFFFFF)
    return box(b"mdcv", pack(">8H2I", *points, most, least)) if most and all(points) else b""


def _light_box(light: Mapping[str, object]) -> bytes:
    """``clli``: the brightest pixel and the brightest picture, cd/m2."""
    most, average = _scaled(light, "maxCLL", 1, 0xFFFF), _scaled(light, "maxFall", 1, 0xFFFF)
    return box(b"clli", pack(">HH", most, average)) if most or average else b""


def _scaled(values: Mapping[str, object], name: str, units: int, most: int) -> int:
    """A number in ``units``; 0 if there is none, or none that can be."""
    value = values.get(name)
    if not isinstance(value, int | float) or not 0 <= value * units <= most:
        return 0
    return round(value * units)
