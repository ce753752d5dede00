"""The joints to whoever receives a stream: as bytes (a player, a push relay), or as packets (a recorder)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.packet import RtmpWire, WireFormat
from rtmpd.reasons import Word


class CloseReason(Word):
    """Why a publication or a subscription ended; a word for metrics, logs and hooks."""

    FINISHED = "finished", "the peer ended it in order"
    CONNECTION_LOST = "connection_lost", "the connection broke, or an encoder left without saying so"
    IDLE = "idle", "a deadline"
    REFUSED = (
        "refused",
        "another request on the same connection was refused, and the connection ended with it",
    )
    PROTOCOL_ERROR = "protocol_error", "the peer broke the protocol or a limit"
    MEDIA_REJECTED = "media_rejected", "what it sent is not what the stream [takes](#what-may-be-published)"
    SLOW = "slow", "a player was too far behind for `player.disconnect_after`"
    MEMORY = (
        "memory",
        "memory was short (`memory.max_bytes`), and it had most waiting, or most of an unfinished message",
    )
    KICKED = (
        "kicked",
        "somebody ended it from outside, whom the field `by` names; or a push target was removed at run time",
    )
    REDIRECTED = (
        "redirected",
        "somebody in charge has [led it](api.md#redirected-players) to another stream, where it goes on",
    )
    EXPIRED = "expired", "what it was granted held for a while, which is over"
    SUPERSEDED = (
        "superseded",
        "another encoder took the name over, as [`on_duplicate`](#two-encoders-one-name) has it",
    )
    MAX_DURATION = (
        "max_duration",
        "it has lasted for `max_duration` of [its stream](#how-many-and-how-long)",
    )
    WITHDRAWN = (
        "withdrawn",
        (
            "the settings or a file of keys allow it no more, or the [backend](hooks.md) took it back at "
            "`on_update`"
        ),
    )
    NOT_FOUND = "not_found", "a player waited for a stream that no origin has; see [relays](#relays)"
    CROWDED = (
        "crowded",
        "its publisher left, `stream.max_waiting_names` are awaited, and its address has more than its share",
    )
    CODEC = "codec", "the stream has a codec that [MP4](http.md#mp4) cannot hold, and MP4 was asked for"
    NO_TRACK = (
        "no_track",
        "a player wanted a [track](#tracks) by name that the stream turned out not to have",
    )
    READ_FAILED = "read_failed", "a [file](files.md) that was played could not be read any further"
    SHUTDOWN = "shutdown", "the server ended"
    INTERNAL_ERROR = "internal_error", "a bug of rtmpd; the log has its traceback"


class Ending(NamedTuple):
    """How a publication or a subscription ended."""

    reason: CloseReason
    by: Origin | None = None
    """Who wanted it so; None is the peer itself, or a rule of ours."""

    def __str__(self) -> str:
        return self.reason if self.by is None else f"{self.reason} by {self.by.who}"


class StartPolicy(StrEnum):
    """Where a player that joins a live stream begins. Headers and metadata come first in every case."""

    GOP = "gop"
    """At the last keyframe, out of the cache: a picture at once, up to a GOP behind the publisher."""
    KEYFRAME = "keyframe"
    """Audio at once, video from the next keyframe."""
    LIVE = "live"
    """With the next packet, even in the middle of a GOP, after a pause too: for intra refresh encoders."""


@dataclass(frozen=True, slots=True)
class SlowPlayerPolicy:
    """Bounds of a congested subscriber. Sizes in bytes, times in seconds."""

    max_backlog_bytes: int = 8 * 1024 * 1024
    """Beyond it video is dropped up to the next keyframe, then audio too. A joiner's burst is not counted."""
    max_backlog_seconds: float = 10.0
    """Age of the oldest unsent byte beyond which video is dropped."""
    resume_backlog_bytes: int = 256 * 1024
    """Video that was dropped comes back at a keyframe once the backlog is not larger than this."""
    disconnect_after: float = 30.0
    """Close a subscriber that has been beyond its bound for this long without coming back."""


_PATIENCE: Final = SlowPlayerPolicy()


class PlayOptions(NamedTuple):
    """What a subscriber asks for when it attaches."""

    start: StartPolicy = StartPolicy.GOP
    receive_audio: bool = True
    receive_video: bool = True
    policy: SlowPlayerPolicy = _PATIENCE
    requested_at: float | None = None
    """Clock reading from which time to first frame is counted; None counts from the attach."""
    delay: float | None = None
    """Seconds that it is to be behind; None is as its stream's players are."""
    apart: int = 0
    """Number of the audience (``Delaying.set_apart``) which it is one of; 0 is none."""
    audience: bool = True
    """Counts as a player, for ceilings, metrics and whether the stream is wanted; relays do not."""
    origin: Origin = NOBODY
    """Who asks; its network is charged with what is done for this subscriber alone."""

    def of(self, origin: Origin, requested_at: float) -> PlayOptions:
        """The same for one who has asked then; ``_replace`` takes longer, at every play."""
        return PlayOptions(
            self.start,
            self.receive_audio,
            self.receive_video,
            self.policy,
            requested_at,
            self.delay,
            self.apart,
            self.audience,
            origin,
        )


class Sink(Protocol):
    """Where a subscription's bytes go. No method may block.

    The engine calls ``close`` at most once and after it has detached the subscription, so no call follows it.
    An exception out of any method is logged and costs this subscriber its subscription, nobody else anything.
    """

    @property
    def wire_format(self) -> WireFormat:
        """Which encoding the engine hands over; read once, at attach."""

    def write(self, data: bytes) -> None:
        """Accept whole encoded packets. May call ``Outlet.pause_writing`` or ``Subscription.detach``."""

    def write_all(self, images: Sequence[bytes]) -> None:
        """The same with several images at once, which others are sent too: refer to them, copy nothing."""

    def stream_started(self) -> None:
        """A publisher has come to the stream that this sink is attached to; media will follow."""

    def stream_ended(self) -> None:
        """The publisher has left, everything it sent has been written. The subscription stays attached."""

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the subscription: end the connection."""


class TrackChooser(Protocol):
    """Somebody who is sent a track by its name, which may be another one after other headers."""

    def choose_tracks(self) -> bool:
        """Other headers have come, or packets while it was not known: look. Whether it is known now."""


class _NoSink:
    """The sink of whoever has left, so that what is held after it holds no connection."""

    wire_format: Final[WireFormat] = RtmpWire(128, 0)

    def write(self, data: bytes) -> None:
        """Nobody is there."""

    def write_all(self, images: Sequence[bytes]) -> None:
        """Nobody is there."""

    def stream_started(self) -> None:
        """Nobody is there."""

    def stream_ended(self) -> None:
        """Nobody is there."""

    def close(self, reason: CloseReason) -> None:
        """Nobody is there."""


NO_SINK: Final = _NoSink()


@dataclass(frozen=True, slots=True)
class TapOptions:
    """What a packet sink asks for, and how far it may be behind. Sizes in bytes, times in seconds."""

    start: StartPolicy = StartPolicy.GOP
    """Where it begins in a live stream. A GOP larger than ``max_bytes`` is left out."""
    max_bytes: int = 32 * 1024 * 1024
    """Payloads, with ``PACKET_OVERHEAD_BYTES`` for each packet, that wait or that it is at work on. Headers
    that it has missed come on top.
    """
    max_seconds: float = 10.0
    """How long a packet may wait."""
    ready_bytes: int = 0
    """``PacketSink.ready`` is called once so many bytes wait, for who otherwise takes by the clock; 0 is as
    soon as anything does.
    """
    delay: float | None = 0.0
    """Seconds that it is to be behind; None is as its stream's players are."""
    apart: int = 0
    """Number of the audience (``Delaying.set_apart``) whose packets it is given; 0 is none."""
    slate: bool = True
    """Also what is shown while the encoder sends nothing; if not, that is missing without a mark."""


class PacketSink(Protocol):
    """Whoever takes a stream's packets out of the queue of a ``Tap``, in its own time: a recorder, a muxer.

    An exception out of either method is logged and costs this sink its tap, nobody else anything.
    """

    def ready(self) -> None:
        """There is something to take again, since ``Tap.take`` returned nothing. May take at once."""

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the tap; no call follows."""
