"""Captions inside of pictures: CEA-608 and CEA-708 in SEI messages of H.264 and HEVC (ATSC A/53)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

NOTHING: Final[frozenset[str]] = frozenset()
_REGISTERED: Final = 4
"""SEI: user_data_registered_itu_t_t35."""
_ATSC: Final = b"\xb5\x00\x31GA94\x03"
"""United States, ATSC, its identifier, and cc_data."""
_MOST_UNITS: Final = 16
"""NAL units of a frame that are looked at."""
_MOST_BYTES: Final = 4096
"""Of a SEI unit."""
_VALID: Final = 0x04
_SERVICES: Final = ("CC1", "CC3", "SERVICE1", "SERVICE1")
"""By cc_type: the fields of CEA-608, and CEA-708."""
_SECOND_FIELD: Final = 1


def captions_in(codec: str, frame: bytes) -> frozenset[str]:
    """Which captions a frame carries: ``CC1`` and ``CC3``, or else ``SERVICE1``; never raises.

    ``codec`` is as RFC 6381 writes it; the frame is as MP4 has it, with sizes of four bytes. A second field
    is none as long as it is empty.
    """
    hevc = codec.startswith(("hvc1", "hev1"))
    if not hevc and not codec.startswith("avc1"):
        return NOTHING
    found: set[str] = set()
    for unit in _messages(frame, hevc=hevc):
        found.update(_services(unit))
    if "CC1" in found:
        found.discard("SERVICE1")  # The same text once more.
    return frozenset(found)


def _messages(frame: bytes, *, hevc: bool) -> Iterator[bytes]:
    """SEI units before the picture."""
    at = 0
    for _ in range(_MOST_UNITS):
        if at + 5 > len(frame):
            return
        size = int.from_bytes(frame[at : at + 4], "big")
        kind = frame[at + 4] >> 1 & 63 if hevc else frame[at + 4] & 31
        if kind < 32 if hevc else 1 <= kind <= 5:
            return
        if kind == 39 if hevc else kind == 6:
            begin = at + (6 if hevc else 5)
            yield frame[begin : min(at + 4 + size, begin + _MOST_BYTES)]
        at += 4 + size


def _services(unit: bytes) -> Iterator[str]:
    if _ATSC not in unit:
        return
    data = unit.replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 < len(data):
        kind, at = _number(data, at)
        size, at = _number(data, at)
        if kind == _REGISTERED and data.startswith(_ATSC, at):
            yield from _triplets(data[at + len(_ATSC) : at + size])
        at += size


def _triplets(cc_data: bytes) -> Iterator[str]:
    """Two bytes of head, then three for each pair of characters."""
    count = cc_data[0] & 31 if cc_data and cc_data[0] & 0x40 else 0
    for at in range(2, min(2 + 3 * count, len(cc_data) - 2), 3):
        head, first, second = cc_data[at : at + 3]
        kind = head & 3
        empty = not (first & 0x7F or second & 0x7F)
        if head & _VALID and not (empty and kind == _SECOND_FIELD):
            yield _SERVICES[kind]


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of a SEI message, and where what follows it begins."""
    number = 0
    while at < len(data) and data[at] == 0xFF:
        number += 255
        at += 1
    return (number + data[at], at + 1) if at < len(data) else (number, at)
