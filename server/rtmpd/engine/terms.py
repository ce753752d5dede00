"""What a publication was granted."""

from __future__ import annotations

from typing import Final, NamedTuple

from rtmpd.engine.claim import MAIN, REFUSE, ClaimPolicy, Place
from rtmpd.engine.media_limits import MediaRules


class Terms(NamedTuple):
    """They hold for as long as it lasts."""

    policy: ClaimPolicy = REFUSE
    """What becomes of its name when another wants it, or it is lost."""
    max_players: int | None = None
    """Players of the stream while it is on air; None is as many as are configured."""
    media: MediaRules | None = None
    """What it may consist of; None is anything."""
    place: Place = MAIN
    """Which of the stream's encoders it is."""
    mode: str = "live"
    """What is to be kept of it: ``live``, ``record``, ``append`` or ``appendWithGap``, as the encoder wants
    it, or ``UNRECORDED``."""


UNRECORDED: Final = "unrecorded"
"""In place of a mode: whoever has let it in wants nothing kept, whatever the settings say."""
USUAL: Final = Terms()
