"""From a client's play over RTMP to a file that is sent to it, and back."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, assert_never

from rtmpd.engine.choosing import find_tracks_of_file
from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import AUDIO, VIDEO, RtmpWire, WireFormat
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.sources import Life
from rtmpd.media.track_names import TrackWish
from rtmpd.reasons import Word
from rtmpd.rtmp.constants import CapsEx
from rtmpd.rtmp.events import (
    BufferLengthSet,
    PauseRequested,
    PlayControl,
    PlayRequested,
    ReceiveAudio,
    ReceiveVideo,
    SeekRequested,
)
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Grant
from rtmpd.serving.file_play import FilePlay
from rtmpd.serving.peer import Peer
from rtmpd.serving.playback import Playback
from rtmpd.serving.vod import VodFile

logger = logging.getLogger(__name__)

_LIVE_ONLY: Final = -1.0
_ANY: Final = -2.0


def may_be_file(peer: Peer, event: PlayRequested, key: StreamKey) -> bool:
    """Whether there may be a file of that name for a player that was granted it, and nothing before it.

    A stream that is live goes before a file, but for those who ask for a position in it.
    """
    context = peer.context
    if event.start == _LIVE_ONLY or not context.library.offers(key):
        return False
    stream = context.registry.streams.get(key)
    return event.start != _ANY or stream is None or stream.life is Life.IDLE


async def find_file(peer: Peer, event: PlayRequested, key: StreamKey) -> VodFile | None:
    """The file of that name, if that is what the player is to be sent. Raises ``Refused``."""
    if not may_be_file(peer, event, key):
        return None
    await asyncio.sleep(0)  # To be in a task, which can wait.
    return await peer.context.library.open(key)


class FilePlayer(FilePlay):
    """One over RTMP, paced by the client's buffer."""

    __slots__ = ("_playback", "_request", "_wire")

    def __init__(
        self, peer: Peer, event: PlayRequested, grant: Grant, file: VodFile, requested_at: float
    ) -> None:
        knows_tracks = bool(peer.connect_params.caps_ex & CapsEx.MULTITRACK)
        wish = TrackWish.parse(event.query, multitrack=knows_tracks)
        tracks = wish.fixed or find_tracks_of_file(wish, grant.key, file.opening)
        super().__init__(peer, event, grant, file, requested_at)
        context = peer.context
        self._request = event
        self._wire = RtmpWire(context.settings.chunk_size, event.stream_id, tracks)
        self._playback = Playback(file, self, context.pacer, context.clock)

    def start(self) -> None:
        fields = log.of_stream(self._play.origin, self._play.key)
        logger.debug("play of a file started", extra={"fields": fields})
        event = self._request
        length = None if event.duration < 0 else int(event.duration)
        self._playback.begin(max(int(event.start), 0), length)

    def adjust(self, event: PlayControl) -> None:
        playback = self._playback
        match event:
            case PauseRequested(paused=paused):
                if paused:
                    playback.pause()
                else:
                    playback.resume()
            case SeekRequested(position_ms=position):
                playback.seek(position)
            case BufferLengthSet(length_ms=length):
                playback.buffer_ms = length
            case ReceiveAudio(enabled=enabled):
                self._receive(AUDIO, enabled=enabled)
            case ReceiveVideo(enabled=enabled):
                self._receive(VIDEO, enabled=enabled)
            case _:
                assert_never(event)
        self._wait()

    @property
    def position(self) -> int:
        return self._playback.position

    # As the sink of the playback

    @property
    def wire_format(self) -> WireFormat:
        """How it is sent."""
        return self._wire

    def seeked(self, position: int) -> None:
        """What is sent from now on begins at ``position`` (ms)."""
        self._peer.session.seeked(self.stream_id, position)
        self._peer.flush()

    def completed(self) -> None:
        """All has been sent."""
        self._wait()
        written = self._play.bytes_out
        self._peer.session.complete_play(self.stream_id, self._file.duration / 1000, written)
        self._peer.flush()

    def release(self, reason: CloseReason, detail: Word | None = None) -> int:
        if self._playback.complete and reason is CloseReason.CONNECTION_LOST:
            reason, detail = CloseReason.FINISHED, None  # ffmpeg hangs up when it has all of it.
        written = super().release(reason, detail)
        del self._playback  # Which has us.
        return written

    # Inside

    @property
    def _idle(self) -> bool:
        return self._playback.paused or self._playback.complete or self.congested

    def _go_on(self) -> None:
        self._playback.go_on()

    def _stop(self) -> None:
        self._playback.close()

    def _receive(self, kind: int, *, enabled: bool) -> None:
        """The player wants a medium or not; video comes back with the next key frame that it seeks."""
        playback = self._playback
        playback.kinds = playback.kinds | {kind} if enabled else playback.kinds - {kind}
