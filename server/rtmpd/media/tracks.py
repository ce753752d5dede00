"""Tracks of one medium: cutting Multitrack messages apart, and writing one track as a stream without tracks.

Enhanced RTMP v2 carries the tracks beside the first in Multitrack messages, which most players do not know.
A track is made plain by rewriting the head of its messages; the codec data behind it is not touched.
Payloads are those that ``media.tags`` flags ``MULTITRACK``; whether one is well-formed was decided there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.media.tags import (
    AudioPacketType,
    VideoPacketType,
    iter_tracks,
    skip_modex,
)
from rtmpd.rtmp.constants import MessageType

DEFAULT_TRACK: Final = -1
"""Track 0, or the lowest that flows."""
ALL_TRACKS: Final = -2
MANY_TRACKS: Final = -1
"""What ``track_of`` says of a message that holds several tracks."""

_AVC: Final = b"avc1"
_AAC: Final = b"mp4a"
_NO_COMPOSITION_TIME: Final = bytes(3)
_MANY_CODECS: Final = 2


class TrackChoice(NamedTuple):
    """Which tracks of each medium somebody is sent: one by its id, the default one, or all as they came.

    One track is written as a stream that has no others.
    """

    video: int = DEFAULT_TRACK
    audio: int = DEFAULT_TRACK

    @property
    def particular(self) -> bool:
        """A track other than the first is chosen."""
        return self.video > 0 or self.audio > 0


ALL: Final = TrackChoice(ALL_TRACKS, ALL_TRACKS)
"""Every track of both media, byte for byte."""
DEFAULT: Final = TrackChoice()
"""One track of each medium, for whoever knows nothing of tracks."""


def track_of(payload: bytes) -> int:
    """Id of the track of a Multitrack payload, ``MANY_TRACKS`` when it holds several (or says so)."""
    kind, offset = _multitrack(payload)
    return MANY_TRACKS if kind >> 4 else payload[offset + 5]


def split_tracks(payload: bytes) -> list[bytes]:
    """A Multitrack payload of several tracks as one for each; any ModEx prefix stands before every one."""
    kind, offset = _multitrack(payload)
    many_codecs = kind >> 4 == _MANY_CODECS
    head = payload[:offset] + bytes((kind & 15,))
    shared = b"" if many_codecs else payload[offset + 1 : offset + 5]
    start = offset + 1 if many_codecs else offset + 5
    found = []
    # The name of a shared codec is not asked for: its bytes are copied.
    for track_id, _, body in iter_tracks(payload, start, "" if many_codecs else "shared", {}):
        four_cc = shared or payload[body - 8 : body - 4]
        end = body + int.from_bytes(payload[body - 3 : body], "big")
        found.append(b"".join((head, four_cc, bytes((track_id,)), payload[body:end])))
    return found


def plain_track(kind: int, payload: bytes) -> bytes:
    """The one track of a Multitrack payload (message type 8 or 9) as a payload without tracks.

    H.264 and AAC come out in the form that FLV had before Enhanced RTMP, everything else in the extended
    form. Empty when that form has no such message.
    """
    packed, offset = _multitrack(payload)
    packet_type = packed & 15
    four_cc = payload[offset + 1 : offset + 5]
    body = payload[offset + 6 :]
    if kind == MessageType.VIDEO:
        if four_cc == _AVC:
            return _legacy_avc(payload[0] & 0x70, packet_type, body)
    elif four_cc == _AAC:
        return bytes((0xAF, packet_type)) + body if packet_type <= AudioPacketType.CODED_FRAMES else b""
    # Whoever reads the extended form reads ModEx.
    head = payload[: offset - 1] + bytes((payload[offset - 1] & 0xF0 | packet_type,))
    return b"".join((head, four_cc, body))


def _legacy_avc(frame_type: int, packet_type: int, body: bytes) -> bytes:
    if packet_type == VideoPacketType.CODED_FRAMES:
        return bytes((frame_type | 7, 1)) + body
    if packet_type == VideoPacketType.CODED_FRAMES_X:
        return b"".join((bytes((frame_type | 7, 1)), _NO_COMPOSITION_TIME, body))
    if packet_type in (VideoPacketType.SEQUENCE_START, VideoPacketType.SEQUENCE_END):
        return b"".join((bytes((0x17, packet_type)), _NO_COMPOSITION_TIME, body))
    return b""


def _multitrack(payload: bytes) -> tuple[int, int]:
    """The byte of multitrack type and packet type, and its offset."""
    # Nearly always: no ModEx.
    if payload[0] & 15 != VideoPacketType.MOD_EX:
        return payload[1], 1
    offset = skip_modex(payload)[1]
    return payload[offset], offset
