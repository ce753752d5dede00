"""Pictures in MP4: sample entries and codec strings of what browsers play of RTMP's codecs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import pack
from typing import Final, NamedTuple

from rtmpd.exceptions import NotForMp4
from rtmpd.media.av1 import av1_dimensions
from rtmpd.media.bits import BitReader
from rtmpd.media.codec_names import spoken
from rtmpd.media.color_info import color_box, read_color_info
from rtmpd.media.mp4_boxes import box, full_box
from rtmpd.media.sps import Colors, Sps, read_avc_sps, read_hevc_sps
from rtmpd.media.tags import MULTITRACK, VideoPacketType, parse_video

_MAX_RECORD_BYTES: Final = 0x4000
"""Of a decoder configuration, which goes into every init segment; x265 has described itself there in 2 KB."""
_MAX_FRAME_HEAD: Final = 512
_MOST_PIXELS: Final = 0xFFFF
"""Of one side; there MP4 has 16 bits, and VP9 one number more."""
_VP9_SYNC: Final = 0x498342
_VP9_RGB: Final = 7
_RGB: Final = 0
_NOT_SAID: Final = 2
"""Of matrix coefficients."""
_WITHOUT_SUBSAMPLING: Final = 3
_VP9_LEVELS: Final = (
    *((36_864, 10), (73_728, 11), (122_880, 20), (245_760, 21), (552_960, 30), (983_040, 31)),
    *((2_228_224, 40), (8_912_896, 50), (35_651_584, 60)),
)
"""Most pixels of a picture, and the level that takes them."""
_VP9_HIGHEST_LEVEL: Final = 62


class VideoEntry(NamedTuple):
    """``width`` and ``height`` in pixels, ``frame_rate`` a second, 0 where the header does not say."""

    sample_entry: bytes
    codec: str
    width: int
    height: int
    frame_rate: float


class _Picture(NamedTuple):
    """What a codec says of itself: its codec string, its configuration box, and its pictures."""

    codec: str
    config: bytes
    sps: Sps


def read_video(header: bytes, hdr: bytes = b"", frame: bytes = b"") -> VideoEntry:
    """Of the track with this sequence header; the rest as ``mp4_entries.read_mp4_track`` has it.

    Raises NotForMp4.
    """
    tag = parse_video(header or frame)
    name = spoken(tag.codec or "unknown")
    read = _READERS.get(tag.codec)
    if read is None:
        raise NotForMp4(f"browsers do not play {name}")
    if tag.packet_type != VideoPacketType.SEQUENCE_START or tag.flags & MULTITRACK:
        raise NotForMp4(f"{name} without a sequence header cannot be decoded")
    record = header[tag.body_offset :]
    if len(record) > _MAX_RECORD_BYTES:
        raise NotForMp4(f"the sequence header of {name} is larger than {_MAX_RECORD_BYTES} bytes")
    key_frame = parse_video(frame)
    try:
        picture = read(record, frame[key_frame.body_offset :][:_MAX_FRAME_HEAD])
    except IndexError:
        raise NotForMp4(f"the sequence header of {name} is cut short, or says what cannot be") from None
    return _entry(tag.codec.encode(), picture, hdr)


def _entry(kind: bytes, picture: _Picture, hdr: bytes) -> VideoEntry:
    sps = picture.sps
    info = read_color_info(hdr)
    colors = info.colors or sps.colors
    if info.colors is not None and sps.colors is not None:
        colors = info.colors._replace(full_range=sps.colors.full_range)
    shape = b""
    if sps.pixel_width != sps.pixel_height:
        shape = box(b"pasp", pack(">II", sps.pixel_width, sps.pixel_height))
    # VisualSampleEntry (ISO/IEC 14496-12 section 12.1.3)
    visual = pack(">6xH16xHHII4xH32xHh", 1, sps.width, sps.height, 72 << 16, 72 << 16, 1, 24, -1)
    entry = box(kind, visual, picture.config, color_box(colors), info.boxes, shape)
    return VideoEntry(entry, picture.codec, sps.width, sps.height, sps.frame_rate)


def _read_avc(record: bytes, _frame: bytes) -> _Picture:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1)."""
    return _Picture(f"avc1.{record[1:4].hex()}", box(b"avcC", record), read_avc_sps(record))


def _read_hevc(record: bytes, _frame: bytes) -> _Picture:
    """HEVCDecoderConfigurationRecord; its string is that of ISO/IEC 14496-15 annex E.3."""
    sps = read_hevc_sps(record)
    space = ("", "A", "B", "C")[record[1] >> 6]
    compatible = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if record[1] & 32 else "L"
    constraints = "".join(f".{byte:X}" for byte in record[6:12].rstrip(b"\0"))
    codec = f"hvc1.{space}{record[1] & 31}.{compatible:x}.{tier}{record[12]}{constraints}"
    return _Picture(codec, box(b"hvcC", record), sps)


def _read_av1(record: bytes, frame: bytes) -> _Picture:
    """AV1CodecConfigurationRecord (AV1 in ISOBMFF section 2.3.3, its string section 5)."""
    if record[0] != 0x81:
        raise IndexError("no such version")
    profile, level = divmod(record[1], 32)
    depth = 8 if not record[2] & 0x40 else 12 if record[2] & 0x20 else 10
    tier = "H" if record[2] & 0x80 else "M"
    width, height = av1_dimensions(record[4:])
    if not width:
        width, height = av1_dimensions(frame)
    _check_size("AV1", width)
    return _Picture(f"av01.{profile}.{level:02}{tier}.{depth:02}", box(b"av1C", record), Sps(width, height))


def _read_vp9(record: bytes, frame: bytes) -> _Picture:
    """VPCodecConfigurationRecord (VP Codec ISOBMFF section 2.2, its string section 4)."""
    # quirk(ffmpeg): it writes the box's version and flags before the record.
    config = record[4:12] if record[:4] == b"\1\0\0\0" else record[:8]
    if len(config) < 8:
        raise IndexError("the record is cut short")
    width, height = _vp9_dimensions(frame)
    _check_size("VP9", width)
    profile, level, depth = config[0], config[1], config[2] >> 4
    if not level:
        level = next((number for most, number in _VP9_LEVELS if width * height <= most), _VP9_HIGHEST_LEVEL)
    # quirk(ffmpeg): it says RGB of YUV whose matrix it does not know.
    matrix = config[5] or (_RGB if config[2] >> 1 & 7 == _WITHOUT_SUBSAMPLING else _NOT_SAID)
    colors = Colors(config[3], config[4], matrix, bool(config[2] & 1))
    # Behind the colours: how many bytes of initialization data follow, of which there are none yet.
    box_body = bytes((profile, level, config[2], config[3], config[4], matrix, 0, 0))
    codec = f"vp09.{profile:02}.{level:02}.{depth:02}"
    return _Picture(codec, full_box(b"vpcC", 1, 0, box_body), Sps(width, height, colors=colors))


def _vp9_dimensions(frame: bytes) -> tuple[int, int]:
    """Width and height of a key frame (VP9 section 6.2); 0 if there is none."""
    if not frame:
        return 0, 0
    bits = BitReader(frame)
    bits.skip(2)
    profile = bits.u(1) | bits.u(1) << 1
    if profile == 3:
        bits.skip(1)
    if bits.u(1) or bits.u(1):  # show_existing_frame, frame_type
        return 0, 0
    bits.skip(2)
    if bits.u(24) != _VP9_SYNC:
        return 0, 0
    if profile >= 2:
        bits.skip(1)
    if bits.u(3) == _VP9_RGB:
        bits.skip(profile & 1)
    else:
        bits.skip(1 + 3 * (profile & 1))
    width, height = bits.u(16) + 1, bits.u(16) + 1
    return (width, height) if max(width, height) <= _MOST_PIXELS else (0, 0)


def _check_size(name: str, width: int) -> None:
    if not width:
        raise NotForMp4(f"neither header nor key frame of {name} says how large its pictures are")


_READERS: Final[Mapping[str, Callable[[bytes, bytes], _Picture]]] = {
    "avc1": _read_avc,
    "hvc1": _read_hevc,
    "av01": _read_av1,
    "vp09": _read_vp9,
}
