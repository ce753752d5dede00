"""A sink's place in a stream: what it is sent while it keeps up, and what it misses while it does not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from rtmpd.engine.books import Books
from rtmpd.engine.congestion import Congestion
from rtmpd.engine.drops import DropReason
from rtmpd.engine.fanout import Fanout, Member
from rtmpd.engine.headers import HeaderCache
from rtmpd.engine.intake import Intake, Opening
from rtmpd.engine.key import StreamKey
from rtmpd.engine.levels import JoinEnd
from rtmpd.engine.origin import Origin
from rtmpd.engine.outlet import Backlog, Outlet
from rtmpd.engine.packet import AUDIO, CACHED_HEADER, VIDEO, Packet, is_for
from rtmpd.engine.segment import Segment
from rtmpd.engine.sink import NO_SINK, CloseReason, Ending, PlayOptions, Sink, TrackChooser
from rtmpd.engine.stats import StreamStats
from rtmpd.engine.sync import VideoSync

_NO_BOUND: Final = 1 << 62

_logger = logging.getLogger(__name__)


class Seat:
    """What a subscription needs of the stream it is attached to."""

    __slots__ = (
        "books",
        "choosers",
        "covered",
        "flows_since",
        "headers",
        "intake",
        "key",
        "live",
        "live_since",
        "now",
    )

    def __init__(self, key: StreamKey, intake: Intake) -> None:
        self.key = key
        self.intake = intake
        """Of the publication on air, or the last that was."""
        self.headers: HeaderCache = intake.headers
        self.books: Books = intake.books
        self.choosers: dict[TrackChooser, int] = {}
        """Those who are sent tracks by name, with the version of the headers by which they have chosen."""
        self.live = False  # Somebody publishes.
        self.covered = False  # What is delivered is a slate, instead of what is published.
        self.live_since = 0.0
        """Clock reading at which the last publisher came to a stream without one."""
        self.flows_since = 0.0
        """Clock reading until which its media has not come, as far as somebody looked."""
        self.now = 0.0  # Clock reading of the last flush or attach.

    def waited(self, since: float, now: float) -> float:
        """Seconds from ``since`` on, less those without a publisher."""
        return now - max(since, self.live_since)

    def note_started(self, subscription: Subscription, now: float) -> None:
        """It was sent its first frame."""
        if subscription.audience:
            self.books.server.time_to_first_frame.observe(self.waited(subscription.since, now))
            self.note_join(subscription, JoinEnd.FIRST_FRAME)  # Unless it has come too late.

    def note_join(self, subscription: Subscription, end: JoinEnd) -> None:
        """Count what became of a play of a live stream, once."""
        if subscription.audience and not subscription.joined:
            subscription.joined = True
            self.books.server.levels.note_join(end)

    def place(self, subscription: Subscription) -> None:
        """Put it on the list that its state calls for."""
        raise NotImplementedError

    def leave(self, subscription: Subscription) -> None:
        """It is detached, or if it still is attached goes on with another audience of the stream."""
        raise NotImplementedError

    def rewire(self, subscription: Subscription) -> None:
        """Its sink has another wire format than before: it begins anew with its ``join``."""
        raise NotImplementedError


class Subscription(Member):
    """A sink's place in a stream, returned by ``Registry.attach``.

    Nothing is written before ``join``. Every method may be called from inside ``Sink.write``. A subscription
    is either on the fast list of its wire format, where it gets every batch without a look at it, or
    *watched*: while it waits for a stream or a keyframe, is congested, or has asked for less than everything,
    each batch is chosen for it.
    """

    __slots__ = (
        "_bytes_out",
        "_start",
        "_started",
        "_sync",
        "_version",
        "_waits_for_room",
        "attached",
        "audience",
        "dropped",
        "ending",
        "fanout",
        "joined",
        "origin",
        "outlet",
        "paused",
        "receives_audio",
        "receives_video",
        "seat",
        "since",
    )

    def __init__(
        self, seat: Seat, fanout: Fanout, sink: Sink, outlet: Outlet, options: PlayOptions, now: float
    ) -> None:
        super().__init__(sink)
        self.seat = seat
        self.fanout = fanout
        """The fast list of its wire format, which it is on or not."""
        self.outlet = outlet
        """The transport of its sink, which other plays of the same connection may share."""
        self.origin: Origin = options.origin
        self.since = now if options.requested_at is None else options.requested_at
        """Clock reading at which it was asked for."""
        self.ending: Ending | None = None
        """None while it is attached."""
        self.dropped = 0
        """Packets kept from this subscriber because it was behind or waited for a keyframe."""
        self._start = options.start
        self._sync: VideoSync | None = VideoSync(options.start, fanout.encoding.tracks.video)
        """None on the fast list, where any frame may follow: most are there, most of the time."""
        self._bytes_out = 0
        """Bytes handed to the sink; on the fast list less those that the list had handed out before."""
        self._version = -1
        """Version of the header cache that the sink has seen all of."""
        self.audience = options.audience  # Flags side by side: each is a byte, compiled; alone eight.
        self.attached = True
        self.receives_audio = options.receive_audio
        self.receives_video = options.receive_video
        self.paused = False
        self._waits_for_room = False  # Begins once the outlet has drained.
        self._started = self.joined = False  # Joined is who has been counted, whatever became of the play.
        outlet.attach(self, options.policy)

    @property
    def live(self) -> bool:
        """Somebody publishes what it waits for or is sent."""
        return self.seat.live

    @property
    def backlog(self) -> Backlog:
        return self.fanout.backlog

    @property
    def key(self) -> StreamKey:
        """Of the stream."""
        return self.seat.key

    @property
    def stats(self) -> StreamStats:
        """Of the publication on air, or the last that was."""
        return self.seat.books.stream

    @property
    def bytes_out(self) -> int:
        """Bytes handed to the sink so far."""
        return self._bytes_out + (self.fanout.bytes_each if self.on_fast_list else 0)

    @property
    def on_fast_list(self) -> bool:
        return self.fanout_position >= 0

    @property
    def fast(self) -> bool:
        """Whether it belongs on the fast list: every packet may go to it unseen."""
        return (
            self.begun
            and self.outlet.congestion is None
            and (self._sync is None or self._sync.synced)
            and self._started
            and not self.paused
            and self.receives_audio
            and self.receives_video
            and (self.on_fast_list or self._version == self.seat.headers.version)
        )

    def detach(self, reason: CloseReason = CloseReason.FINISHED, by: Origin | None = None) -> None:
        """Leave the stream: no further call on the sink. Idempotent."""
        if self.attached:
            self.attached = False
            self.ending = Ending(reason, by)
            self.outlet.detach(self)
            self.seat.leave(self)
            self.sink = NO_SINK

    def close(self, reason: CloseReason, by: Origin | None = None) -> None:
        """Detach and tell the sink to close (kick), because ``by`` wants it so. Idempotent."""
        if self.attached:
            sink = self.sink
            self.detach(reason, by)
            books = self.seat.books
            if self.audience:
                books.count_closed(reason)
            try:
                sink.close(reason)
            except Exception:
                _logger.exception("a sink of %s failed to close", self.seat.key)
                books.server.sink_errors += 1

    def set_paused(self, paused: bool) -> None:
        """The player's pause command: nothing is sent until it resumes, video at the next keyframe.

        At any frame, if it has started ``LIVE``.
        """
        if self.attached and paused != self.paused:
            self.paused = paused
            self._video().lose()
            self.seat.place(self)

    def receive_audio(self, enabled: bool) -> None:
        """The player's receiveAudio command."""
        if self.attached and enabled != self.receives_audio:
            self.receives_audio = enabled
            self._version = -1
            self.seat.place(self)

    def receive_video(self, enabled: bool) -> None:
        """The player's receiveVideo command; video comes back as after a pause."""
        if self.attached and enabled != self.receives_video:
            self.receives_video = enabled
            self._video().lose()
            self._version = -1
            self.seat.place(self)

    def join(self, now: float, *, aside: bool = False) -> None:
        """Let it flow: headers and what is cached are written at once, by reference to shared images. Who
        gets it ``aside``, and nothing by its sink, whose format encodes nothing, has the first of it.

        If the outlet is congested, this happens when it has drained: whoever does not read what it has been
        sent already is sent nothing more. A sink that fails meanwhile leaves the subscription no longer
        ``attached``.
        """
        if self.begun or not self.attached:
            return
        if self.outlet.congestion is not None:
            self._waits_for_room = True
            return
        self.begun = True
        seat = self.seat
        if aside:
            self._sync, self._version, self._started = None, seat.headers.version, True
            seat.note_started(self, now)
            seat.place(self)
            return
        encoding = self.fanout.encoding
        opening = seat.intake.opening(
            encoding, self._start, now, audio=self.receives_audio, video=self.receives_video
        )
        if self.receives_video:
            self._video().open(opening.synced, opening.begun)
        self._version = seat.headers.version
        images = [opening.head, *opening.frames] if opening.head else list(opening.frames)
        if images:
            self._write_burst(images, opening, now)
        seat.place(self)

    def note_fetched(self, size: int) -> None:
        """It has had so much aside, which is counted of its stream where it is sent."""
        self._bytes_out += size

    # Below: called by Audience, Fanout and Outlet.

    def move(self, seat: Seat, fanout: Fanout) -> None:
        """Go on there as who joins, with ``join``."""
        if seat is not self.seat:
            self.seat.leave(self)
            self.seat = seat
        self.fanout = fanout
        self._sync = VideoSync(self._start, fanout.encoding.tracks.video)
        self._version = -1
        self.begun = self._waits_for_room = False

    def flow_changed(self, now: float) -> None:
        if not self._waits_for_room:
            self.seat.place(self)
        elif self.outlet.congestion is None:
            self._waits_for_room = False
            self.join(now)

    def notify_started(self) -> None:
        """A publisher has come."""
        self._tell(self.sink.stream_started)

    def notify_ended(self) -> None:
        """The publisher has left."""
        self._tell(self.sink.stream_ended)

    def sink_failed(self) -> None:
        self.seat.books.server.sink_errors += 1
        self.close(CloseReason.INTERNAL_ERROR)

    def joined_fanout(self, position: int) -> None:
        self.fanout_position = position
        self._bytes_out -= self.fanout.bytes_each
        self._sync = None

    def left_fanout(self) -> None:
        # Up to date with everything the stream has delivered.
        self._bytes_out = self.bytes_out
        self.fanout_position = -1
        self._version = self.seat.headers.version

    def deliver(self, segment: Segment, now: float) -> None:
        """The watched path: choose what of ``segment`` may go to this sink, and write it."""
        if self.paused or not self.begun:
            return
        outlet, congestion = self.outlet, self.outlet.congestion
        if congestion is not None:
            outlet.measure(now)
            outlet.judge(now)
            if not self.attached:
                return
        if _takes_all(self, segment, congestion):
            self._version = self.seat.headers.version
            self._write(segment.image(self.fanout.encoding), segment.packets, now, alone=False)
        else:
            packets = self._choose(segment, congestion, now)
            if packets:
                image, alone = segment.part(self.fanout.encoding, packets)
                self._write(image, packets, now, alone=alone)
        if self.fast:
            self.seat.place(self)

    def _write_burst(self, images: list[bytes], opening: Opening, now: float) -> None:
        size = sum([len(image) for image in images])
        self._note_written(size, opening.head_messages + opening.messages)
        if opening.messages and not self._started:
            self._started = True
            self.seat.note_started(self, now)
        # An outlet that pauses meanwhile pauses for what we owed, not for what the player is behind with.
        self.outlet.burst_bytes = size
        self._tell(self.sink.write_all, images)
        self.outlet.burst_bytes = 0

    def _write(self, image: bytes, packets: list[Packet], now: float, *, alone: bool) -> None:
        if not image:
            return
        size = len(image)
        self._note_written(size, len(packets))
        self.outlet.wrote(now, size, size if alone else 0)
        if not self._started and any(not packet.flags & CACHED_HEADER for packet in packets):
            self._started = True
            self.seat.note_started(self, now)
        self._tell(self.sink.write, image)

    def _video(self) -> VideoSync:
        """Where it stands in the video."""
        if self._sync is None:
            self._sync = VideoSync(self._start, self.fanout.encoding.tracks.video)
            self._sync.synced = True
        return self._sync

    def _note_written(self, size: int, messages: int) -> None:
        self._bytes_out += size
        self.seat.books.count_out(size, messages)

    def _tell(self, call: Callable[..., None], *what: object) -> None:
        """The sink, which may fail."""
        try:
            call(*what)
        except Exception:
            _logger.exception("a sink of %s failed", self.seat.key)
            self.sink_failed()

    def _choose(self, segment: Segment, congestion: Congestion | None, now: float) -> list[Packet]:
        """Packets of ``segment`` for this sink, with headers it has missed put before the first frame."""
        headers, tracks = self.seat.headers, self.fanout.encoding.tracks
        current = self._version == segment.version_before
        room = _NO_BOUND if congestion is None else congestion.room
        chosen: list[Packet] = []
        for packet in segment.packets:
            if not is_for(packet, tracks):
                continue
            if packet.flags & CACHED_HEADER:
                # A sink that has missed a header gets all of them before its next frame, this one among them.
                if not self._wants(packet.kind):
                    continue
                # Whoever has chosen a track begins like that: of which track the first header is shows with
                # the next ones.
                waits = not self._started and tracks.particular
                current = current and not waits and len(packet.payload) <= room
                if current:
                    chosen.append(packet)
                    room -= len(packet.payload)
                continue
            if current:
                self._version = headers.version
            if self._admit(packet, congestion, room, now):
                if self._version != headers.version:
                    self._version = headers.version
                    missed = headers.packets(
                        packet.timestamp, audio=self.receives_audio, video=self.receives_video
                    )
                    chosen += missed
                    room -= sum(len(header.payload) for header in missed)
                chosen.append(packet)
                room -= len(packet.payload)
        if current:
            self._version = headers.version
        return chosen

    def _wants(self, kind: int) -> bool:
        return self.receives_video if kind == VIDEO else kind != AUDIO or self.receives_audio

    def _admit(self, packet: Packet, congestion: Congestion | None, room: int, now: float) -> bool:
        """Whether a packet that is no header may go to this sink; counts it when it is dropped."""
        if not self._wants(kind := packet.kind):
            return False
        if kind == VIDEO:
            reason = self._video().admit(packet, self.seat.intake, congestion, room, now)
        elif len(packet.payload) <= room:
            reason = None
        else:
            reason = DropReason.SLOW_AUDIO if kind == AUDIO else DropReason.SLOW_DATA
            if congestion is not None:
                congestion.fall_behind(now)
        if reason is not None:
            self.dropped += 1
            self.seat.books.drop(reason)
        return reason is None


def _takes_all(subscription: Subscription, segment: Segment, congestion: Congestion | None) -> bool:
    return (
        (subscription._sync is None or subscription._sync.synced)
        and (subscription._started or not subscription.fanout.encoding.tracks.particular)
        and subscription.receives_audio
        and subscription.receives_video
        and subscription._version == segment.version_before
        and (congestion is None or congestion.takes(segment.payload_bytes))
    )
