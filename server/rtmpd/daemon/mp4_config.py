"""Streams as MP4 by HTTP and WebSocket: ``[apps.NAME.mp4]``."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator

from rtmpd.daemon.fields import Effect, Seconds, Section
from rtmpd.packaging.fragment_rules import Cut, FragmentRules

_LEAST_PART: Final = 0.05
_LONGEST_PART: Final = 5.0


def _check_part(seconds: float) -> float:
    if not _LEAST_PART <= seconds <= _LONGEST_PART:
        raise ValueError(f"{seconds:g} s is no part: write 50 milliseconds to 5 seconds")
    return seconds


class Mp4Config(Section):
    """Streams of the app as MP4: /APP/NAME.mp4 on the listeners of http, an endless file by GET, and what a
    web page gives its MediaSource by WebSocket."""

    effect = Effect.PLAYS
    fragment: Literal["frame", "part", "off"] = "frame"
    """What a fragment is for whoever does not say: "frame", each as it comes, for the least delay; "part",
    some together, for fewer messages; "off" plays none."""
    part: Annotated[Seconds, AfterValidator(_check_part)] = 0.2
    """How long a part is. It is sent when it is whole."""

    def to_rules(self) -> FragmentRules | None:
        """How it is made; None where it is not."""
        return None if self.fragment == "off" else FragmentRules(Cut(self.fragment), self.part)
