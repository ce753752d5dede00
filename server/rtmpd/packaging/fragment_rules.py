"""How fragments of MP4 are made, as the settings say it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Cut(StrEnum):
    """What is in a fragment."""

    FRAME = "frame"
    PART = "part"


class FragmentRules(NamedTuple):
    """Those of one stream."""

    cut: Cut
    """For whoever does not say."""
    part: float
    """Seconds."""
