"""What goes on air while an encoder sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rtmpd.engine.channel import Channel
from rtmpd.engine.intake import Intake
from rtmpd.engine.packet import VIDEO, Packet
from rtmpd.engine.slate import Slate
from rtmpd.media.tags import parse_video

_LONGEST_REORDERED: Final = 5000
"""Milliseconds that a picture is shown behind those that came with it: 16 pictures of 3 a second."""


class Cover:
    """A slate's time on the air of one stream, instead of an encoder's.

    ``told`` is called once, when nothing more of it is sent, for whatever reason.
    """

    def __init__(
        self, home: Channel, intake: Intake, slate: Slate, begin: int, now: float, told: Callable[[], None]
    ) -> None:
        self.intake = intake
        """What joiners are given of it."""
        self.slate = slate
        self.since = now
        """Clock reading."""
        self.begin = begin
        """Time on air of its first frame (64-bit ms)."""
        self.latest = (begin - 1, now)
        """When the last of its frames is shown, on air, and the clock reading when the newest was sent."""
        self.over = False
        """Nothing more of it is sent."""
        self._home = home
        self._told = told

    @property
    def shown_for(self) -> float:
        """Seconds from its first frame to its newest."""
        return self.latest[1] - self.since

    def push(self, packet: Packet, time: int, now: float) -> None:
        """Send a packet, ``time`` (ms) behind the first one. Nothing once it is over."""
        if not self.over:
            at = self.begin + time
            shown = packet.restamped(at)
            self.latest = (max(time_shown(shown), self.latest[0]), now)
            self._home.push(shown)

    def end(self) -> bool:
        """Send nothing more; whether something was."""
        over, self.over = self.over, True
        if not over:
            self._told()
        return not over


def time_shown(packet: Packet) -> int:
    """When a frame is shown (ms): pictures that others refer to come before their time, if not by ages."""
    delay = parse_video(packet.payload).composition_time if packet.kind == VIDEO else 0
    return packet.timestamp + min(max(delay, 0), _LONGEST_REORDERED)
