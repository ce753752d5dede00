"""Frames of silence that fit behind a sequence header: AAC-LC and Opus, mono and stereo."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.media.codecs import audio_info
from rtmpd.media.tags import ENHANCED, AudioPacketType, parse_audio

_AAC_SAMPLES: Final = 1024
_OPUS_RATE: Final = 48_000
_OPUS_SAMPLES: Final = 960
_AAC: Final = {1: bytes.fromhex("00c800802380"), 2: bytes.fromhex("210049900219002380")}
"""One raw_data_block (ISO/IEC 14496-3, 4.4.2.1) by channels: an element whose spectrum is all zeros, a fill
element, and the end.
"""
_OPUS: Final = {1: bytes.fromhex("f8fffe"), 2: bytes.fromhex("fcfffe")}
"""A CELT frame of 20 ms of silence (RFC 6716, 3.1 and 4.3) by channels."""
_SPELT_OUT: Final = 15
"""samplingFrequencyIndex of a rate that follows in 24 bits."""
_SHORT_FRAMES: Final = 0x04
"""frameLengthFlag of a GASpecificConfig: frames are of 960 samples."""


class Silence(NamedTuple):
    """A frame of it, as a message of the track."""

    payload: bytes
    samples: int
    """How long it lasts, at ``rate``."""
    rate: int
    """Hz."""


def silence_for(header: bytes) -> Silence | None:
    """Of the track whose sequence header is ``header``; None where we have none for its codec."""
    info, tag = audio_info(header), parse_audio(header)
    if info is None or len(tag.track_ids) > 1:
        return None
    channels = info.channels
    if info.codec == "mp4a" and info.profile == "LC" and info.sample_rate and channels in _AAC:
        if not _is_plain(header[tag.body_offset :]):
            return None
        frame, samples, rate = _AAC[channels], _AAC_SAMPLES, info.sample_rate
    elif info.codec == "Opus" and channels in _OPUS:
        frame, samples, rate = _OPUS[channels], _OPUS_SAMPLES, _OPUS_RATE
    else:
        return None
    head = _frame_head(header, tag.body_offset, enhanced=bool(tag.flags & ENHANCED), track=tag.track_ids)
    return None if head is None else Silence(head + frame, samples, rate)


def _is_plain(config: bytes) -> bool:
    """Of an AudioSpecificConfig with an object type of 5 bits: frames of 1024 samples, at a rate of the
    table. One that is spelt out may be any, and frames of microseconds would be as many to send.
    """
    if len(config) < 2:
        return False
    rate = (config[0] & 0x07) << 1 | config[1] >> 7
    return rate != _SPELT_OUT and not config[1] & _SHORT_FRAMES


def _frame_head(header: bytes, body_offset: int, *, enhanced: bool, track: tuple[int, ...]) -> bytes | None:
    """What stands before the codec data of a frame of the same track."""
    head = bytearray(header[:body_offset])
    if not enhanced:
        head[1] = AudioPacketType.CODED_FRAMES
    elif track and len(head) > 1:
        if head[0] & 15 != AudioPacketType.MULTITRACK:
            return None
        head[1] = head[1] & 0xF0 | AudioPacketType.CODED_FRAMES
    else:
        if head[0] & 15 != AudioPacketType.SEQUENCE_START:
            return None
        head[0] = head[0] & 0xF0 | AudioPacketType.CODED_FRAMES
    return bytes(head)
