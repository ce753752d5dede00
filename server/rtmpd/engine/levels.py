"""How well the server serves, counted for the service levels: requests, joins, and seconds without media."""

from __future__ import annotations

from typing import Final

from rtmpd.reasons import Fault, Refusal, Word

JOIN_BOUND: Final = 10.0
"""Seconds for which a player of a stream whose media flows may wait for its first frame."""


REQUESTS: Final = ("connect", "publish", "play")
"""What clients ask for."""


class JoinEnd(Word):
    """What became of a play of a live stream, once."""

    FIRST_FRAME = "first_frame", "it was handed its first frame within 10 seconds"
    TOO_LATE = (
        "too_late",
        "it was handed none within 10 seconds, while media of the stream came and it took what it was sent",
    )
    FAILED = "failed", "the server ended it before: a bug, memory that was short, or its own end"
    LEFT = "left", "it left before, or was ended by a rule or by somebody: it counts for nothing"


class Outage(Word):
    """Why a stream that is meant to be live had no media: it is published, or its players are held."""

    ENCODER_STALLED = "encoder_stalled", "its encoder is connected and sends neither audio nor video"
    ENCODER_LOST = (
        "encoder_lost",
        "its encoder has gone, and its players are [kept](operations.md#when-an-encoder-is-lost) for it",
    )
    RELAY_DOWN = "relay_down", "it is pulled from another server, which sends nothing or has gone"
    SERVER_LATE = "server_late", "the event loop was held up for a second or more: all streams together"
    SERVER_ENDED = (
        "server_ended",
        "this server ended its publish, by a bug or as memory was short, and its players are kept",
    )


class Levels:
    """Counters of what the service levels are made of."""

    __slots__ = (
        "behind_seconds",
        "failed",
        "granted",
        "joins",
        "late_seconds",
        "outages",
        "player_seconds",
        "refused",
        "stream_seconds",
    )

    def __init__(self) -> None:
        self.granted: dict[str, int] = {}
        """Requests by what they ask for, see ``REQUESTS``."""
        self.refused: dict[str, int] = {}
        """Those not granted as whoever asked, or a rule of the operator's, is the reason."""
        self.failed: dict[str, int] = {}
        """Those not granted as this server, or what it depends on, is the reason."""
        self.joins: dict[JoinEnd, int] = {}
        self.outages: dict[Outage, float] = {}
        """Seconds of streams."""
        self.stream_seconds = 0.0
        """Of streams that were meant to be live."""
        self.player_seconds = 0.0
        """Of players of a live stream."""
        self.behind_seconds = 0.0
        """Of connections that were behind for longer than they may be for what they are sent to be whole."""
        self.late_seconds = 0.0
        """For which the loop was held up since streams were looked at last."""

    def note_granted(self, request: str) -> None:
        self.granted[request] = self.granted.get(request, 0) + 1

    def note_refused(self, request: str, reason: Refusal) -> None:
        """Count a request that is not granted, by whose fault that is."""
        if reason.fault is Fault.SERVER:
            self.note_failed(request)
        else:
            self.refused[request] = self.refused.get(request, 0) + 1

    def note_failed(self, request: str) -> None:
        self.failed[request] = self.failed.get(request, 0) + 1

    def note_join(self, end: JoinEnd) -> None:
        self.joins[end] = self.joins.get(end, 0) + 1

    def note_outage(self, cause: Outage, seconds: float) -> None:
        self.outages[cause] = self.outages.get(cause, 0.0) + seconds

    def note_lag(self, seconds: float) -> None:
        """The loop ran a timer so late: counted where media was late enough to be noticed."""
        if seconds >= 1.0:
            self.late_seconds += seconds
