"""The packets a late joiner needs to see a picture at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GopLimits:
    """What one stream's GOP cache may hold; ``max_bytes`` 0 turns it off."""

    max_bytes: int = 16 * 1024 * 1024
    max_ms: int = 20_000
    max_packets: int = 2_500
    audio_ms: int = 1_000
    """Span of audio kept while there is no keyframe: an audio-only stream."""
