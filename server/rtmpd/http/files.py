"""Files by HTTP, whole or in the part that is asked for, as fast as they are taken."""

from __future__ import annotations

from typing import Final, cast

from rtmpd.engine.sink import CloseReason
from rtmpd.http.dialogue import Dialogue
from rtmpd.http.parts import part_of
from rtmpd.rtmp.events import PlayRequested
from rtmpd.serving.access import Grant
from rtmpd.serving.file_play import FilePlay
from rtmpd.serving.peer import Peer
from rtmpd.serving.vod import VodFile

_PIECE: Final = 256 * 1024


class FileSender(FilePlay):
    """One answer, which ends the connection."""

    __slots__ = ("_at", "_busy", "_end_at", "_pacer")

    def __init__(
        self, peer: Peer, event: PlayRequested, grant: Grant, file: VodFile, requested_at: float
    ) -> None:
        super().__init__(peer, event, grant, file, requested_at)
        self._pacer = peer.context.pacer
        self._at = self._end_at = 0
        """Bytes of the file."""
        self._busy = False
        """A piece is read."""

    def start(self) -> None:
        dialogue = self._dialogue
        part = part_of(self._file, dialogue.part)
        self._at, self._end_at = part.first, part.end
        dialogue.begin_answer(part.status, part.headers)
        self._pacer.add(self)
        self._peer.flush()
        self.go_on()

    def go_on(self) -> None:
        """Read the next piece, if there is somebody to take it."""
        if self.over or self._busy or self.congested:
            return
        if self._at >= self._end_at:
            self._dialogue.sent_whole = True
            self._peer.end(CloseReason.FINISHED)
        elif self._pacer.has_room:
            self._busy = True
            self._file.read_bytes(self._at, min(_PIECE, self._end_at - self._at), self._take)

    def fail(self, error: Exception) -> None:
        """It cannot go on."""
        if not self.over:
            self.failed(error)

    # Inside

    @property
    def _dialogue(self) -> Dialogue:
        return cast("Dialogue", self._peer.session)

    def _go_on(self) -> None:
        self.go_on()

    def _stop(self) -> None:
        self._pacer.remove(self)
        self._file.close()

    def _take(self, data: bytes | Exception) -> None:
        if self.over:
            return
        self._busy = False
        if isinstance(data, Exception):
            self.fail(data)
        elif not data:
            self.fail(EOFError("it has become shorter"))
        else:
            self._at += len(data)
            if self._at >= self._end_at:
                # It is over when all of it has gone, and until then as patient as with any other piece.
                self._peer.transport.set_write_buffer_limits(0)
            self._pacer.sent(self, len(data))
            self.write(data, 0)
            self.go_on()
