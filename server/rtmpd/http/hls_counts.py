"""What is counted of those who watch by HLS: plain ints that metrics read."""

from __future__ import annotations

from rtmpd.reasons import Word


class WaitEnd(Word):
    """What became of a request that waited for a part."""

    IN_TIME = (
        "in_time",
        "it was answered before a player three parts behind the live edge has run dry",
    )
    LATE = "late", "it was answered, or had waited for as long as it may, when such a player had run dry"
    LEFT = "left", "whoever asked has left, or the stream has ended"


class HlsCounts:
    """Of one process."""

    __slots__ = ("bytes_out", "player_stalls", "player_watched_ms", "requests", "waiting", "waits")

    def __init__(self) -> None:
        self.requests = dict.fromkeys(("multivariant", "playlist", "media", "beacon"), 0)
        """Answered, by what was asked for."""
        self.waits: dict[str, int] = dict.fromkeys(WaitEnd, 0)
        self.waiting = 0
        """Requests that wait now."""
        self.bytes_out = 0
        """Of bodies."""
        self.player_stalls = 0
        """That pages have told of, and for how long they have watched (ms):"""
        self.player_watched_ms = 0
