"""A message stream as its client knows it: what it was asked to do, and what the server made of that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from rtmpd.rtmp.commands import Status
from rtmpd.rtmp.constants import StatusCode

_PLAY_BEGINS: Final = frozenset({StatusCode.PLAY_START, StatusCode.PLAY_PUBLISH_NOTIFY})
_PLAY_ENDS: Final = frozenset(
    {StatusCode.PLAY_STOP, StatusCode.PLAY_COMPLETE, StatusCode.PLAY_UNPUBLISH_NOTIFY}
)
_GOES_ON: Final = ("NetStream.Seek.", "NetStream.Pause.", "NetStream.Record.")
"""Errors with these prefixes end neither a publish nor a play."""


class Use(Enum):
    """What a message stream is used for."""

    IDLE = "neither publishes nor plays"
    PUBLISH_ASKED = "waits for the answer to publish"
    PUBLISHING = "publishes"
    PLAY_ASKED = "waits for the answer to play"
    PLAYING = "plays"


class Outcome(Enum):
    """What something the server said means for the stream."""

    NOTHING = 0
    STARTED = 1
    REFUSED = 2
    ENDED = 3
    """A play came to its end, or its publisher left."""
    FAILED = 4
    """The server ended a publish, or a play before its time."""


@dataclass(slots=True)
class StreamState:
    """What was asked for, and how far the server has followed (section 7.2.2)."""

    use: Use = Use.IDLE
    name: str = ""
    request_id: int = 0
    """Transaction id of the publish or play that waits for its answer, else 0."""
    _wants_pause: bool = False
    _paused: bool = False
    _seeking: bool = False

    def ask(self, use: Use, name: str, request_id: int) -> None:
        """A publish or play has been asked for, ``use`` being ``PUBLISH_ASKED`` or ``PLAY_ASKED``."""
        self.use, self.name, self.request_id = use, name, request_id
        self._wants_pause = self._paused = self._seeking = False

    def pause(self, paused: bool) -> None:
        """A pause or its end has been asked for. Paused it is until the server says that it goes on."""
        self._wants_pause = paused
        self._paused = self._paused or paused

    def seek(self) -> None:
        """A seek has been asked for."""
        self._seeking = True

    def refuse(self) -> Outcome:
        """The server refused what was asked for."""
        if not self.request_id:
            return Outcome.NOTHING
        return self._answered(Use.IDLE, Outcome.REFUSED)

    def follow(self, status: Status) -> Outcome:
        """The server sent an onStatus."""
        code = status.code
        if code == StatusCode.UNPAUSE_NOTIFY:
            self._paused = self._wants_pause
        elif code.startswith("NetStream.Seek."):
            self._seeking = False
        fatal = status.is_error and not code.startswith(_GOES_ON)
        match self.use:
            case Use.PUBLISH_ASKED if code == StatusCode.PUBLISH_START:
                return self._answered(Use.PUBLISHING, Outcome.STARTED)
            case Use.PLAY_ASKED if code in _PLAY_BEGINS:
                return self._answered(Use.PLAYING, Outcome.STARTED)
            case Use.PUBLISH_ASKED | Use.PLAY_ASKED if fatal:
                return self.refuse()
            case Use.PUBLISHING if fatal or code == StatusCode.UNPUBLISH_SUCCESS:
                return self._end(Outcome.FAILED)
            case Use.PLAYING if fatal or code in _PLAY_ENDS:
                return self._end(Outcome.FAILED if fatal else Outcome.ENDED)
            case _:
                return Outcome.NOTHING

    def begin(self) -> None:
        """The server sent StreamBegin."""
        self._paused = self._wants_pause
        self._seeking = False

    def eof(self) -> Outcome:
        """The server sent StreamEOF: the end, but for pauses and (nginx-rtmp) seeks, which it marks too."""
        if self.use is not Use.PLAYING or self._paused or self._seeking:
            return Outcome.NOTHING
        return self._end(Outcome.ENDED)

    def _answered(self, use: Use, outcome: Outcome) -> Outcome:
        self.use = use
        self.request_id = 0
        return outcome

    def _end(self, outcome: Outcome) -> Outcome:
        self.use = Use.IDLE
        return outcome
