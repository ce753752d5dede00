"""What OBS says of itself in key frames of multitrack video: how its frames fare, and when they were made.

From OBS 31 on each key frame ends with three messages of user data: supplemental enhancement information of
H.264 and HEVC, metadata of AV1. Best effort on bytes from a peer: nothing here raises, and no more than the
end of a key frame is looked at.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from rtmpd.media.av1 import METADATA, iter_obus
from rtmpd.media.tags import parse_video

_TIMES: Final = bytes.fromhex("0aecffe752724e2fa62fd19cd61a93b5")
_SESSION: Final = bytes.fromhex("ca60e71c6a8b4388a377151df7bf8ac2")
_RENDITION: Final = bytes.fromhex("f1fbc1d5101e4fb5a61eb8ce3c07b8c0")
_LOOKED_AT: Final = 1024
"""Bytes at the end of a key frame; OBS's are some 280."""
_MOST_UNITS: Final = 64
_USER_DATA: Final = 5
"""Type of an SEI message: unregistered user data (H.264 section D.1.7)."""
_SEI: Final = {"avc1": (31, 0, frozenset({6})), "hvc1": (63, 1, frozenset({39, 40}))}
"""By codec the bits of a NAL unit's type, where they begin, and the types that are SEI."""
_PRIVATE: Final = 6
"""Type of AV1's metadata."""
_RFC_3339: Final = 1
_TIME: Final = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d(?:\.\d{1,9})?)Z")
_EPOCH_DAY: Final = 719469
"""1970-01-01 in days of years that begin in March."""
_COMPOSED: Final = 1
_INTERLEAVED: Final = 4
_MOST: Final = 1_000_000
"""Frames between two key frames; more are no count."""


class ObsReport(NamedTuple):
    """What one key frame of a track says. Frames are counted since the key frame of the track before it."""

    composed_at: float | None
    """When its picture was put together, on the streamer's clock (Unix time, s)."""
    sent_at: float | None
    """When it left for the network, on the same clock."""
    rendered: int = 0
    """Of OBS: frames that it has put together."""
    lagged: int = 0
    """Frames that came too late to be, as the machine is too slow."""
    dropped: int = 0
    """Frames of all tracks that were thrown away, as the network is too slow."""
    sent: int = 0
    """Frames of all tracks that were not."""
    taken: int = 0
    """Of this track: frames that its encoder was given."""
    skipped: int = 0
    """Frames that its encoder was too slow for."""


def read_report(payload: bytes) -> ObsReport | None:
    """What a payload of video says, which is a key frame of one track; None where OBS says nothing."""
    if _TIMES not in payload[-_LOOKED_AT:]:
        return None
    times: dict[int, float] = {}
    session: dict[int, int] = {}
    rendition: dict[int, int] = {}
    for data in _user_data(payload):
        kind, offset = data[:16], 16
        if kind not in (_TIMES, _SESSION, _RENDITION):
            continue
        stamps, offset = _read_times(data, offset)
        if kind == _TIMES:
            times = stamps
        elif kind == _SESSION:
            session = _read_counters(data, offset)
        else:
            rendition = _read_counters(data, offset)
    return ObsReport(
        times.get(_COMPOSED),
        times.get(_INTERLEAVED),
        session.get(1, 0),
        session.get(2, 0),
        session.get(3, 0),
        session.get(4, 0),
        rendition.get(1, 0),
        rendition.get(2, 0),
    )


def _user_data(payload: bytes) -> list[bytes]:
    """The messages at the end of a key frame, each from its UUID on."""
    tag = parse_video(payload)
    since = max(tag.body_offset, len(payload) - _LOOKED_AT)
    if tag.codec == "av01":
        found = []
        for kind, begin, end in iter_obus(payload, tag.body_offset):
            if kind == METADATA and begin >= since and payload[begin:end][:1] == bytes((_PRIVATE,)):
                found.append(payload[begin + 1 : end])
        return found[:_MOST_UNITS]
    spec = _SEI.get(tag.codec)
    if spec is None:
        return []
    mask, shift, kinds = spec
    found = []
    offset = tag.body_offset
    for _ in range(_MOST_UNITS):
        size = int.from_bytes(payload[offset : offset + 4], "big")
        unit = offset + 4
        offset = unit + size
        if not size or offset > len(payload):
            break
        if unit >= since and payload[unit] >> shift & mask in kinds:
            found += _messages(payload[unit + 1 + shift : offset].replace(b"\0\0\3", b"\0\0"))
    return found


def _messages(body: bytes) -> list[bytes]:
    """User data among the messages of an SEI, emulation prevention taken out (H.264 section 7.3.2.3)."""
    found = []
    offset = 0
    while offset + 2 < len(body):
        kind, offset = _read_size(body, offset)
        size, offset = _read_size(body, offset)
        if kind == _USER_DATA:
            found.append(body[offset : offset + size])
        offset += size
    return found


def _read_size(body: bytes, offset: int) -> tuple[int, int]:
    value = 0
    while offset < len(body):
        byte = body[offset]
        offset += 1
        value += byte
        if byte != 0xFF:
            break
    return value, offset


def _read_times(data: bytes, offset: int) -> tuple[dict[int, float], int]:
    """Unix times by what they are of, and the offset behind them."""
    found: dict[int, float] = {}
    count = data[offset] + 1 if offset < len(data) else 0
    offset += 1
    for _ in range(count):
        end = data.find(b"\0", offset + 2)
        if end < 0 or data[offset] != _RFC_3339:
            return found, len(data)
        moment = _unix_time(data[offset + 2 : end])
        if moment is not None:
            found[data[offset + 1]] = moment
        offset = end + 1
    return found, offset


def _unix_time(text: bytes) -> float | None:
    """Of a time in UTC (RFC 3339); None of what is none."""
    spelled = _TIME.fullmatch(text)
    if spelled is None:
        return None
    year, month, day, hour, minute = map(int, spelled.groups()[:5])
    if not 1 <= month <= 12:
        return None
    # Days by the proleptic Gregorian calendar, of years that begin in March.
    years = year - (month <= 2)
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day
    return (days - _EPOCH_DAY) * 86400.0 + hour * 3600 + minute * 60 + float(spelled[6])


def _read_counters(data: bytes, offset: int) -> dict[int, int]:
    """By tag; those that are cut short, or no count, are left out."""
    count = data[offset] + 1 if offset < len(data) else 0
    begins = range(offset + 1, min(offset + 1 + 5 * count, len(data) - 4), 5)
    found = {data[each]: int.from_bytes(data[each + 1 : each + 5], "big") for each in begins}
    return {tag: value for tag, value in found.items() if value <= _MOST}
