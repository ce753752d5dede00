"""What the settings say of how a stream is packaged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HlsRules:
    """Times in seconds."""

    part: float = 0.2
    """How long parts are wished to be; 0 makes none."""
    segment: float = 2.0
    """A segment ends at the first key frame behind that."""
    window: float = 30.0
    """What a playlist lists at least."""
    idle: float = 30.0
    """A package ends so long after somebody asked for it last."""
    grace: float = 10.0
    """So long after the end of a stream its playlist may go on."""
