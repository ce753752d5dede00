"""Players of FLV over HTTP and WebSocket, which are RTMP's players but for what they are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from rtmpd.engine.flv_wire import EVERYTHING, FlvWire
from rtmpd.engine.packet import AUDIO, VIDEO, ShiftedWire, WireFormat
from rtmpd.engine.sink import CloseReason
from rtmpd.http.dialogue import Dialogue
from rtmpd.http.files import FileSender
from rtmpd.reasons import Word
from rtmpd.rtmp.events import PlayRequested
from rtmpd.serving.access import Grant
from rtmpd.serving.file_play import FilePlay
from rtmpd.serving.peer import Peer
from rtmpd.serving.playing import Player
from rtmpd.serving.requests import Requests


class FlvPlayer(Player):
    """Begins an answer with the first that it is written, and ends it with the stream."""

    __slots__ = ("_begun",)

    def __init__(self, peer: Peer, event: PlayRequested, grant: Grant, requested_at: float) -> None:
        self._begun = False
        super().__init__(peer, event, grant, requested_at)
        self.write = self._begin_with

    @property
    def wire_format(self) -> WireFormat:
        wire = FlvWire(self._tracks, self._dialogue.only, self._dialogue.framed)
        return ShiftedWire(wire, self._offset) if self._offset else wire

    def write_all(self, images: Sequence[bytes]) -> None:
        self._begin()
        super().write_all(images)

    def stream_ended(self) -> None:
        self._dialogue.finish()
        self._peer.end(CloseReason.FINISHED)

    def release(self, reason: CloseReason, detail: Word | None = None) -> int:
        written = super().release(reason, detail)
        del self.write  # Which may have us.
        return written

    @property
    def _dialogue(self) -> Dialogue:
        return cast("Dialogue", self._peer.session)

    def _begin_with(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._begin()
        self.write(data)

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        transport = self._peer.transport
        self.write = transport.write
        transport.write(self._dialogue.opening(audio=self._has(AUDIO), video=self._has(VIDEO)))

    def _has(self, kind: int) -> bool:
        """Whether the file has that medium, as far as is known: players that believe it wait for both."""
        if self._dialogue.only != EVERYTHING:
            return kind == self._dialogue.only
        headers = self._subscription.seat.headers
        if not (headers.announces(AUDIO) or headers.announces(VIDEO)):
            return True
        return headers.announces(kind) and headers.withheld != kind


class FlvRequests(Requests):
    """Those of one connection."""

    __slots__ = ()
    player_type: ClassVar[type[Player]] = FlvPlayer
    file_player_type: ClassVar[type[FilePlay]] = FileSender
