"""AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1), as far as times and names need it."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.media.bits import BitReader


class AacConfig(NamedTuple):
    """A configuration of AAC."""

    object_type: int
    """As it is signalled: 2 LC, 5 HE-AAC, 29 HE-AACv2, 42 xHE-AAC ..."""
    sample_rate: int
    """Hz, of what is decoded."""
    channels: int
    """2 where it is said where nobody looks."""
    frame_samples: int
    """Of each frame, at ``sample_rate``."""


AAC_RATES: Final = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050),
    *(16000, 12000, 11025, 8000, 7350),
)
AAC_CHANNELS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
_SBR: Final = 5
_PS: Final = 29
_LD: Final = 23
_ELD: Final = 39
_USAC: Final = 42
_LOW_DELAY: Final = (_LD, _ELD)
_USAC_RATES: Final = (768, 1024, 2048, 2048, 4096)
"""Samples of a frame by coreSbrFrameLengthIndex."""
_MOST_BYTES: Final = 64
_SYNC_EXTENSION: Final = 0x2B7


def read_aac_config(record: bytes) -> AacConfig:
    """Raises IndexError for one that is cut short or says what cannot be."""
    bits = BitReader(record[:_MOST_BYTES])
    object_type = core = read_object_type(bits)
    core_rate = rate = read_rate(bits)
    channels = AAC_CHANNELS.get(bits.u(4), 0) or 2
    if object_type in (_SBR, _PS):
        rate = read_rate(bits)
        core = read_object_type(bits)
    if object_type == _PS:
        channels = 2
    if not core_rate or rate not in (core_rate, 2 * core_rate):
        raise IndexError("no such rate")
    return AacConfig(object_type, rate, channels, _frame_samples(bits, core) * rate // core_rate)


def read_object_type(bits: BitReader) -> int:
    """audioObjectType."""
    object_type = bits.u(5)
    return 32 + bits.u(6) if object_type == 31 else object_type


def read_rate(bits: BitReader) -> int:
    """samplingFrequency, Hz, by its index or spelt out."""
    index = bits.u(4)
    return bits.u(24) if index == 15 else AAC_RATES[index]


def _frame_samples(bits: BitReader, core: int) -> int:
    """Of the core decoder, whose own configuration comes next."""
    if core == _USAC:
        if bits.u(5) == 31:
            bits.skip(24)
        return _USAC_RATES[bits.u(3)]
    short = bits.u(1)
    if core in _LOW_DELAY:
        return 480 if short else 512
    return 960 if short else 1024
