"""A publisher's handle on its stream: where ingest begins."""

from __future__ import annotations

from typing import Final, Protocol

from rtmpd.engine.books import Books
from rtmpd.engine.headers import HeaderCache
from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import AUDIO, DATA, STREAM_METADATA, VIDEO, Packet
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import DropReason
from rtmpd.exceptions import UsageError
from rtmpd.media.codecs import audio_info, video_info
from rtmpd.media.metadata import live_metadata
from rtmpd.media.tags import (
    CODEC_METADATA,
    END_OF_SEQUENCE,
    KEYFRAME,
    SEQUENCE_HEADER,
    UNKNOWN,
    audio_flags,
    parse_video,
    video_flags,
)
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.via import NO_VIA, Via

GAP_MS: Final = 1000
"""A longer step between two messages of one medium is counted as a gap."""
_NOTEWORTHY: Final = KEYFRAME | SEQUENCE_HEADER | CODEC_METADATA | END_OF_SEQUENCE | UNKNOWN
_NOT_A_FRAME: Final = SEQUENCE_HEADER | CODEC_METADATA | END_OF_SEQUENCE
_SET_DATA_FRAME: Final = b"\x02\x00\x0d@setDataFrame"
_CLEAR_DATA_FRAME: Final = b"\x02\x00\x0f@clearDataFrame"
_SAMPLE_ACCESS: Final = b"\x02\x00\x11|RtmpSampleAccess"
_ON_META_DATA: Final = b"\x02\x00\x0aonMetaData"


class Publisher(Protocol):
    """Joint to whoever publishes: a connection, a pull relay."""

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the publication: end the connection."""


class Channel:
    """What a publication needs of its stream."""

    __slots__ = ("books", "headers", "key", "stats")

    def __init__(self, key: StreamKey, books: Books, headers: HeaderCache) -> None:
        self.key = key
        self.books = books
        self.stats = books.stream
        self.headers = headers

    @property
    def watched(self) -> bool:
        """Somebody is given what is published: a player, a relay."""
        raise NotImplementedError

    def push(self, packet: Packet) -> None:
        """Take a packet from the publication."""
        raise NotImplementedError

    def end(self, reason: CloseReason) -> None:
        """The publication is closed: deliver what is pending, then tell the subscribers."""
        raise NotImplementedError


class Publication:
    """One publisher's time on a stream, returned by ``Registry.claim``."""

    __slots__ = ("_reference", "closed", "publisher", "started_at", "stream", "via")

    def __init__(self, stream: Channel, publisher: Publisher, now: float, via: Via = NO_VIA) -> None:
        self.stream = stream
        self.publisher: Publisher | None = publisher
        """None once it is closed."""
        self.started_at = now
        """Clock reading."""
        self.via = via
        """Servers that the stream came through on its way here, for whoever passes it on."""
        self.closed = False
        # From here every first u32 unwraps to itself.
        self._reference = 0x80000000

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
        stream = self.stream
        stats = stream.stats
        if kind == VIDEO:
            flags = video_flags(payload)
            stats.video_messages_in += 1
            stats.video_bytes_in += len(payload)
            if flags & _NOTEWORTHY:
                self._note_video(flags, timestamp, payload, now)
            # quirk(obs): end of sequence comes stamped 0 at the end of a stream; it is no time of the media.
            if not flags & END_OF_SEQUENCE:
                self._reference = timestamp
                last = stats.video_timestamp
                stats.video_timestamp = timestamp
                if last is not None and not 0 <= timestamp - last <= GAP_MS:
                    self._note_jump(timestamp - last)
        elif kind == AUDIO:
            flags = audio_flags(payload)
            stats.audio_messages_in += 1
            stats.audio_bytes_in += len(payload)
            if flags & _NOTEWORTHY or stats.audio_messages_in == 1:
                self._note_audio(flags, payload)
            if not flags & END_OF_SEQUENCE:
                self._reference = timestamp
                last = stats.audio_timestamp
                stats.audio_timestamp = timestamp
                if last is not None and not 0 <= timestamp - last <= GAP_MS:
                    self._note_jump(timestamp - last)
        else:
            self._receive_data(message, timestamp)
            return
        stats.last_media_at = now
        stream.push(Packet(kind, timestamp, payload, flags))

    def close(self, reason: CloseReason) -> None:
        """End the publication: what is pending goes out, subscribers hear ``stream_ended``. Idempotent."""
        if not self.closed:
            self.closed = True
            self.publisher = None
            self.stream.end(reason)

    def _receive_data(self, message: Message, timestamp: int) -> None:
        if message.type not in (MessageType.DATA_AMF0, MessageType.DATA_AMF3):
            raise UsageError(f"message type {message.type} is not media")
        stats = self.stream.stats
        stats.data_messages_in += 1
        stats.data_bytes_in += len(message.payload)
        payload = message.payload
        if message.type == MessageType.DATA_AMF3:
            payload = payload.removeprefix(b"\x00")
        payload = payload.removeprefix(_SET_DATA_FRAME)
        if payload.startswith(_CLEAR_DATA_FRAME):
            self.stream.headers.forget_metadata()
            return
        if payload.startswith(_SAMPLE_ACCESS):
            return  # What a player may do with the samples is for this server to say, at every play.
        if not payload.startswith(_ON_META_DATA):
            self._reference = timestamp
            self.stream.push(Packet(DATA, timestamp, payload, 0))
            return
        limit = self.stream.headers.limits.max_header_bytes
        metadata = live_metadata(message) if len(payload) <= limit else None
        if metadata is None:
            self.stream.books.drop(DropReason.BAD_METADATA)
        else:
            self.stream.push(Packet(DATA, timestamp, metadata, STREAM_METADATA))

    def _note_video(self, flags: int, timestamp: int, payload: bytes, now: float) -> None:
        stats = self.stream.stats
        if flags & _NOT_A_FRAME:
            stats.video_headers += 1
        if flags & UNKNOWN:
            stats.unknown_packets += 1
        if flags & KEYFRAME:
            if stats.keyframe_timestamp is not None:
                interval = timestamp - stats.keyframe_timestamp
                stats.keyframe_interval_ms = interval
                stats.keyframe_interval_max_ms = max(interval, stats.keyframe_interval_max_ms or 0)
            stats.keyframes += 1
            stats.keyframe_timestamp = timestamp
            stats.keyframe_at = now
            if stats.video_codec is None:
                stats.video_codec = parse_video(payload).codec
        elif flags & SEQUENCE_HEADER:
            info = video_info(payload)
            if info is not None:
                stats.video_codec = info.codec
                stats.width = info.width or None
                stats.height = info.height or None

    def _note_audio(self, flags: int, payload: bytes) -> None:
        stats = self.stream.stats
        if flags & _NOT_A_FRAME:
            stats.audio_headers += 1
        if flags & UNKNOWN:
            stats.unknown_packets += 1
        info = audio_info(payload)
        if info is not None:
            stats.audio_codec = info.codec
            stats.audio_sample_rate = info.sample_rate or None
            stats.audio_channels = info.channels or None

    def _note_jump(self, step: int) -> None:
        # Counted, never repaired: a relay that guesses at time breaks more players than it helps.
        if step < 0:
            self.stream.stats.timestamp_regressions += 1
        else:
            self.stream.stats.timestamp_gaps += 1
