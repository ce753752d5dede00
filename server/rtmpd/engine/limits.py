"""Ceilings of the live graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rtmpd.engine.gop import GopLimits
from rtmpd.engine.headers import HeaderLimits
from rtmpd.engine.sink import StartPolicy
from rtmpd.engine.slate import SlateRules

MERGE_WINDOW: Final = 0.055
"""Seconds that a busy server gathers media for, unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What some streams may have together: all whose limits name the same."""

    name: str = ""
    """What people call them, such as their app."""
    most: int = 0


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Ceilings of one process; a count of 0 means none."""

    max_publishers: int = 1_000
    max_publishers_per_network: int = 500
    """Of them, those from one address, or from the network that stands for it."""
    max_players: int = 0
    max_players_per_stream: int = 0
    max_waiting_names: int = 1000
    """Names that players wait for and nobody publishes."""
    max_waiting_names_per_network: int = 200
    """Of them, those that one network was the first to wait for."""
    max_track_choices: int = 8
    """Choices of tracks that the players of one stream make together, beside the default one."""
    first_media_timeout: float = 20.0
    """Seconds from the beginning of a publication to its first audio or video."""
    idle_publisher_timeout: float = 10.0
    """Seconds without audio and video after which a publication ends, once there was some."""
    memory_bytes: int = 1024 * 1024 * 1024
    """Media held: GOP caches, headers, unfinished messages, backlogs of congested players."""
    start: StartPolicy = StartPolicy.GOP
    """Where players begin; with ``LIVE`` video that begins without a keyframe is delivered, too."""
    keyframe_timeout: float = 30.0
    """Seconds that video waits for a keyframe, a player's or everybody's; then it goes on with any frame."""
    headers: HeaderLimits = field(default_factory=HeaderLimits)
    gop: GopLimits = field(default_factory=GopLimits)
    publishers: Quota = Quota()
    """Of the stream and of others with the same quota, relays included; besides ``max_publishers``."""
    players: Quota = Quota()
    """The same, besides ``max_players``."""
    merge_window: float = MERGE_WINDOW
    """Seconds that what is pending of a stream may wait while flushing takes too much time."""
    delay: float = 0.0
    """Seconds by which players are behind."""
    stall: float = 2.0
    """Seconds without audio and video after which a publication is stalled: a warning."""
    backup_after: float = 0.8
    """Seconds without audio and video of the main encoder after which the backup goes on."""
    slate: SlateRules | None = None
    """What is shown while the encoder sends nothing; None is nothing."""
    handback: float = 10.0
    """Seconds for which the main one has to send again before it is back on air."""


def counted(number: int, what: str) -> str:
    """``1 player`` or ``2 players``, for sentences that people read."""
    return f"{number} {what}{'' if number == 1 else 's'}"
