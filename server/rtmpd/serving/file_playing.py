"""From a client's play to a file that is sent to it, and back."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from typing import Final, assert_never

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.packet import AUDIO, VIDEO, RtmpWire, WireFormat
from rtmpd.engine.sessions import Use
from rtmpd.engine.sink import CloseReason, Ending, SlowPlayerPolicy
from rtmpd.engine.sources import Life
from rtmpd.engine.vod import VodFeed
from rtmpd.media.tracks import TrackChoice
from rtmpd.reasons import Word
from rtmpd.rtmp.constants import CapsEx, StatusCode
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
from rtmpd.serving.access import Figures, Grant
from rtmpd.serving.peer import Peer
from rtmpd.serving.playback import Playback
from rtmpd.serving.publishing import spell_seconds
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


class FilePlayer:
    """An RTMP player of a file, as ``Player`` is of a live stream."""

    __slots__ = (
        "_bytes_out",
        "_feed",
        "_key",
        "_origin",
        "_peer",
        "_playback",
        "_recording",
        "_request",
        "_rules",
        "_since",
        "_wire",
        "ending",
        "ends_at",
        "query",
        "stream_id",
        "waits_until",
    )

    def __init__(
        self, peer: Peer, event: PlayRequested, grant: Grant, recording: VodFile, requested_at: float
    ) -> None:
        """Count it in. Raises ``Refused`` when there is no room. Nothing is sent before ``start``."""
        context = peer.context
        self._key = grant.key
        self._rules = grant.play or context.play_rules(grant.key)
        context.registry.check_attach(grant.key, vod=True)
        context.registry.viewers.add(grant.key)
        self._peer = peer
        self._request = event
        self.stream_id = event.stream_id
        self.query = event.query
        self._origin = peer.origin.asking(event.query).found_to_be(grant.account, grant.identity)
        self._since = requested_at
        longest = self._rules.max_duration
        self.ends_at = requested_at + longest if longest else math.inf
        """Clock reading at which it has lasted for as long as it may."""
        self.waits_until = math.inf
        """Clock reading at which it has been silent for too long."""
        self._bytes_out = 0
        self.ending: Ending | None = None
        knows_tracks = bool(peer.connect_params.caps_ex & CapsEx.MULTITRACK)
        tracks = TrackChoice.parse(event.query, multitrack=knows_tracks)
        self._wire = RtmpWire(context.settings.chunk_size, event.stream_id, tracks)
        self._feed = VodFeed(self, context.registry.budget)
        self._recording = recording
        peer.outlet.attach(self._feed, self.policy)
        self._playback = Playback(recording, self, context.pacer, context.clock)

    def start(self) -> None:
        """The play is accepted: let media flow."""
        fields = log.of_stream(self._origin, self._key)
        logger.debug("play of a file started", extra={"fields": fields})
        event = self._request
        length = None if event.duration < 0 else int(event.duration)
        self._playback.begin(max(int(event.start), 0), length)

    @property
    def key(self) -> StreamKey:
        """Of the stream that it is called by."""
        return self._key

    @property
    def policy(self) -> SlowPlayerPolicy:
        """It may read nothing for as long as it may be paused; it is behind nobody."""
        patience = self._recording.patience
        policy = self._rules.options.policy
        return replace(policy, max_backlog_seconds=patience, disconnect_after=patience)

    @property
    def use(self) -> Use:
        """What it is to whoever looks at the session."""
        return Use(False, self._key, self._since)

    @property
    def dropped(self) -> int:
        """Nothing is kept from anybody."""
        return 0

    def figures(self) -> Figures:
        """How it gets on."""
        return Figures(self._playback.position, 0, self._bytes_out)

    # As the viewer of the engine's feed

    def flow_changed(self, _now: float) -> None:
        self._wait()
        self._playback.go_on()

    def close(self, reason: CloseReason) -> None:
        """The engine wants it to end: it does not read, or memory is short."""
        self._peer.abort(reason)

    # As the sink of the playback

    @property
    def wire_format(self) -> WireFormat:
        return self._wire

    @property
    def congested(self) -> bool:
        return self._peer.outlet.congestion is not None

    def write(self, data: bytes, messages: int) -> None:
        self._bytes_out += len(data)
        stats = self._peer.context.stats
        stats.bytes_out += len(data)
        stats.messages_out += messages
        self._peer.transport.write(data)

    def seeked(self, position: int) -> None:
        self._peer.session.seeked(self.stream_id, position)
        self._peer.flush()

    def completed(self) -> None:
        self._wait()
        self._peer.session.complete_play(self.stream_id, self._recording.duration / 1000, self._bytes_out)
        self._peer.flush()

    def failed(self, error: Exception) -> None:
        fields = log.of_stream(self._origin, self._key) | {"problem": str(error)}
        logger.warning("file cannot be read any further", extra={"fields": fields})
        self._end(CloseReason.READ_FAILED, "The server cannot read this file any further.")

    # The connection

    def adjust(self, event: PlayControl) -> None:
        """Follow the player's own controls."""
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

    def look(self, now: float) -> None:
        """Act on the deadlines that have passed."""
        if self.ends_at <= now:
            self.dismiss(CloseReason.MAX_DURATION, None)
        elif self.waits_until <= now:
            self.dismiss(CloseReason.IDLE, None)

    def dismiss(self, reason: CloseReason, by: Origin | None) -> None:
        """End it, because ``by`` wants it so: the player is told."""
        self.ending = Ending(reason, by)
        text = f"The server ended this play: {reason}."
        if reason is CloseReason.MAX_DURATION:
            text = f"A play may last for {spell_seconds(self._rules.max_duration)} here, as this one has."
        self._end(reason, text)

    def release(self, reason: CloseReason, detail: Word | None = None) -> int:
        """The client ended the play, or its connection did: the last call. ``detail`` is for the log.

        Returns the bytes of media that were written.
        """
        self.waits_until = self.ends_at = math.inf
        context = self._peer.context
        self._playback.close()
        self._peer.outlet.detach(self._feed)
        context.registry.viewers.remove(self._key)
        ending = self.ending = self.ending or Ending(reason)
        fields = log.of_stream(self._origin, self._key) | {
            "duration": round(context.clock() - self._since, 3),
            "position": self._playback.position / 1000,
            "bytes": self._bytes_out,
            "codecs": self._recording.codecs,
            "agent": self._origin.agent,
            "account": self._origin.account or None,
            "reason": detail or ending.reason,
            "by": log.who(ending),
        }
        logger.info("play of a file ended", extra={"fields": fields})
        del self._peer, self._playback, self._recording
        return self._bytes_out

    # Inside

    def _receive(self, kind: int, *, enabled: bool) -> None:
        """The player wants a medium or not; video comes back with the next key frame that it seeks."""
        playback = self._playback
        playback.kinds = playback.kinds | {kind} if enabled else playback.kinds - {kind}

    def _wait(self) -> None:
        """Who has paused, reads nothing or has got everything may stay for a while."""
        playback = self._playback
        if playback.paused or playback.complete or self.congested:
            if self.waits_until == math.inf:
                self.waits_until = self._peer.context.clock() + self._recording.patience
                self._peer.look_by(self.waits_until)
        else:
            self.waits_until = math.inf

    def _end(self, reason: CloseReason, text: str) -> None:
        self._peer.session.end_play(self.stream_id, StatusCode.PLAY_FAILED, text)
        self._peer.end(reason)
