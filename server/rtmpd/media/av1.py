"""AV1: the units (OBU) of a bitstream, and what its sequence header says of the picture.

Best effort on bytes from a peer: nothing here raises, what is malformed ends the listing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rtmpd.media.bits import BitReader

SEQUENCE_HEADER: Final = 1
METADATA: Final = 5
"""Types of OBUs (AV1 section 6.2.2)."""
_MAX_SIZE_BYTES: Final = 8
_MAX_HEADER_BYTES: Final = 256
_MOST_PIXELS: Final = 0xFFFF


def iter_obus(data: bytes, offset: int = 0) -> Iterator[tuple[int, int, int]]:
    """Type, begin and end of the payload of each OBU from ``offset`` on (section 5.3)."""
    end = len(data)
    while offset < end:
        head = data[offset]
        offset += 2 if head & 4 else 1
        stop = end
        if head & 2:
            size, offset = leb128(data, offset)
            stop = offset + size
            if size < 0 or stop > end:
                return
        yield head >> 3 & 15, offset, stop
        offset = stop


def av1_dimensions(obus: bytes) -> tuple[int, int]:
    """Width and height (pixels) of the sequence header among ``obus``; 0 if there is none to be read."""
    for kind, begin, end in iter_obus(obus):
        if kind == SEQUENCE_HEADER:
            try:
                return _read_sequence_header(BitReader(obus[begin : min(end, begin + _MAX_HEADER_BYTES)]))
            except IndexError:
                break
    return 0, 0


def leb128(data: bytes, offset: int) -> tuple[int, int]:
    """A number (section 4.10.5) and the offset behind it; -1 if it is cut short."""
    value = 0
    for index in range(_MAX_SIZE_BYTES):
        if offset >= len(data):
            break
        byte = data[offset]
        offset += 1
        value |= (byte & 127) << 7 * index
        if not byte & 128:
            return value, offset
    return -1, offset


def _read_sequence_header(bits: BitReader) -> tuple[int, int]:
    """Section 5.5.1, up to the size."""
    bits.skip(4)  # seq_profile, still_picture
    if bits.u(1):  # reduced_still_picture_header
        bits.skip(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.u(4) + 1, bits.u(4) + 1
    width, height = bits.u(width_bits) + 1, bits.u(height_bits) + 1
    return (width, height) if max(width, height) <= _MOST_PIXELS else (0, 0)


def _skip_operating_points(bits: BitReader) -> None:
    has_model = 0
    delay_bits = 0
    if bits.u(1):  # timing_info_present_flag
        bits.skip(64)
        if bits.u(1):  # equal_picture_interval
            bits.ue()
        has_model = bits.u(1)
        if has_model:
            delay_bits = bits.u(5) + 1
            bits.skip(32 + 10)
    has_display_delay = bits.u(1)
    for _ in range(bits.u(5) + 1):
        bits.skip(12)
        if bits.u(5) > 7:
            bits.skip(1)
        if has_model and bits.u(1):
            bits.skip(2 * delay_bits + 1)
        if has_display_delay and bits.u(1):
            bits.skip(4)
