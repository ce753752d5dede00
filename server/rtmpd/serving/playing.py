"""From a client's play to a subscription, and back."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from typing import assert_never

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.packet import RtmpWire
from rtmpd.engine.sink import CloseReason, SlowPlayerPolicy
from rtmpd.media.tracks import TrackChoice
from rtmpd.reasons import Word
from rtmpd.rtmp.constants import CapsEx, StatusCode
from rtmpd.rtmp.events import PauseRequested, PlayRequested, ReceiveAudio, ReceiveVideo, SeekRequested
from rtmpd.serving.access import Action
from rtmpd.serving.authorization import authorize
from rtmpd.serving.peer import Peer
from rtmpd.serving.publishing import codecs

logger = logging.getLogger(__name__)


async def ask_to_play(peer: Peer, event: PlayRequested) -> Player:
    """Authorize, then attach to the stream, which may still have no publisher.

    Raises ``Refused`` with nothing promised to the player yet. It is when this has returned; then ``start``.
    """
    context = peer.context
    requested_at = context.clock()
    grant = await authorize(peer, Action.PLAY, event)
    knows_tracks = bool(peer.connect_params.caps_ex & CapsEx.MULTITRACK)
    tracks = TrackChoice.parse(event.query, multitrack=knows_tracks)
    origin = peer.origin.asking(event.query)
    return Player(peer, event.stream_id, grant.key, origin, tracks, requested_at)


class PlayEnd(Word):
    """Why a play ended, where ``CloseReason`` says less; for the log."""

    NO_PUBLISHER = "no_publisher", "nobody published the stream within `player.wait_timeout`"


class Player:
    """An RTMP player as a sink of the engine.

    ``write`` is the transport's own method: the engine calls it for every batch.
    """

    __slots__ = (
        "__weakref__",
        "_peer",
        "_rules",
        "_since",
        "_subscription",
        "_tracks",
        "bytes_out",
        "stream_id",
        "waits_until",
        "write",
    )

    def __init__(
        self,
        peer: Peer,
        stream_id: int,
        key: StreamKey,
        origin: Origin,
        tracks: TrackChoice,
        requested_at: float,
    ) -> None:
        context = peer.context
        self._tracks = tracks
        self.write = peer.transport.write
        self._peer = peer
        self.stream_id = stream_id
        self._since = requested_at
        self.bytes_out = 0
        """Bytes of media written, once released."""
        self.waits_until = math.inf
        """Clock reading at which it gives up waiting for a publisher; ``inf`` while it does not wait."""
        self._rules = context.play_rules(key)
        options = dataclasses.replace(self._rules.options, requested_at=requested_at, origin=origin)
        self._subscription = context.registry.attach(key, self, peer.outlet, options, context.clock())

    def start(self) -> None:
        """The play is accepted: let media flow."""
        logger.debug("play started", extra={"fields": self._fields()})
        subscription = self._subscription
        subscription.join(self._peer.context.clock())
        # Its burst may have cost the last memory, and us the connection.
        if subscription.attached and not subscription.live:
            self._start_waiting()

    @property
    def policy(self) -> SlowPlayerPolicy:
        """What happens while it is too slow."""
        return self._rules.options.policy

    # The engine's sink

    @property
    def wire_format(self) -> RtmpWire:
        return RtmpWire(self._peer.context.settings.chunk_size, self.stream_id, self._tracks)

    def write_all(self, images: Sequence[bytes]) -> None:
        self._peer.transport.writelines(images)

    def stream_started(self) -> None:
        self.waits_until = math.inf
        self._peer.session.notify_published(self.stream_id)
        self._peer.flush()

    def stream_ended(self) -> None:
        self._start_waiting()
        self._peer.session.notify_unpublished(self.stream_id)
        self._peer.flush()  # May release us, when memory is short.

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the subscription. A slow player could not read a farewell anyway."""
        if reason in (CloseReason.SLOW, CloseReason.MEMORY, CloseReason.INTERNAL_ERROR):
            self._peer.abort(reason)
            return
        code, text = StatusCode.PLAY_FAILED, f"The server ended this play: {reason}."
        if reason is CloseReason.NOT_FOUND:
            code, text = (
                StatusCode.PLAY_STREAM_NOT_FOUND,
                f"No server that was asked has {self._subscription.key.name}.",
            )
        self._peer.session.end_play(self.stream_id, code, text)
        self._peer.end(reason)

    # The connection

    def adjust(self, event: PauseRequested | SeekRequested | ReceiveAudio | ReceiveVideo) -> None:
        """Follow the player's own controls; a live stream has one position, so a seek changes nothing."""
        match event:
            case PauseRequested(paused=paused):
                self._subscription.set_paused(paused)
            case ReceiveAudio(enabled=enabled):
                self._subscription.receive_audio(enabled)
            case ReceiveVideo(enabled=enabled):
                self._subscription.receive_video(enabled)
            case SeekRequested():
                pass
            case _:
                assert_never(event)

    def look(self, now: float) -> None:
        """Act on the deadline, if it has passed."""
        if self.waits_until <= now:
            self._give_up()

    def release(self, reason: CloseReason, detail: Word | None = None) -> None:
        """The client ended the play, or its connection did: the last call. ``detail`` is for the log."""
        self.waits_until = math.inf
        self._subscription.detach(reason)
        self.bytes_out = self._subscription.bytes_out
        fields = self._fields() | {
            "duration": round(self._peer.context.clock() - self._since, 3),
            "bytes": self.bytes_out,
            "dropped": self._subscription.dropped,
            "codecs": codecs(self._subscription.stats),
            "agent": self._subscription.origin.agent,
            "reason": detail or reason,
        }
        logger.info("play ended", extra={"fields": fields})
        # Each has us, and we it: nobody would be free before the cyclic collector comes by.
        del self._subscription, self._peer

    # Inside

    def _start_waiting(self) -> None:
        timeout = self._rules.wait_timeout
        if timeout:
            self.waits_until = self._peer.context.clock() + timeout
            self._peer.look_by(self.waits_until)

    def _give_up(self) -> None:
        text = f"Nobody published {self._subscription.key.name} within {self._rules.wait_timeout:g} s."
        self._peer.session.end_play(self.stream_id, StatusCode.PLAY_STREAM_NOT_FOUND, text)
        self._peer.end(CloseReason.IDLE, PlayEnd.NO_PUBLISHER)

    def _fields(self) -> dict[str, object]:
        origin, key = self._subscription.origin, self._subscription.key
        return {
            "client": origin.address,
            "connection": origin.connection,
            "session": origin.session_id,
            "app": key.app,
            "stream": key.name,
        }
