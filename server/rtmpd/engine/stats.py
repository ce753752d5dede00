"""Counters of the server and of each stream: plain ints that the hot path adds to and metrics read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import exp
from typing import Final, TypeVar

from rtmpd.engine.claim import HoldEnd
from rtmpd.engine.drops import DropReason
from rtmpd.engine.encoder import EncoderStats
from rtmpd.engine.levels import Levels
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.slate import SlateStats
from rtmpd.reasons import HandshakeFailure, Refusal, SessionFailure
from rtmpd.rtmp.quirks import Quirk

Key = TypeVar("Key", bound=str)

FIRST_FRAME_BOUNDS: Final[tuple[float, ...]] = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
"""Seconds; buckets of the time from a player's request to its first frame."""


def count(table: dict[Key, int], key: Key, amount: int = 1) -> None:
    """Add ``amount`` to the counter of ``key``. Keys must come from a closed set, never from a peer."""
    table[key] = table.get(key, 0) + amount


class Histogram:
    """Observations in buckets with upper ``bounds`` (inclusive, ascending); the last bucket is unbounded."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Per bucket, not cumulative."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self.counts)


class SmoothedRate:
    """Per-second rate of a growing total, smoothed exponentially over 1 s and 10 s.

    In the beginning it is the average so far: the seconds before there was anything do not count.
    """

    __slots__ = ("_total", "_weight_1s", "_weight_10s", "over_1s", "over_10s")

    def __init__(self) -> None:
        self._total = 0
        self._weight_1s = 0.0
        self._weight_10s = 0.0
        self.over_1s = 0.0
        self.over_10s = 0.0

    def sample(self, total: int, elapsed: float) -> None:
        """Take in the total ``elapsed`` seconds (> 0) after the sample before."""
        rate = (total - self._total) / elapsed
        self._total = total
        gain_1s, gain_10s = 1.0 - exp(-elapsed), 1.0 - exp(-elapsed / 10.0)
        self._weight_1s += (1.0 - self._weight_1s) * gain_1s
        self._weight_10s += (1.0 - self._weight_10s) * gain_10s
        self.over_1s += (rate - self.over_1s) * gain_1s / self._weight_1s
        self.over_10s += (rate - self.over_10s) * gain_10s / self._weight_10s

    def stop(self) -> None:
        """Nothing flows any more."""
        self.over_1s = self.over_10s = 0.0


class TrackStats:
    """What is known of one track of a stream that has several, since the publication began."""

    __slots__ = (
        "byte_rate",
        "bytes_in",
        "codec",
        "frame_rate",
        "frames",
        "height",
        "keyframe_interval_ms",
        "keyframe_timestamp",
        "width",
    )

    def __init__(self) -> None:
        self.bytes_in = 0
        self.frames = 0
        self.codec: str | None = None
        self.width: int | None = None
        self.height: int | None = None
        self.keyframe_timestamp: int | None = None
        self.keyframe_interval_ms: int | None = None
        self.byte_rate = SmoothedRate()
        """Bytes per second."""
        self.frame_rate = SmoothedRate()

    def keyframe(self, timestamp: int) -> None:
        """Note a keyframe at ``timestamp`` (ms)."""
        if self.keyframe_timestamp is not None:
            self.keyframe_interval_ms = timestamp - self.keyframe_timestamp
        self.keyframe_timestamp = timestamp

    def sample(self, elapsed: float) -> None:
        """Derive the rates, ``elapsed`` seconds (> 0) after the sample before."""
        self.byte_rate.sample(self.bytes_in, elapsed)
        self.frame_rate.sample(self.frames, elapsed)

    def stop(self) -> None:
        """The publication has ended."""
        self.byte_rate.stop()
        self.frame_rate.stop()


class Totals:
    """What adds up of all that was sent, and was not: over the publications of a stream, or all streams.

    Sizes are wire bytes.
    """

    __slots__ = (
        "_sampled_at",
        "bytes_out",
        "drops",
        "gop_overflows",
        "gop_trims",
        "messages_out",
        "out_rate",
        "switches",
    )

    def __init__(self) -> None:
        self._sampled_at = -1.0
        self.bytes_out = 0
        self.out_rate = SmoothedRate()
        """Bytes per second."""
        self.messages_out = 0
        self.drops: dict[DropReason, int] = {}
        """Packets by ``DropReason``; one count per player that missed it."""
        self.gop_overflows = 0
        """GOPs longer than the cache may hold: late joiners got its keyframe only."""
        self.gop_trims = 0
        """GOP caches cut or emptied because memory ran short."""
        self.switches: dict[str, int] = {}
        """Changes from the main encoder to the backup and back, by ``Place.source`` of who went on."""

    def sample(self, now: float) -> None:
        """Derive the rates; call it about once a second, the first time within one."""
        elapsed = 1.0 if self._sampled_at < 0.0 else now - self._sampled_at
        if elapsed > 0.0:
            self._sampled_at = now
            self._take_in(elapsed)

    def _take_in(self, elapsed: float) -> None:
        self.out_rate.sample(self.bytes_out, elapsed)


class ServerStats(Totals):
    """Totals of one process. ``serving`` counts what concerns connections, the engine what concerns media.

    What was sent is media that the engine handed to sinks, and all else, which ``serving`` adds.
    """

    __slots__ = (
        "banned",
        "bans_total",
        "bytes_in",
        "connections",
        "connections_total",
        "handshake_failures",
        "held_streams",
        "holds_ended",
        "in_rate",
        "keyframe_timeouts",
        "levels",
        "messages_in",
        "other_players",
        "other_plays",
        "players",
        "players_closed",
        "plays_total",
        "published_streams",
        "publishers",
        "publishes_ended",
        "publishes_total",
        "publishes_waiting",
        "publishes_without_media",
        "refusals",
        "sessions_failed",
        "sink_errors",
        "slates",
        "time_to_first_frame",
        "tolerated",
        "unsent_bytes",
        "viewers",
    )

    def __init__(self) -> None:
        super().__init__()
        self.connections: dict[str, int] = {}
        """Open now, by state. Written by ``serving``."""
        self.connections_total = 0
        self.handshake_failures: dict[HandshakeFailure, int] = {}
        self.sessions_failed: dict[SessionFailure, int] = {}
        self.refusals: dict[Refusal, int] = {}
        """Requests not granted, by ``Refused.reason``; counted where the peer is answered."""
        self.banned = self.bans_total = 0
        """Networks that are banned now, and all that were. Written by ``access``."""
        self.bytes_in = self.messages_in = 0
        """Written by ``serving``."""
        self.in_rate = SmoothedRate()
        self.publishers = self.published_streams = 0
        """Publications there are, on air or not, and streams that have one."""
        self.publishes_total = self.plays_total = 0
        self.publishes_waiting = 0
        """Those that wait to know whether who has the name is silent for good. Written by ``serving``."""
        self.publishes_ended: dict[CloseReason, int] = {}
        self.publishes_without_media = 0
        self.players = self.viewers = 0
        """Attached now, waiting ones and those of files included; and how many these are."""
        self.held_streams = 0
        """Streams whose audience is kept for an encoder that was lost."""
        self.holds_ended: dict[HoldEnd, int] = {}
        self.slates = SlateStats()
        self.other_players: dict[str, int] = {}  # Of these, those by other protocols than RTMP.
        self.other_plays: dict[str, int] = {}
        self.players_closed: dict[CloseReason, int] = {}
        """Players that the engine closed, by ``CloseReason``."""
        self.keyframe_timeouts = 0
        """Players, and whole streams, whose video went on without a keyframe that never came."""
        self.sink_errors = 0
        self.tolerated: dict[Quirk, int] = {}
        """What peers did against the specification and were served all the same, by ``rtmp.quirks.Quirk``."""
        self.unsent_bytes = 0
        """What congested transports have accepted and not sent, now; the same bytes count for each."""
        self.time_to_first_frame = Histogram(FIRST_FRAME_BOUNDS)
        self.levels = Levels()

    def _take_in(self, elapsed: float) -> None:
        super()._take_in(elapsed)
        self.in_rate.sample(self.bytes_in, elapsed)


class MediumStats:
    """What is known of the audio, or the video, of one publication."""

    __slots__ = ("byte_rate", "bytes_in", "codec", "headers", "messages_in", "timestamp")

    def __init__(self) -> None:
        self.bytes_in = 0
        self.messages_in = 0
        self.headers = 0
        """Messages that are not frames."""
        self.timestamp: int | None = None
        """Of the last message."""
        self.codec: str | None = None
        """FourCC or its legacy equivalent, as ``media.tags`` names it."""
        self.byte_rate = SmoothedRate()
        """Bytes per second."""


class StreamStats:
    """What is known of one publication, which begins ``now``, and the ``totals`` of its stream.

    Sizes are payload bytes. Timestamps are 64-bit milliseconds, the publisher's own.
    """

    __slots__ = (
        "_sampled_at",
        "audio",
        "data_bytes_in",
        "data_messages_in",
        "drops",
        "encoder",
        "frame_rate",
        "gop_overflows",
        "height",
        "keyframe_at",
        "keyframe_interval_max_ms",
        "keyframe_interval_ms",
        "keyframe_timestamp",
        "keyframes",
        "keyless_segments",
        "last_media_at",
        "on_air",
        "sequence_header_changes",
        "timestamp_gaps",
        "timestamp_regressions",
        "totals",
        "tracks",
        "unknown_packets",
        "video",
        "video_messages_aside",
        "width",
    )

    def __init__(self, totals: Totals | None = None, now: float = 0.0) -> None:
        self.totals = totals or Totals()
        self.on_air = True
        """What is lost of it is lost to an audience, and adds to the totals."""
        self.drops: dict[DropReason, int] = {}
        """Of what it sent: packets that went to nobody, on air or not."""
        self.gop_overflows = 0
        self.audio = MediumStats()
        self.video = MediumStats()
        self.video_messages_aside = 0
        """Of tracks beside the default one."""
        self.data_bytes_in = 0
        self.data_messages_in = 0
        self.last_media_at: float | None = None
        """Clock reading of the last audio or video message."""
        self.width: int | None = None
        self.height: int | None = None
        self.frame_rate = SmoothedRate()
        """Video frames per second."""
        self.keyframes = 0
        self.keyframe_timestamp: int | None = None
        self.keyframe_at: float | None = None
        """Clock reading."""
        self.keyframe_interval_ms: int | None = None
        self.keyframe_interval_max_ms: int | None = None
        self.keyless_segments = 0
        """Of its segments in HLS: those that had to begin without a keyframe, because none came in time."""
        self.timestamp_regressions = 0
        """Messages stamped earlier than the one before of their medium."""
        self.timestamp_gaps = 0
        """Messages stamped more than a second after the one before of their medium."""
        self.sequence_header_changes = 0
        """Sequence headers that replaced a different one; the first of each track is no change."""
        self.unknown_packets = 0
        self.encoder: EncoderStats | None = None
        """What it says of itself; None as long as it says nothing."""
        self.tracks: dict[tuple[int, int], TrackStats] = {}
        """By message type (8, 9) and track id; empty as long as no medium has more than one. All else that is
        said of a medium here is its default track's, but for messages, bytes and timestamps.
        """
        self._sampled_at = now

    def begin(self, now: float) -> None:
        """The publication begins now, and not when this was made."""
        self._sampled_at = now

    @property
    def video_frames(self) -> int:
        """Of the default track."""
        return self.video.messages_in - self.video.headers - self.video_messages_aside

    @property
    def skew_ms(self) -> int | None:
        """Last video timestamp minus last audio timestamp; None until both media have come."""
        if self.video.timestamp is None or self.audio.timestamp is None:
            return None
        return self.video.timestamp - self.audio.timestamp

    def sample(self, now: float) -> None:
        """Derive the rates; call it about once a second."""
        elapsed = now - self._sampled_at
        if elapsed <= 0.0:
            return
        self._sampled_at = now
        for medium in (self.audio, self.video):
            medium.byte_rate.sample(medium.bytes_in, elapsed)
        self.frame_rate.sample(self.video_frames, elapsed)
        for track in self.tracks.values():
            track.sample(elapsed)

    def stop(self) -> None:
        """The publication has ended: totals stay, nothing flows."""
        for rate in (self.audio.byte_rate, self.video.byte_rate, self.frame_rate):
            rate.stop()
        for track in self.tracks.values():
            track.stop()
