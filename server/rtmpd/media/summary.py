"""What a payload is, in a few words for people."""

from __future__ import annotations

from typing import Final

from rtmpd.media.tags import (
    CODEC_METADATA,
    CODED_FRAME,
    END_OF_SEQUENCE,
    KEYFRAME,
    SEQUENCE_HEADER,
    parse_audio,
    parse_video,
)
from rtmpd.rtmp.constants import MessageType

_PARTS: Final = (
    (SEQUENCE_HEADER, "header"),
    (CODEC_METADATA, "metadata"),
    (END_OF_SEQUENCE, "end"),
    (KEYFRAME, "key frame"),
    (CODED_FRAME, "frame"),
)
"""The first that holds is what the payload is."""


def summary(message_type: int, payload: bytes) -> str:
    """``video avc1 key frame`` or ``audio Opus header track 1`` of a message; never raises."""
    is_video = message_type == MessageType.VIDEO
    medium = "video" if is_video else "audio"
    if not payload:
        return f"{medium} empty"
    tag = parse_video(payload) if is_video else parse_audio(payload)
    part = next((word for flag, word in _PARTS if tag.flags & flag), "")
    tracks = f"track {','.join(map(str, tag.track_ids))}" if tag.track_ids else ""
    return " ".join(word for word in (medium, tag.codec, part, tracks) if word)
