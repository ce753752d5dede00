"""A publisher's handle on its stream: where ingest begins."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from rtmpd.engine.channel import Channel
from rtmpd.engine.drops import DropReason
from rtmpd.engine.figures import adopt_track, begin_tracks, note_audio, note_track, note_video
from rtmpd.engine.health import HealthKind, HealthNews, HealthWarning
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.media_limits import Inspection
from rtmpd.engine.origin import Origin
from rtmpd.engine.packet import (
    ASIDE,
    AUDIO,
    CACHED_HEADER,
    DATA,
    ELECT,
    FORGET,
    STREAM_METADATA,
    TRACK_SHIFT,
    TRACKED,
    VIDEO,
    Packet,
)
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.engine.terms import Terms
from rtmpd.engine.tracks import Election
from rtmpd.exceptions import Refused, UsageError
from rtmpd.media.metadata import live_metadata
from rtmpd.media.tags import (
    CODEC_METADATA,
    CODED_FRAME,
    END_OF_SEQUENCE,
    ENHANCED,
    KEYFRAME,
    MULTITRACK,
    SEQUENCE_HEADER,
    UNKNOWN,
    audio_flags,
    video_flags,
)
from rtmpd.media.tracks import MANY_TRACKS, split_tracks, track_of
from rtmpd.rtmp.constants import (
    CLEAR_DATA_FRAME,
    ON_META_DATA,
    SAMPLE_ACCESS,
    SET_DATA_FRAME,
    MessageType,
)
from rtmpd.rtmp.messages import Message, amf0_payload
from rtmpd.rtmp.rates import TokenBucket

GAP_MS: Final = 1000
"""A longer step between two messages of one medium is counted as a gap."""
_NOTEWORTHY: Final = KEYFRAME | SEQUENCE_HEADER | CODEC_METADATA | END_OF_SEQUENCE | UNKNOWN | MULTITRACK
_MAX_CHANGES: Final = 4
"""Changes of codecs that are told at once; of further ones what has come of them is told once a second."""
_METADATA_BYTES: Final = 4096
"""Of onMetaData that count as one update, because reading it costs time by its size."""
_LEAST_METADATA_BYTES: Final = 512


class PublicationOwner(Protocol):
    """Joint to whoever publishes: a connection, a pull relay."""

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the publication: end the connection."""


class Home(Channel):
    """What a publication needs of its stream, which takes the packets of the one on air itself."""

    __slots__ = ("key",)

    def __init__(self, key: StreamKey) -> None:
        self.key = key

    @property
    def watched(self) -> bool:
        """Somebody is written to as it comes: a player, a relay. Who takes packets takes them later."""
        raise NotImplementedError

    def switched(self, publication: Publication, packet: Packet, steady_for: float) -> bool:
        """Whether the publication has gone on air with this frame, which is taken then.

        ``steady_for``: seconds for which it has sent something without a pause.
        """
        raise NotImplementedError

    def end(self, publication: Publication) -> None:
        """It is closed: deliver what is pending, then tell the subscribers."""
        raise NotImplementedError


class Codecs(NamedTuple):
    """FourCCs of a publication, or their legacy equivalents; None where it has no such medium yet."""

    video: str | None
    audio: str | None


class PublicationObserver(Protocol):
    """Joint to whoever is told how a publication gets on; see ``StreamObserver``."""

    def media_started(self, publication: Publication, codecs: Codecs) -> None:
        """Its first frame has come."""

    def codecs_changed(self, publication: Publication, before: Codecs, after: Codecs) -> None:
        """Behind its first frame another codec begins, or a medium that was not there ``before``."""

    def warned(self, publication: Publication, kind: HealthKind, warning: HealthWarning) -> None:
        """Something is wrong with it."""

    def warning_over(self, publication: Publication, kind: HealthKind) -> None:
        """It is not any more."""


class Publication:
    """One publisher's time on a stream, returned by ``Registry.claim``. It may be on air or not."""

    __slots__ = (
        "_books",
        "_change_rate",
        "_codecs",
        "_elections",
        "_header_rate",
        "_headers",
        "_inspection",
        "_metadata_rate",
        "_news",
        "_observer",
        "_reference",
        "_sound",
        "channel",
        "claimants",
        "closed",
        "ending",
        "intake",
        "max_players",
        "mode",
        "offset",
        "origin",
        "owner",
        "place",
        "policy",
        "rejection",
        "started_at",
        "stats",
        "stream",
    )

    def __init__(
        self,
        stream: Home,
        intake: Intake,
        owner: PublicationOwner,
        origin: Origin,
        terms: Terms,
        observer: PublicationObserver,
        now: float,
    ) -> None:
        self._observer = observer
        self._codecs: Codecs | None = None
        """As observers were told; None before its first frame."""
        self._change_rate = TokenBucket(1.0, _MAX_CHANGES, now)
        self._news = HealthNews()
        self.stream = stream
        self.intake = intake
        self.channel: Channel = stream
        """Where its packets go; for the stream to change."""
        self.offset = 0
        """What its time is put forward by on air (ms)."""
        self.policy, self.max_players, media, self.place, self.mode = terms
        self.stats = intake.books.stream
        self._inspection = Inspection(media, self.stats) if media is not None and media.any else None
        intake.checkup.inspection = self._inspection
        self.rejection: Refused | None = None
        """Why it ended, if for what it sent."""
        self._books = intake.books
        self._headers = intake.headers
        self.owner: PublicationOwner | None = owner
        """None once it is closed."""
        self.started_at = now
        """Clock reading."""
        self.origin = origin
        self.claimants = 0
        """Those who wait to know whether it is silent for good, and its name theirs."""
        self.ending: Ending | None = None
        """None before its end is decided."""
        self.closed = False
        # From here every first u32 unwraps to itself.
        self._reference = 0x80000000
        self._sound = b""
        """How audio messages begin as long as their codec stays the same."""
        self._elections: dict[int, Election] = {}
        """By message type, of media with several tracks; usually empty."""
        limits = intake.headers.limits
        self._metadata_rate = TokenBucket(limits.max_updates, 2 * limits.max_updates, now)
        # All tracks may announce themselves at once, with a header and with codec metadata, in both media.
        self._header_rate = TokenBucket(limits.max_updates, limits.max_updates + 4 * limits.max_tracks, now)

    def receive(self, message: Message, now: float) -> None:
        """Take in an audio, video or data message (types 8, 9, 18, 15). Never raises on what a peer sends.

        Ignored once the publication is closed. Raises ``UsageError`` for other types.
        """
        if self.closed:
            return
        kind = message.type
        payload = message.payload
        # Serial number arithmetic: the signed 32-bit step from the message before (protocol 2.10).
        reference = self._reference
        step = (message.timestamp - reference) & 0xFFFFFFFF
        timestamp = reference + step if step < 0x80000000 else reference + step - 0x100000000
        stats = self.stats
        if kind == VIDEO:
            figures = stats.video
            flags = video_flags(payload)
            noteworthy = flags & _NOTEWORTHY
        elif kind == AUDIO:
            figures = stats.audio
            flags = audio_flags(payload)
            sound = payload[:5] if flags & ENHANCED else payload[:1]
            noteworthy = flags & _NOTEWORTHY or sound != self._sound
            self._sound = sound
        else:
            self._receive_data(message, timestamp, now)
            return
        figures.messages_in += 1
        figures.bytes_in += len(payload)
        last = figures.timestamp
        if flags & END_OF_SEQUENCE:
            timestamp = _end_time(timestamp, last)
        else:
            self._reference = timestamp
            stats.last_media_at = now
            figures.timestamp = timestamp
            if last is not None and not 0 <= timestamp - last <= GAP_MS:
                self._note_jump(timestamp - last)
        packet = Packet(kind, timestamp, payload, flags)
        if noteworthy or self._elections:
            self._receive_noteworthy(packet, now)
        else:
            self.channel.push(packet)

    @property
    def key(self) -> StreamKey:
        """Of the stream."""
        return self.stream.key

    @property
    def watched(self) -> bool:
        """Somebody is written to as it comes: a player, a relay. Who takes packets takes them later."""
        return self.stream.watched

    @property
    def latest(self) -> tuple[int, float] | None:
        """Time on air of its newest audio or video (64-bit ms), and the clock reading when it came."""
        stats = self.stats
        times = [time for time in (stats.audio.timestamp, stats.video.timestamp) if time is not None]
        if stats.last_media_at is None or not times:
            return None
        return max(times) + self.offset, stats.last_media_at

    def sample(self, now: float) -> None:
        """Derive rates, judge what comes and tell of it; call it about once a second."""
        intake = self.intake
        self.stats.sample(now)
        intake.look(now)
        intake.judge(now)
        self._tell_media(now)
        for kind, warning in self._news.since_last(intake.checkup.health.active, now):
            if warning is None:
                self._observer.warning_over(self, kind)
            else:
                self._observer.warned(self, kind, warning)

    def silent_for(self, now: float) -> float:
        """Seconds since its last audio or video, or since it began if there was none."""
        last = self.stats.last_media_at
        return now - (self.started_at if last is None else last)

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """Close it from the engine's side, because ``by`` wants it so: its owner is told. Idempotent."""
        owner = self.owner
        if owner is not None:
            # Before the owner hears of it, whose last call comes back here with less to tell.
            self.ending = Ending(reason, by)
            owner.close(reason)
            self.close(reason)

    def inspect(self) -> bool:
        """End it if what it sends is beyond its limits, as far as is known now; whether it may go on."""
        if self._inspection is None:
            return True
        if not self.closed and (rejection := self._inspection.rejection()) is not None:
            self.rejection = rejection
            self.dismiss(CloseReason.MEDIA_REJECTED)
        return not self.closed

    def close(self, reason: CloseReason) -> None:
        """End the publication: what is pending goes out, subscribers hear ``stream_ended``. Idempotent."""
        if not self.closed:
            self.closed = True
            self.owner = None
            if self.ending is None:
                self.ending = Ending(reason)
            self.stream.end(self)

    def _receive_noteworthy(self, packet: Packet, now: float) -> None:
        kind, flags = packet.kind, packet.flags
        if flags & CACHED_HEADER and not self._headers.holds(packet) and not self._header_rate.allow(now):
            self._note(packet, now)
            self._books.refuse(DropReason.HEADER_RATE)
        elif flags & MULTITRACK or kind in self._elections:
            self._receive_tracks(packet, now)
        else:
            self._note(packet, now)
            if self.inspect():
                self.channel.push(packet)
        self._tell_media(now)

    def _tell_media(self, now: float) -> None:
        """Tell of the first frame, and of codecs that are others behind it."""
        stats = self.stats
        told = self._codecs
        if told is None:
            if not self.closed and (stats.video_frames or stats.audio.messages_in > stats.audio.headers):
                self._codecs = Codecs(stats.video.codec, stats.audio.codec)
                self._observer.media_started(self, self._codecs)
            return
        changed = stats.video.codec != told.video or stats.audio.codec != told.audio
        if changed and self._change_rate.allow(now):
            self._codecs = Codecs(stats.video.codec, stats.audio.codec)
            if not self.closed:
                self._observer.codecs_changed(self, told, self._codecs)

    def _receive_tracks(self, packet: Packet, now: float) -> None:
        """A message of a medium with several tracks: one packet for each that is in it."""
        kind, flags, payload = packet.kind, packet.flags, packet.payload
        election = self._elections.get(kind)
        if election is None:
            election = self._begin_election(kind, packet.timestamp)
        parts = [packet]
        if flags & MULTITRACK and track_of(payload) == MANY_TRACKS:
            parts = [Packet(kind, packet.timestamp, part, flags) for part in split_tracks(payload)]
        for part in parts:
            track = track_of(part.payload) if flags & MULTITRACK else 0
            self._receive_track(election, part, track, now)
            if self.closed:  # What it cost was the last memory: nobody would give back more.
                return
        if kind == VIDEO and all(part.flags & ASIDE for part in parts):
            self.stats.video_messages_aside += 1

    def _receive_track(self, election: Election, packet: Packet, track: int, now: float) -> None:
        kind, flags, timestamp = packet.kind, packet.flags, packet.timestamp
        if not election.admit(track):
            packet.flags |= ASIDE
            self._books.refuse(DropReason.TRACK_CAP)
            return
        figures = note_track(self.stats, kind, track, flags, timestamp, packet.payload, now)
        begins = bool(flags & KEYFRAME if kind == VIDEO else flags & CODED_FRAME)
        if election.see(track, flags, timestamp, begins=begins):
            self._elect(kind, track, timestamp)
            adopt_track(self.stats, kind, figures)
        packet.flags |= TRACKED | track << TRACK_SHIFT
        if track == election.default:
            self._note(packet, now)
        else:
            packet.flags |= ASIDE
        if self.inspect():
            self.channel.push(packet)

    def _begin_election(self, kind: int, timestamp: int) -> Election:
        """A medium turns out to have several tracks. What came so far, if anything, was track 0."""
        election = self._elections[kind] = Election(self._headers.limits.max_tracks)
        stats = self.stats
        if (stats.video if kind == VIDEO else stats.audio).messages_in > 1:
            begin_tracks(stats, kind)
            election.see(0, 0, timestamp, begins=False)
            self._elect(kind, 0, timestamp)
        return election

    def _elect(self, kind: int, track: int, timestamp: int) -> None:
        self.channel.push(Packet(kind, timestamp, b"", ELECT | track << TRACK_SHIFT))

    def _receive_data(self, message: Message, timestamp: int, now: float) -> None:
        if message.type not in (MessageType.DATA_AMF0, MessageType.DATA_AMF3):
            raise UsageError(f"message type {message.type} is not media")
        stats = self.stats
        stats.data_messages_in += 1
        stats.data_bytes_in += len(message.payload)
        payload = amf0_payload(message).removeprefix(SET_DATA_FRAME)
        if payload.startswith(CLEAR_DATA_FRAME):
            self.channel.push(Packet(DATA, timestamp, b"", FORGET))
        elif payload.startswith(SAMPLE_ACCESS):
            pass  # What a player may do with the samples is for this server to say, at every play.
        elif payload.startswith(ON_META_DATA):
            self._receive_metadata(message, timestamp, now)
        else:
            self._reference = timestamp
            self.channel.push(Packet(DATA, timestamp, payload, 0))

    def _receive_metadata(self, message: Message, timestamp: int, now: float) -> None:
        if not self._metadata_rate.allow(now):
            self._books.refuse(DropReason.HEADER_RATE)
            return
        # quirk(gstreamer): a dozen small ones in a second, each with a new bitrate.
        cost = max(len(message.payload), _LEAST_METADATA_BYTES) / _METADATA_BYTES
        self._metadata_rate.take(cost - 1.0, now)
        fits = len(message.payload) <= self._headers.limits.max_header_bytes
        metadata = live_metadata(message) if fits else None
        if metadata is None:
            self._books.refuse(DropReason.BAD_METADATA)
        else:
            self.channel.push(Packet(DATA, timestamp, metadata, STREAM_METADATA))

    def _note(self, packet: Packet, now: float) -> None:
        """Figures of the medium, and of the audio whether its header still is."""
        stats = self.stats
        if packet.kind == VIDEO:
            note_video(stats, packet.flags, packet.timestamp, packet.payload, now)
            return
        before = stats.audio.codec
        note_audio(stats, packet.flags, packet.payload)
        codec = stats.audio.codec
        if packet.flags & (CODED_FRAME | UNKNOWN) == CODED_FRAME and before != codec and codec is not None:
            track = packet.flags >> TRACK_SHIFT
            order = Packet(AUDIO, packet.timestamp, codec.encode(), FORGET | track << TRACK_SHIFT)
            self.channel.push(order)

    def _note_jump(self, step: int) -> None:
        # Counted, never repaired: a relay that guesses at time breaks more players than it helps.
        if step < 0:
            self.stats.timestamp_regressions += 1
        else:
            self.stats.timestamp_gaps += 1


def _end_time(timestamp: int, last: int | None) -> int:
    """When an end of sequence is: just behind the ``last`` message of its medium.

    quirk(obs): it comes stamped 0 at the end of a stream.
    """
    return timestamp if last is None or 0 <= timestamp - last <= GAP_MS else last
