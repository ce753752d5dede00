"""What the settings say of recorded files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VodRules:
    """How the files of one app are played."""

    root: str
    """The folder that they lie in."""
    pause_timeout: float = 900.0
    """Seconds for which a player may be paused, at the end, or read nothing."""
