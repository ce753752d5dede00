"""What all plays of files have in common, whatever protocol they are sent by."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sessions import Use
from rtmpd.engine.sink import CloseReason, Ending, SlowPlayerPolicy
from rtmpd.engine.stats import count
from rtmpd.engine.vod import VodFeed, VodPlay
from rtmpd.reasons import Word
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import PlayControl, PlayRequested
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Figures, Grant
from rtmpd.serving.peer import Peer
from rtmpd.serving.publishing import spell_seconds
from rtmpd.serving.vod import VodFile

logger = logging.getLogger(__name__)


class FilePlay:
    """A client's play of a file, as ``Player`` is of a live stream: counted with all players, under the rules
    of the stream that the file is called by.
    """

    __slots__ = (
        "_feed",
        "_file",
        "_peer",
        "_play",
        "_rules",
        "ends_at",
        "over",
        "query",
        "stream_id",
        "waits_until",
    )

    def __init__(
        self, peer: Peer, event: PlayRequested, grant: Grant, file: VodFile, requested_at: float
    ) -> None:
        """Count it in. Raises ``Refused`` when there is no room. Nothing is sent before ``start``."""
        context, key = peer.context, grant.key
        self._rules = grant.play or context.play_rules(key)
        context.registry.check_attach(key, vod=True)
        origin = peer.origin.asking(event.query).found_to_be(grant.account, grant.identity)
        self._play = VodPlay(key, origin, requested_at)
        context.registry.viewers.begin(self._play)
        self._peer = peer
        self._file = file
        self.stream_id = event.stream_id
        self.query = event.query
        longest = self._rules.max_duration
        self.ends_at = requested_at + longest if longest else math.inf
        """Clock reading at which it has lasted for as long as it may."""
        self.waits_until = math.inf
        """Clock reading at which it has been silent for too long."""
        self.over = False
        """It is released."""
        self._feed = VodFeed(self, context.registry.budget)
        peer.outlet.attach(self._feed, self.policy)

    def start(self) -> None:
        """The play is accepted: let it flow."""
        raise NotImplementedError

    def adjust(self, event: PlayControl) -> None:
        """Follow the player's own controls, where its protocol has any."""

    @property
    def key(self) -> StreamKey:
        """Of the stream that it is called by."""
        return self._play.key

    @property
    def policy(self) -> SlowPlayerPolicy:
        """It may read nothing for as long as it may be paused; it is behind nobody."""
        patience = self._file.patience
        policy = self._rules.options.policy
        return replace(policy, max_backlog_seconds=patience, disconnect_after=patience)

    @property
    def use(self) -> Use:
        """What it is to whoever looks at the session."""
        return Use(False, self._play.key, self._play.since, file=True)

    @property
    def dropped(self) -> int:
        """Nothing is kept from anybody."""
        return 0

    @property
    def position(self) -> int | None:
        """Time of the last that was sent (ms), where that is known."""
        return None

    def figures(self) -> Figures:
        """How it gets on."""
        return Figures(self.position or 0, 0, self._play.bytes_out)

    # As the viewer of the engine's feed

    def flow_changed(self, _now: float) -> None:
        """Its transport is full, or takes more again."""
        self._wait()
        self._go_on()

    def close(self, reason: CloseReason) -> None:
        """The engine wants it to end: it does not read, or memory is short."""
        self._ending(reason, None)
        self._peer.abort(reason)

    # The connection

    def look(self, now: float) -> None:
        """Act on the deadlines that have passed."""
        if self.ends_at <= now:
            self.dismiss(CloseReason.MAX_DURATION, None)
        elif self.waits_until <= now:
            self.dismiss(CloseReason.IDLE, None)

    def dismiss(self, reason: CloseReason, by: Origin | None) -> None:
        """End it, because ``by`` wants it so: the player is told, where its protocol can."""
        text = f"The server ended this play: {reason}."
        if reason is CloseReason.MAX_DURATION:
            text = f"A play may last for {spell_seconds(self._rules.max_duration)} here, as this one has."
        self._end(reason, text, by)

    def failed(self, error: Exception) -> None:
        """It cannot be read any further: end the play."""
        fields = log.of_stream(self._play.origin, self._play.key) | {"problem": str(error)}
        logger.warning("file cannot be read any further", extra={"fields": fields})
        self._end(CloseReason.READ_FAILED, "The server cannot read this file any further.")

    def release(self, reason: CloseReason, detail: Word | None = None) -> int:
        """The client ended the play, or its connection did: the last call. ``detail`` is for the log.

        Returns the bytes of media that were written.
        """
        self.over = True
        self.waits_until = self.ends_at = math.inf
        self._stop()
        play, context = self._play, self._peer.context
        self._peer.outlet.detach(self._feed)
        ending = play.ending = play.ending or Ending(reason)
        context.registry.viewers.end(play, context.clock())
        position = self.position
        fields = log.of_stream(play.origin, play.key) | {
            "duration": round(play.until - play.since, 3),
            "position": None if position is None else position / 1000,
            "bytes": play.bytes_out,
            "codecs": self._file.codecs,
            "agent": play.origin.agent,
            "account": play.origin.account or None,
            "reason": detail or ending.reason,
            "by": log.who(ending),
        }
        logger.info("play of a file ended", extra={"fields": fields})
        # Each has us, and we it: nobody would be free before the cyclic collector comes by.
        del self._peer, self._feed
        return play.bytes_out

    # For what it is sent by

    @property
    def congested(self) -> bool:
        """It has not taken what it was sent."""
        return self._peer.outlet.congestion is not None

    @property
    def _idle(self) -> bool:
        """It waits for the client: for a while."""
        return self.congested

    def _go_on(self) -> None:
        """Send what is due, if there is somebody to take it."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Send nothing more, and let go of the file."""
        raise NotImplementedError

    def write(self, data: bytes, messages: int) -> None:
        """Send a piece of it. May end the play."""
        self._play.bytes_out += len(data)
        stats = self._peer.context.stats
        stats.bytes_out += len(data)
        stats.messages_out += messages
        self._peer.transport.write(data)

    def _wait(self) -> None:
        """Who has paused, reads nothing or has got everything may stay for a while."""
        if self.over:  # What it did last was too much for the memory.
            return
        if not self._idle:
            self.waits_until = math.inf
        elif self.waits_until == math.inf:
            self.waits_until = self._peer.context.clock() + self._file.patience
            self._peer.look_by(self.waits_until)

    def _ending(self, reason: CloseReason, by: Origin | None) -> None:
        """It ends by our doing."""
        if self._play.ending is None:
            self._play.ending = Ending(reason, by)
            count(self._peer.context.stats.players_closed, reason)

    def _end(self, reason: CloseReason, text: str, by: Origin | None = None) -> None:
        self._ending(reason, by)
        self._peer.session.end_play(self.stream_id, StatusCode.PLAY_FAILED, text)
        self._peer.end(reason)
