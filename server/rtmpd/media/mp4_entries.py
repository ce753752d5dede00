"""What MP4 says of a track, made of what RTMP says of it: sample entries, and codec strings of RFC 6381."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtmpd.media.mp4_sound import read_sound
from rtmpd.media.mp4_video import read_video
from rtmpd.rtmp.constants import MessageType


@dataclass(frozen=True, slots=True)
class Mp4Track:
    """A track as an init segment tells it."""

    track_id: int
    """From 1."""
    kind: int
    """Message type of its payloads: 8 audio, 9 video."""
    timescale: int
    """Units a second: 90000 for video, the sample rate for audio."""
    sample_entry: bytes
    """A whole box."""
    codec: str
    """As RFC 6381 writes it, such as ``avc1.64001f``, ``mp4a.40.2``."""
    width: int = 0
    """Pixels, as is ``height``; 0 for audio."""
    height: int = 0
    frame_rate: float = 0.0
    """Frames a second as the header says; 0 when it does not."""
    sample_rate: int = 0
    """Hz; 0 for video, as is ``channels``."""
    channels: int = 0
    frame_samples: int = 0
    """Samples of each frame of audio; 0 where each says so itself."""


VIDEO_TIMESCALE: Final = 90_000


def read_mp4_track(kind: int, header: bytes, track_id: int, hdr: bytes = b"", frame: bytes = b"") -> Mp4Track:
    """The track whose payloads of message type ``kind`` (8 or 9) follow ``header``, its sequence header.

    ``hdr`` is its metadata payload with a colorInfo, if it has one; ``frame`` its first (key) frame. That is
    what MP3 and AC-3 are known from, which may have no header (it may stand for it, too), and the size of
    VP9 and of some AV1. All of one track, and plain: Multitrack messages are to be cut apart before
    (``media.tracks``).

    Raises NotForMp4.
    """
    if kind == MessageType.VIDEO:
        video = read_video(header, hdr, frame)
        return Mp4Track(track_id, kind, VIDEO_TIMESCALE, *video)
    sound = read_sound(header, frame)
    return Mp4Track(
        track_id,
        kind,
        sound.sample_rate,
        sound.sample_entry,
        sound.codec,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        frame_samples=sound.frame_samples,
    )
