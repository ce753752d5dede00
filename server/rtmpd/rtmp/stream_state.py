"""A message stream as its client knows it: what it was asked to do, and what the server made of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtmpd.rtmp.commands import Status
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.states import ERRORS, STATUSES, Step, Use, Verdict

_GOES_ON: Final = ("NetStream.Seek.", "NetStream.Pause.", "NetStream.Record.")
"""Errors with these prefixes end neither a publish nor a play."""


@dataclass(slots=True)
class StreamState:
    """What was asked for, and how far the server has followed (section 7.2.2).

    What the server says is the step that it means, or None when it means nothing.
    """

    use: Use = Use.IDLE
    name: str = ""
    request_id: int = 0
    """Transaction id of the publish or play that waits for its answer, else 0."""
    _wants_pause: bool = False
    _paused: bool = False
    _seeking: bool = False

    def ask(self, step: Step, name: str, request_id: int) -> None:
        """To ``PUBLISH`` or to ``PLAY`` has been asked for."""
        self.use, self.name, self.request_id = self.use.after(step), name, request_id
        self._wants_pause = self._paused = self._seeking = False

    def pause(self, paused: bool) -> None:
        """A pause or its end has been asked for. Paused it is until the server says that it goes on."""
        self._wants_pause = paused
        self._paused = self._paused or paused

    def seek(self) -> None:
        """A seek has been asked for."""
        self._seeking = True

    def refuse(self) -> Verdict | None:
        """The server refused what was asked for."""
        return self._take(Step.REFUSE) if self.request_id else None

    def follow(self, status: Status) -> Verdict | None:
        """The server sent an onStatus."""
        code = status.code
        if code == StatusCode.UNPAUSE_NOTIFY:
            self._paused = self._wants_pause
        elif code.startswith("NetStream.Seek."):
            self._seeking = False
        step = STATUSES.get((self.use, code))
        if status.is_error and step is not Step.ACCEPT and not code.startswith(_GOES_ON):
            step = ERRORS.get(self.use)
        return None if step is None else self._take(step)

    def stream_begin(self) -> None:
        """The server sent StreamBegin."""
        self._paused = self._wants_pause
        self._seeking = False

    def stream_eof(self) -> Verdict | None:
        """The server sent StreamEOF: the end, but for pauses and (nginx-rtmp) seeks, which it marks too."""
        if self.use is not Use.PLAYING or self._paused or self._seeking:
            return None
        return self._take(Step.END)

    def _take(self, step: Verdict) -> Verdict:
        self.use = self.use.after(step)
        self.request_id = 0
        return step
