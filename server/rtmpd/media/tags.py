"""Audio and video tag headers, legacy FLV and Enhanced RTMP v2: what a relay must know of a payload.

``video_flags`` and ``audio_flags`` answer for the hot path with a few bits; ``parse_video`` and
``parse_audio`` give the whole header. None of them ever raises on bytes from a peer: what cannot be
understood is flagged ``UNKNOWN`` and is still relayed. Packet types are those of Enhanced RTMP; legacy
packets are mapped onto them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

KEYFRAME: Final = 0x001
"""A coded frame that decoding can start at. Never set on a header."""
SEQUENCE_HEADER: Final = 0x002
"""Decoder configuration (avcC, AudioSpecificConfig ...): cached, never dropped."""
CODEC_METADATA: Final = 0x004
"""colorInfo or MultichannelConfig: cached beside the header, never dropped."""
END_OF_SEQUENCE: Final = 0x008
DISPOSABLE: Final = 0x010
"""A coded frame that no other frame refers to: the first to go when a player is slow."""
CODED_FRAME: Final = 0x020
ENHANCED: Final = 0x040
MULTITRACK: Final = 0x080
UNKNOWN: Final = 0x100
"""A codec, FourCC, frame or packet type that we do not know, or a header that is cut short or malformed.
Of a malformed header no other bit than ``ENHANCED`` is set."""

MAX_MODEX: Final = 8
"""ModEx prefixes of one packet; the only type defined makes sense once."""
MAX_TRACKS: Final = 256
"""Tracks of one Multitrack message: ids are one byte."""


class FrameType(IntEnum):
    KEY = 1
    INTER = 2
    DISPOSABLE = 3
    GENERATED_KEY = 4
    COMMAND = 5


class VideoPacketType(IntEnum):
    """``VideoPacketType`` of Enhanced RTMP v2."""

    SEQUENCE_START = 0
    CODED_FRAMES = 1
    SEQUENCE_END = 2
    CODED_FRAMES_X = 3
    METADATA = 4
    MPEG2TS_SEQUENCE_START = 5
    MULTITRACK = 6
    MOD_EX = 7


class AudioPacketType(IntEnum):
    """``AudioPacketType`` of Enhanced RTMP v2."""

    SEQUENCE_START = 0
    CODED_FRAMES = 1
    SEQUENCE_END = 2
    MULTICHANNEL_CONFIG = 4
    MULTITRACK = 5
    MOD_EX = 7


UNKNOWN_CODEC: Final = "unknown"
MIXED_CODECS: Final = "mixed"
"""Codec of a Multitrack message whose tracks have different codecs."""

VIDEO_FOUR_CCS: Final = ("vp08", "vp09", "av01", "avc1", "hvc1", "vvc1")
AUDIO_FOUR_CCS: Final = ("ac-3", "ec-3", "Opus", ".mp3", "fLaC", "mp4a")
ENHANCED_CODECS: Final = frozenset((*VIDEO_FOUR_CCS, *AUDIO_FOUR_CCS)) - {"avc1", "mp4a", ".mp3"}
"""Those that RTMP has had only since Enhanced RTMP."""

_VIDEO_NAMES: Final = {name.encode(): name for name in VIDEO_FOUR_CCS}
_AUDIO_NAMES: Final = {name.encode(): name for name in AUDIO_FOUR_CCS}
_LEGACY_VIDEO: Final = {
    2: "h263",
    3: "screen",
    4: "vp6f",
    5: "vp6a",
    6: "screen2",
    7: "avc1",
    12: "hvc1",
    13: "av01",
}
_PACKETISED_VIDEO: Final = (7, 12, 13)
"""Legacy codec ids with a packet type byte and a composition time; 12 and 13 are unofficial but common."""
_LEGACY_AUDIO: Final = {
    0: "pcm",
    1: "adpcm",
    2: ".mp3",
    3: "pcm",
    4: "nellymoser",
    5: "nellymoser",
    6: "nellymoser",
    7: "pcma",
    8: "pcmu",
    10: "mp4a",
    11: "speex",
    14: ".mp3",
    15: "device",
}
_EX_AUDIO: Final = 9
_AAC: Final = 10
_WITH_COMPOSITION_TIME: Final = ("avc1", "hvc1", "vvc1")

_VIDEO_PACKET_FLAGS: Final[Mapping[int, int]] = {
    VideoPacketType.SEQUENCE_START: SEQUENCE_HEADER,
    VideoPacketType.CODED_FRAMES: CODED_FRAME,
    VideoPacketType.SEQUENCE_END: END_OF_SEQUENCE,
    VideoPacketType.CODED_FRAMES_X: CODED_FRAME,
    VideoPacketType.METADATA: CODEC_METADATA,
    VideoPacketType.MPEG2TS_SEQUENCE_START: SEQUENCE_HEADER,
}
_AUDIO_PACKET_FLAGS: Final[Mapping[int, int]] = {
    AudioPacketType.SEQUENCE_START: SEQUENCE_HEADER,
    AudioPacketType.CODED_FRAMES: CODED_FRAME,
    AudioPacketType.SEQUENCE_END: END_OF_SEQUENCE,
    AudioPacketType.MULTICHANNEL_CONFIG: CODEC_METADATA,
}
_FRAME_TYPE_FLAGS: Final[Mapping[int, int]] = {
    FrameType.KEY: KEYFRAME,
    FrameType.INTER: 0,
    FrameType.DISPOSABLE: DISPOSABLE,
    FrameType.GENERATED_KEY: KEYFRAME,
}


@dataclass(frozen=True, slots=True)
class VideoTag:
    """The header of a video payload."""

    flags: int
    frame_type: int = 0
    codec: str = ""
    """One of ``VIDEO_FOUR_CCS``, a older codec's name, ``unknown`` or ``mixed``; empty when none is given."""
    packet_type: int = VideoPacketType.CODED_FRAMES
    track_ids: tuple[int, ...] = ()
    """Ids in the order of a Multitrack message; empty for the default track."""
    composition_time: int = 0
    """Milliseconds, signed; of the first track."""
    timestamp_nanos: int = 0
    """Nanoseconds to add to the message's timestamp (ModEx)."""
    body_offset: int = 0
    """Where the (first track's) codec data begins."""


@dataclass(frozen=True, slots=True)
class AudioTag:
    """The header of an audio payload; members as in ``VideoTag``."""

    flags: int
    codec: str = ""
    packet_type: int = AudioPacketType.CODED_FRAMES
    track_ids: tuple[int, ...] = ()
    timestamp_nanos: int = 0
    body_offset: int = 0


class _MalformedError(Exception):
    """Internal: the header breaks the grammar. Never leaves this module."""


class _Tracks(NamedTuple):
    """What follows the packet type of an enhanced payload, up to the codec data."""

    packet_type: int
    codec: str
    track_ids: tuple[int, ...]
    body_offset: int
    flags: int


def video_flags(payload: bytes) -> int:
    """Flags of a video payload; never raises."""
    flags = _VIDEO_HEADS.get(payload[:2])
    if flags is None:
        flags = _VIDEO_HEADS.get(payload[:5])
        if flags is None:
            flags = _one_track_flags(_VIDEO_HEADS, payload)
            if flags is None:
                flags = parse_video(payload).flags
    return flags


def audio_flags(payload: bytes) -> int:
    """Flags of an audio payload; never raises."""
    flags = _AUDIO_HEADS.get(payload[:2])
    if flags is None:
        flags = _AUDIO_HEADS.get(payload[:5])
        if flags is None:
            flags = _one_track_flags(_AUDIO_HEADS, payload)
            if flags is None:
                flags = parse_audio(payload).flags
    return flags


def video_codec(payload: bytes) -> str:
    """Codec of a video payload, as ``parse_video`` says; for all ordinary ones without parsing."""
    codec = _VIDEO_CODECS.get(payload[:2]) or _VIDEO_CODECS.get(payload[:5])
    return codec or parse_video(payload).codec


def audio_codec(payload: bytes) -> str:
    """The same of an audio payload."""
    codec = _AUDIO_CODECS.get(payload[:2]) or _AUDIO_CODECS.get(payload[:5])
    return codec or parse_audio(payload).codec


def parse_video(payload: bytes) -> VideoTag:
    """Header of a video payload (FLV 10.1 annex E.4.3, Enhanced RTMP v2); never raises.

    An empty payload has no flags at all.
    """
    if not payload:
        return VideoTag(0)
    if not payload[0] & 0x80:
        return _parse_legacy_video(payload)
    try:
        return _parse_enhanced_video(payload)
    except (IndexError, _MalformedError):
        return VideoTag(ENHANCED | UNKNOWN, payload[0] >> 4 & 7, UNKNOWN_CODEC, payload[0] & 15)


def parse_audio(payload: bytes) -> AudioTag:
    """Header of an audio payload (FLV 10.1 annex E.4.2, Enhanced RTMP v2); never raises.

    An empty payload means silence and has no flags at all.
    """
    if not payload:
        return AudioTag(0)
    if payload[0] >> 4 != _EX_AUDIO:
        return _parse_legacy_audio(payload)
    try:
        return _parse_enhanced_audio(payload)
    except (IndexError, _MalformedError):
        return AudioTag(ENHANCED | UNKNOWN, UNKNOWN_CODEC, payload[0] & 15)


def _one_track_flags(heads: Mapping[bytes, int], payload: bytes) -> int | None:
    """Flags of a OneTrack message without ModEx: its head is six bytes, and the track's id follows."""
    return heads.get(payload[:6]) if len(payload) > 6 else None


def _parse_legacy_video(payload: bytes) -> VideoTag:
    frame_type = payload[0] >> 4
    codec_id = payload[0] & 15
    codec = _LEGACY_VIDEO.get(codec_id, UNKNOWN_CODEC)
    if frame_type == FrameType.COMMAND:
        return VideoTag(0, frame_type, codec, body_offset=1)
    unknown = UNKNOWN if codec == UNKNOWN_CODEC else 0
    if codec_id not in _PACKETISED_VIDEO:
        return VideoTag(
            unknown | _frame_flags(frame_type, VideoPacketType.CODED_FRAMES), frame_type, codec, body_offset=1
        )
    if len(payload) < 2:
        return VideoTag(UNKNOWN, frame_type, codec, body_offset=1)
    packet_type = payload[1]
    flags = UNKNOWN if packet_type > 2 else _frame_flags(frame_type, packet_type)
    return VideoTag(flags, frame_type, codec, packet_type, (), _si24(payload, 2), body_offset=5)


def _parse_legacy_audio(payload: bytes) -> AudioTag:
    codec = _LEGACY_AUDIO.get(payload[0] >> 4, UNKNOWN_CODEC)
    if codec == UNKNOWN_CODEC:
        return AudioTag(UNKNOWN | CODED_FRAME, codec, body_offset=1)
    if payload[0] >> 4 != _AAC:
        return AudioTag(CODED_FRAME, codec, body_offset=1)
    if len(payload) < 2:
        return AudioTag(UNKNOWN, codec, body_offset=1)
    packet_type = payload[1]
    flags = UNKNOWN if packet_type > 1 else _AUDIO_PACKET_FLAGS[packet_type]
    return AudioTag(flags, codec, packet_type, body_offset=2)


def _parse_enhanced_video(payload: bytes) -> VideoTag:
    frame_type = payload[0] >> 4 & 7
    packet_type, offset, nanos = skip_modex(payload)
    if frame_type == FrameType.COMMAND and packet_type != VideoPacketType.METADATA:
        # A seek command: one byte, neither FourCC nor body.
        return VideoTag(ENHANCED, frame_type, "", packet_type, (), 0, nanos, offset)
    tracks = _read_tracks(payload, offset, packet_type, VideoPacketType.MULTITRACK, _VIDEO_NAMES)
    flags = ENHANCED | tracks.flags | _frame_flags(frame_type, tracks.packet_type)
    body = tracks.body_offset
    composition_time = 0
    if tracks.packet_type == VideoPacketType.CODED_FRAMES and tracks.codec in _WITH_COMPOSITION_TIME:
        composition_time = _si24(payload, body)
        body += 3
    return VideoTag(
        flags, frame_type, tracks.codec, tracks.packet_type, tracks.track_ids, composition_time, nanos, body
    )


def _parse_enhanced_audio(payload: bytes) -> AudioTag:
    packet_type, offset, nanos = skip_modex(payload)
    tracks = _read_tracks(payload, offset, packet_type, AudioPacketType.MULTITRACK, _AUDIO_NAMES)
    flags = ENHANCED | tracks.flags | _AUDIO_PACKET_FLAGS.get(tracks.packet_type, UNKNOWN)
    return AudioTag(flags, tracks.codec, tracks.packet_type, tracks.track_ids, nanos, tracks.body_offset)


def _frame_flags(frame_type: int, packet_type: int) -> int:
    flags = _VIDEO_PACKET_FLAGS.get(packet_type, UNKNOWN)
    if flags == CODED_FRAME:
        flags |= _FRAME_TYPE_FLAGS.get(frame_type, UNKNOWN)
    return flags


def skip_modex(payload: bytes) -> tuple[int, int, int]:
    """Packet type behind any ModEx prefixes, the offset after it, and the nanosecond offset.

    For enhanced payloads that have been parsed before: it raises on others.
    """
    packet_type = payload[0] & 15
    offset = 1
    nanos = 0
    for _ in range(MAX_MODEX):
        if packet_type != VideoPacketType.MOD_EX:
            return packet_type, offset, nanos
        size = payload[offset] + 1
        offset += 1
        if size == 256:
            size = (payload[offset] << 8 | payload[offset + 1]) + 1
            offset += 2
        head = payload[offset + size]
        if head >> 4 == 0 and size >= 3:
            nanos = int.from_bytes(payload[offset : offset + 3], "big")
        packet_type = head & 15
        offset += size + 1
    if packet_type == VideoPacketType.MOD_EX:
        raise _MalformedError
    return packet_type, offset, nanos


def _read_tracks(
    payload: bytes, offset: int, packet_type: int, multitrack: int, names: Mapping[bytes, str]
) -> _Tracks:
    """Read FourCC and, for packet type ``multitrack``, the multitrack header and every track's header."""
    if packet_type != multitrack:
        codec = _read_four_cc(payload, offset, names)
        return _Tracks(packet_type, codec, (), offset + 4, UNKNOWN if codec == UNKNOWN_CODEC else 0)
    kind, packet_type = divmod(payload[offset], 16)
    if kind > 2 or packet_type == multitrack:
        raise _MalformedError
    offset += 1
    shared = ""
    if kind != 2:
        shared = _read_four_cc(payload, offset, names)
        offset += 4
    if kind == 0:
        codecs = {shared}
        ids: tuple[int, ...] = (payload[offset],)
        body = offset + 1
    else:
        tracks = list(iter_tracks(payload, offset, shared, names))
        if not tracks:
            raise _MalformedError
        codecs = {codec for _, codec, _ in tracks}
        ids = tuple(track_id for track_id, _, _ in tracks)
        body = tracks[0][2]
    flags = MULTITRACK | (UNKNOWN if UNKNOWN_CODEC in codecs else 0)
    return _Tracks(packet_type, codecs.pop() if len(codecs) == 1 else MIXED_CODECS, ids, body, flags)


def iter_tracks(
    payload: bytes, offset: int, shared: str, names: Mapping[bytes, str]
) -> Iterator[tuple[int, str, int]]:
    """Yield (track id, codec, body offset); each track has a FourCC of its own unless ``shared`` is given.

    For the tracks of ManyTracks messages that have been parsed before: it raises on others.
    """
    end = len(payload)
    count = 0
    while offset < end:
        count += 1
        if count > MAX_TRACKS:
            raise _MalformedError
        codec = shared
        if not shared:
            codec = _read_four_cc(payload, offset, names)
            offset += 4
        body = offset + 4
        size = int.from_bytes(payload[offset + 1 : body], "big")
        if body + size > end:
            raise _MalformedError
        yield payload[offset], codec, body
        offset = body + size


def _read_four_cc(payload: bytes, offset: int, names: Mapping[bytes, str]) -> str:
    four_cc = payload[offset : offset + 4]
    if len(four_cc) < 4:
        raise _MalformedError
    return names.get(four_cc, UNKNOWN_CODEC)


def _si24(payload: bytes, offset: int) -> int:
    """Signed 24-bit integer; 0 when it is cut short."""
    field = payload[offset : offset + 3]
    return int.from_bytes(field, "big", signed=True) if len(field) == 3 else 0


def _video_heads() -> dict[bytes, int]:
    """Flags by the head of every ordinary video payload: 2 bytes (legacy), 5 (enhanced), 6 (OneTrack)."""
    legacy = [
        bytes((frame_type << 4 | codec_id, packet_type))
        for frame_type in range(8)
        for codec_id in _PACKETISED_VIDEO
        for packet_type in range(3)
    ]
    enhanced = [
        bytes((0x80 | frame_type << 4 | packet_type,)) + four_cc
        for frame_type in range(8)
        for packet_type in _VIDEO_PACKET_FLAGS
        for four_cc in _VIDEO_NAMES
    ]
    one_track = [
        bytes((0x80 | frame_type << 4 | VideoPacketType.MULTITRACK, packet_type)) + four_cc
        for frame_type in range(8)
        if frame_type != FrameType.COMMAND
        for packet_type in _VIDEO_PACKET_FLAGS
        for four_cc in _VIDEO_NAMES
    ]
    # What follows the head makes no difference, but that a OneTrack's has to: the track's id.
    return {head: parse_video(head + b"\0").flags for head in legacy + enhanced + one_track}


def _audio_heads() -> dict[bytes, int]:
    legacy = [bytes((_AAC << 4 | low, packet_type)) for low in range(16) for packet_type in range(2)]
    enhanced = [
        bytes((_EX_AUDIO << 4 | packet_type,)) + four_cc
        for packet_type in _AUDIO_PACKET_FLAGS
        for four_cc in _AUDIO_NAMES
    ]
    one_track = [
        bytes((_EX_AUDIO << 4 | AudioPacketType.MULTITRACK, packet_type)) + four_cc
        for packet_type in _AUDIO_PACKET_FLAGS
        for four_cc in _AUDIO_NAMES
    ]
    return {head: parse_audio(head + b"\0").flags for head in legacy + enhanced + one_track}


_VIDEO_HEADS: Final = _video_heads()
_AUDIO_HEADS: Final = _audio_heads()
_VIDEO_CODECS: Final = {head: parse_video(head).codec for head in _VIDEO_HEADS if len(head) < 6}
_AUDIO_CODECS: Final = {head: parse_audio(head).codec for head in _AUDIO_HEADS if len(head) < 6}
