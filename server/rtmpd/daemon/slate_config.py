"""What is shown while an encoder sends nothing: ``slate`` and ``still`` of an app or a stream."""

from __future__ import annotations

from typing import Final

from rtmpd.engine.slate import SlateRules

SLATE: Final = "slate"
SHOWN_FOR: Final = SlateRules().seconds


def slate_rules(slate: str, still: bool, seconds: float) -> SlateRules | None:
    """What the engine does; None where nothing is shown."""
    return SlateRules(slate, still, seconds) if slate or still else None
