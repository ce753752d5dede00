"""From a client's play to a subscription, and back."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from rtmpd.engine.choosing import NamedTracks
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.packet import RtmpWire, ShiftedWire, WireFormat
from rtmpd.engine.sessions import Use
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy
from rtmpd.engine.sources import Life
from rtmpd.engine.subscriber import Subscription
from rtmpd.exceptions import Refused
from rtmpd.media.track_names import TrackWish
from rtmpd.media.tracks import DEFAULT, TrackChoice
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
from rtmpd.serving.file_play import FilePlay
from rtmpd.serving.file_playing import find_file
from rtmpd.serving.peer import Peer
from rtmpd.serving.publishing import codecs, last_timestamp, spell_seconds
from rtmpd.serving.rewinding import Moment, asked_moment

logger = logging.getLogger(__name__)


_BEHIND_MS: Final = 20
"""Of two streams the second begins so much later than the first ends."""
_STEP_MS: Final = 100


PlayerMaker = Callable[[Peer, PlayRequested, Grant, float], "Player"]
"""Makes a player of a play that is granted, asked for at a clock reading. Raises ``Refused``."""


class PlayEnd(Word):
    """Why a play ended, where ``CloseReason`` says less; for the log."""

    NO_PUBLISHER = "no_publisher", "nobody published the stream within `player.wait_timeout`"


def begin_to_play(
    peer: Peer, event: PlayRequested, grant: Grant, requested_at: float, player: PlayerMaker
) -> Player:
    """Attach to what was granted, as ``player`` does. Raises ``Refused`` when there is no room."""
    try:
        return player(peer, event, grant, requested_at)
    except BaseException:
        grant.abandon()
        raise


async def begin_to_play_file(
    peer: Peer,
    event: PlayRequested,
    grant: Grant,
    requested_at: float,
    player: PlayerMaker,
    file_player: type[FilePlay],
) -> Player | FilePlay:
    """The same of the file of that name, as ``file_player`` does, if there is one."""
    try:
        file = await find_file(peer, event, grant.key)
        if file is None:
            return player(peer, event, grant, requested_at)
        try:
            return file_player(peer, event, grant, file, requested_at)
        except BaseException:
            file.close()
            raise
    except BaseException:
        grant.abandon()
        raise


class Player:
    """An RTMP player as a sink of the engine.

    ``write`` is the transport's own method: the engine calls it for every batch.
    """

    __slots__ = (
        "__weakref__",
        "_by_name",
        "_held_at",
        "_offset",
        "_peer",
        "_refusal",
        "_rewind",
        "_rules",
        "_subscription",
        "_tracks",
        "ends_at",
        "query",
        "stream_id",
        "waits_until",
        "write",
    )

    def __init__(
        self,
        peer: Peer,
        event: PlayRequested,
        grant: Grant,
        requested_at: float,
    ) -> None:
        """Attach to the stream, which may still have no publisher. Raises ``Refused``.

        Nothing is promised to the player yet. It is when this has returned; then ``start``.
        """
        context, key = peer.context, grant.key
        knows_tracks = bool(peer.connect_params.caps_ex & CapsEx.MULTITRACK)
        wish = TrackWish.parse(event.query, multitrack=knows_tracks)
        self._tracks = wish.fixed
        """None of who wants a track by name."""
        self._by_name: NamedTracks | None = None
        self._refusal: Refused | None = None
        """Why it is not sent the track that it wants."""
        self.write = peer.transport.write
        self._peer = peer
        self.stream_id = event.stream_id
        self.query = event.query
        """It has come with that, which may hold a secret."""
        self._rewind = 0
        """The audience that it is one of, if that has gone back."""
        self._held_at: int | None = None
        """Time of the stream at which it has paused, of who goes on there (64-bit ms)."""
        self._offset = 0
        """What timestamps are put forward by, of who goes on in the time of another stream (ms)."""
        self.waits_until = math.inf
        """Clock reading at which it gives up waiting for a publisher; ``inf`` while it does not wait."""
        self._rules = grant.play or context.play_rules(key)
        longest = self._rules.max_duration
        self.ends_at = requested_at + longest if longest else math.inf
        """Clock reading at which it has lasted for as long as it may."""
        origin = peer.origin.asking(event.query).found_to_be(grant.account, grant.identity)
        options = self._rules.options.of(origin, requested_at)
        if origin.is_borrowed:  # Whose players are counted there.
            options = options._replace(audience=False)
        elif self._rules.rewind and (moment := asked_moment(event)) is not None:
            self._rewind = context.past.find(key, moment)
            options = options._replace(apart=self._rewind)
        if self._tracks is None:
            self._by_name = NamedTracks(wish, context.registry, self._refuse)
            if not (self._rewind or context.registry.limits_at(key).delay):
                self._by_name.expect(context.registry.streams.get(key), context.clock())
        self._subscription = self._attach(key, options, context.clock())

    def start(self) -> None:
        """The play is accepted: let media flow."""
        subscription = self._subscription
        if logger.isEnabledFor(logging.DEBUG):  # To find out what is told costs more than to tell it.
            fields = log.of_stream(subscription.origin, subscription.key)
            logger.debug("play started", extra={"fields": fields})
        self._join(self._peer.context.clock())
        # Its burst may have cost the last memory, and us the connection.
        if subscription.attached and not subscription.live:
            self._start_waiting()

    @property
    def key(self) -> StreamKey:
        """Of the stream that it plays."""
        return self._subscription.key

    @property
    def may_switch(self) -> bool:
        """It can go on with another stream."""
        return True

    def switch(self, grant: Grant) -> int:
        """Go on with another stream, which somebody publishes, in the time of the one before.

        The bytes of media of that one that were written. Raises ``Refused`` where there is no room; then it
        goes on as it was.
        """
        context, before, now = self._peer.context, self._subscription, self._peer.context.clock()
        rules = grant.play or context.play_rules(grant.key)
        origin = before.origin.found_to_be(grant.account, grant.identity)
        options = rules.options.of(origin, now)
        offset, self._offset = self._offset, self._offset_to(grant.key)
        try:
            subscription = self._attach(grant.key, options, now)
        except BaseException:
            self._offset = offset
            raise
        before.detach(CloseReason.REDIRECTED)
        if self._by_name is not None:
            self._by_name.move()
        self._tell_ended(before, CloseReason.REDIRECTED)
        self._subscription, self._rules = subscription, rules
        self._rewind, self._held_at = 0, None
        self.ends_at = now + rules.max_duration if rules.max_duration else math.inf
        self.waits_until = math.inf
        subscription.receive_audio(before.receives_audio)
        subscription.receive_video(before.receives_video)
        subscription.set_paused(before.paused)
        self._peer.session.switch_play(self.stream_id, grant.key.name)
        self._peer.flush()
        self.start()
        return before.bytes_out

    @property
    def policy(self) -> SlowPlayerPolicy:
        """What happens while it is too slow."""
        return self._rules.options.policy

    @property
    def use(self) -> Use:
        """What it is to whoever looks at the session."""
        return Use(False, self._subscription.key, self._subscription.since)

    @property
    def dropped(self) -> int:
        """Packets kept from it because it was behind or waited for a keyframe."""
        return self._subscription.dropped

    def figures(self) -> Figures:
        """How it gets on."""
        return Figures(last_timestamp(self._subscription.stats), 0, self._subscription.bytes_out)

    # The engine's sink

    @property
    def wire_format(self) -> WireFormat:
        chunk_size = self._peer.context.settings.chunk_size
        wire = RtmpWire(chunk_size, self.stream_id, self._sent_tracks)
        return ShiftedWire(wire, self._offset) if self._offset else wire

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
        if reason is CloseReason.MAX_DURATION:
            text = f"A play may last for {spell_seconds(self._rules.max_duration)} here, as this one has."
        if reason is CloseReason.WITHDRAWN:
            text = "You may not play this stream any more."
        if reason is CloseReason.NOT_FOUND:
            code, text = (
                StatusCode.PLAY_STREAM_NOT_FOUND,
                f"No server that was asked has {self._subscription.key.name}.",
            )
        if reason is CloseReason.CROWDED:
            name = self._subscription.key.name
            code = StatusCode.PLAY_STREAM_NOT_FOUND
            text = f"Nobody publishes {name} any more, and your address waits for too many others already."
        if self._refusal is not None:
            text = self._refusal.description
        self._peer.session.end_play(self.stream_id, code, text)
        self._peer.end(reason)

    # The connection

    def adjust(self, event: PlayControl) -> None:
        """Follow the player's own controls; where nothing is kept a live stream has one position, so a seek
        changes nothing.
        """
        match event:
            case PauseRequested(paused=paused):
                self._pause(paused=paused)
            case SeekRequested(position_ms=position) if self._rules.rewind:
                self._seek(position - self._offset)
            case ReceiveAudio(enabled=enabled):
                self._subscription.receive_audio(enabled)
            case ReceiveVideo(enabled=enabled):
                self._subscription.receive_video(enabled)
            case SeekRequested() | BufferLengthSet():
                pass
            case _:
                assert_never(event)

    def look(self, now: float) -> None:
        """Act on the deadlines that have passed."""
        if self.ends_at <= now:
            self.dismiss(CloseReason.MAX_DURATION, None)
        elif self.waits_until <= now:
            self._give_up()

    def dismiss(self, reason: CloseReason, by: Origin | None) -> None:
        """End the subscription, because ``by`` wants it so: the engine tells the player through ``close``."""
        self._subscription.close(reason, by)

    def release(self, reason: CloseReason, detail: Word | None = None) -> int:
        """The client ended the play, or its connection did: the last call. ``detail`` is for the log.

        Returns the bytes of media that were written.
        """
        self.waits_until = self.ends_at = math.inf
        subscription = self._subscription
        subscription.detach(reason)
        if self._by_name is not None:
            self._by_name.leave()
            self._by_name = None
        written = subscription.bytes_out
        self._tell_ended(subscription, reason, detail)
        # Each has us, and we it: nobody would be free before the cyclic collector comes by.
        del self._subscription, self._peer
        return written

    # Inside

    def _attach(self, key: StreamKey, options: PlayOptions, now: float) -> Subscription:
        """Raises ``ResourceExhausted``."""
        return self._peer.context.registry.attach(key, self, self._peer.outlet, options, now)

    def _pause(self, *, paused: bool) -> None:
        subscription, held_at = self._subscription, self._held_at
        if paused and self._rewind and held_at is None:
            self._held_at = subscription.seat.intake.timestamp
        subscription.set_paused(paused)
        if not paused and held_at is not None:
            self._held_at = None
            self._go_to(held_at)

    def _seek(self, time: int) -> None:
        if self._subscription.paused:
            self._held_at = time
        else:
            self._go_to(time)

    def _go_to(self, time: int) -> None:
        """Go on with what the stream had at ``time`` (64-bit ms), as far as that is kept."""
        context, subscription = self._peer.context, self._subscription
        stream, now = context.registry.streams[subscription.key], context.clock()
        rewind = context.past.find(subscription.key, Moment(None, time))
        if rewind == self._rewind or not (rewind or stream.life is not Life.IDLE):
            return
        self._peer.flush()  # The answer goes before what it is about.
        if not subscription.attached:  # Memory is short.
            return
        self._rewind = rewind
        stream.move(subscription, rewind, now)
        self._join(now)

    def _join(self, now: float) -> None:
        """Let it flow: at once, or when it is known which track it wants."""
        if self._by_name is None:
            self._subscription.join(now)
        else:
            self._by_name.join(self._subscription, now)

    def _refuse(self, refusal: Refused) -> None:
        """The stream has no such track."""
        self._refusal = refusal
        self._subscription.close(CloseReason.NO_TRACK)

    @property
    def _sent_tracks(self) -> TrackChoice:
        if self._by_name is not None:
            return self._by_name.tracks
        return self._tracks or DEFAULT

    def _tell_ended(
        self, subscription: Subscription, reason: CloseReason, detail: Word | None = None
    ) -> None:
        fields = log.of_stream(subscription.origin, subscription.key) | {
            "duration": round(self._peer.context.clock() - subscription.since, 3),
            "bytes": subscription.bytes_out,
            "dropped": subscription.dropped,
            "codecs": codecs(subscription.stats),
            "agent": subscription.origin.agent,
            "account": subscription.origin.account or None,
            "reason": detail or reason,
            "by": log.who(subscription.ending),
        }
        logger.info("play ended", extra={"fields": fields})

    def _offset_to(self, key: StreamKey) -> int:
        """What the time of ``key`` is put forward by for who goes on there, in tenths of a second: so of many
        who are led there one by one few need images of their own.
        """
        # On air, where an encoder that came back, and a slate, go on in the time of the one before.
        seen = self._subscription.seat.intake.timestamp if self._subscription.bytes_out else 0
        stream = self._peer.context.registry.streams.get(key)
        if stream is None or not seen:
            return self._offset
        frames = stream.intake.gop.decodable()
        begin = frames[0].timestamp if frames else stream.intake.timestamp
        return math.ceil((seen + self._offset + _BEHIND_MS - begin) / _STEP_MS) * _STEP_MS

    def _start_waiting(self) -> None:
        timeout = self._rules.wait_timeout
        if timeout:
            self.waits_until = self._peer.context.clock() + timeout
            self._peer.look_by(self.waits_until)

    def _give_up(self) -> None:
        stream = self._peer.context.registry.streams.get(self._subscription.key)
        if stream is not None and stream.life is not Life.IDLE:  # It is shown later: nobody waits in vain.
            self._start_waiting()
            return
        text = f"Nobody published {self._subscription.key.name} within {self._rules.wait_timeout:g} s."
        self._peer.session.end_play(self.stream_id, StatusCode.PLAY_STREAM_NOT_FOUND, text)
        self._peer.end(CloseReason.IDLE, PlayEnd.NO_PUBLISHER)
