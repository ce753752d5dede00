"""Message streams as their client knows them: what they were asked to do, what the server made of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtmpd.exceptions import UsageError
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


class StreamStates:
    """The message streams of one connection, by the ids that the server gave them."""

    def __init__(self) -> None:
        self._streams: dict[int, StreamState] = {}

    def add(self, stream_id: int) -> bool:
        """One more, which is idle; False if it cannot be: 0 is the connection's, others are in use."""
        if not stream_id or stream_id in self._streams:
            return False
        self._streams[stream_id] = StreamState()
        return True

    def remove(self, stream_id: int) -> StreamState:
        """It is given back. Raises UsageError if there is none."""
        stream = self._get(stream_id)
        del self._streams[stream_id]
        return stream

    def find(self, stream_id: int) -> StreamState | None:
        """The stream of that id, if there is one."""
        return self._streams.get(stream_id)

    def that_may(self, step: Step, stream_id: int) -> StreamState:
        """The stream of that id. Raises UsageError if there is none, or if ``step`` would be out of turn."""
        stream = self._get(stream_id)
        stream.use.after(step)
        return stream

    def playing(self, stream_id: int) -> StreamState:
        """The stream of that id. Raises UsageError if it does not play."""
        stream = self._get(stream_id)
        if stream.use is not Use.PLAYING:
            raise UsageError(f"message stream {stream_id} {stream.use.value}")
        return stream

    def asked_by(self, request_id: float) -> tuple[int, StreamState] | None:
        """The stream whose publish or play waits for the answer to this transaction, and its id."""
        for stream_id, stream in self._streams.items():
            if stream.request_id == request_id != 0:
                return stream_id, stream
        return None

    def meant(self, stream_id: int) -> int:
        """The id that a server means: the only stream there is when it speaks of it on message stream 0."""
        if stream_id == 0 and len(self._streams) == 1:
            return next(iter(self._streams))
        return stream_id

    def _get(self, stream_id: int) -> StreamState:
        stream = self._streams.get(stream_id)
        if stream is None:
            raise UsageError(f"there is no message stream {stream_id}")
        return stream
