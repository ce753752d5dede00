"""What frames of sound say of themselves: how long they are, and of some codecs all there is to know.

They come from peers: IndexError is all that is raised for one that is cut short or says what cannot be.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.media.bits import BitReader


class FrameInfo(NamedTuple):
    """A frame that describes its track."""

    sample_rate: int
    channels: int
    samples: int
    """Of each frame."""
    config: bytes
    """What the track's box in MP4 holds; empty if it has none."""


_OPUS_SAMPLES: Final = (
    *(480, 960, 1920, 2880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)
"""Of a frame at 48 kHz, by its configuration (RFC 6716 section 3.1)."""
_OPUS_MOST: Final = 5760
_AC3_SYNC: Final = 0x0B77
_AC3_RATES: Final = (48000, 44100, 32000)
_AC3_CHANNELS: Final = (2, 1, 2, 3, 3, 4, 4, 5)
_AC3_SAMPLES: Final = 1536
_AC3_MOST_ID: Final = 8
_AC3_SIZES: Final = 38
_EAC3_ID: Final = 16
_EAC3_BLOCKS: Final = (1, 2, 3, 6)
_BLOCK: Final = 256
_MP3_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""By version: MPEG-1, MPEG-2, MPEG-2.5."""
_LAYER_3: Final = 1
_MONO: Final = 3


def frame_samples(codec: str, frame: bytes) -> int:
    """Samples of a frame of Opus or FLAC (``codec`` as RFC 6381 has it); 0 if it does not say."""
    try:
        return _opus_samples(frame) if codec == "opus" else _flac_samples(frame)
    except IndexError:
        return 0


def _opus_samples(frame: bytes) -> int:
    """Of a packet (RFC 6716 section 3.2)."""
    code = frame[0] & 3
    count = frame[1] & 63 if code == 3 else 1 if code == 0 else 2
    samples = _OPUS_SAMPLES[frame[0] >> 3] * count
    return samples if samples <= _OPUS_MOST else 0


def _flac_samples(frame: bytes) -> int:
    """Of a frame (RFC 9639 section 9.1)."""
    if frame[0] != 0xFF or frame[1] & 0xFE != 0xF8:
        return 0
    code = frame[2] >> 4
    if code >= 8:
        return _BLOCK << (code - 8)
    if code >= 6:
        # Behind the number of the frame, which is coded as UTF-8 does it.
        ones = 8 - (~frame[4] & 0xFF).bit_length()
        offset = 4 + max(1, ones)
        return frame[offset] + 1 if code == 6 else (frame[offset] << 8 | frame[offset + 1]) + 1
    return (0, 192, 576, 1152, 2304, 4608)[code]


def read_ac3_frame(frame: bytes) -> FrameInfo:
    """A syncframe of AC-3 (ETSI TS 102 366 section 4.3), and its ``dac3`` (annex F.4)."""
    bits = BitReader(frame[:16])
    if bits.u(16) != _AC3_SYNC:
        raise IndexError("no syncframe")
    bits.skip(16)
    rate_code, size_code, stream_id, mode = bits.u(2), bits.u(6), bits.u(5), bits.u(3)
    layout = bits.u(3)
    if stream_id > _AC3_MOST_ID or size_code >= _AC3_SIZES:
        raise IndexError("another bitstream")
    bits.skip(2 * (layout & 1 and layout != 1) + 2 * (layout >> 2) + 2 * (layout == 2))
    low = bits.u(1)
    packed = rate_code << 22 | stream_id << 17 | mode << 14 | layout << 11 | low << 10 | size_code >> 1 << 5
    channels = _AC3_CHANNELS[layout] + low
    return FrameInfo(_AC3_RATES[rate_code], channels, _AC3_SAMPLES, packed.to_bytes(3, "big"))


def read_eac3_frame(frame: bytes) -> FrameInfo:
    """The first syncframe of E-AC-3 (ETSI TS 102 366 annex E.1.2), and its ``dec3`` (annex F.6).

    Substreams that depend on it are not told of: its own channels are what is announced.
    """
    bits = BitReader(frame[:16])
    if bits.u(16) != _AC3_SYNC:
        raise IndexError("no syncframe")
    bits.skip(5)
    size, rate_code = (bits.u(11) + 1) * 2, bits.u(2)
    if rate_code == 3:
        rate, blocks = _AC3_RATES[bits.u(2)] // 2, 6
    else:
        rate, blocks = _AC3_RATES[rate_code], _EAC3_BLOCKS[bits.u(2)]
    layout, low, stream_id = bits.u(3), bits.u(1), bits.u(5)
    if stream_id != _EAC3_ID:
        raise IndexError("another bitstream")
    samples = blocks * _BLOCK
    kbps = min(0x1FFF, size * 8 * rate // samples // 1000)
    packed = kbps << 27 | rate_code << 22 | stream_id << 17 | layout << 9 | low << 8
    return FrameInfo(rate, _AC3_CHANNELS[layout] + low, samples, packed.to_bytes(5, "big"))


def read_mp3_frame(frame: bytes) -> FrameInfo:
    """A frame of MPEG audio layer 3 (ISO/IEC 11172-3 section 2.4.1.3, 13818-3, and 2.5)."""
    if frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0 or frame[1] >> 1 & 3 != _LAYER_3:
        raise IndexError("no frame")
    version = frame[1] >> 3 & 3
    rates = _MP3_RATES.get(version)
    if rates is None:
        raise IndexError("no such version")
    channels = 1 if frame[3] >> 6 == _MONO else 2
    return FrameInfo(rates[frame[2] >> 2 & 3], channels, 1152 if version == 3 else 576, b"")
