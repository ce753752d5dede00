"""What may differ from stream to stream: ``[stream]`` and ``[player]``, and what an app says instead."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from rtmpd.daemon.fields import (
    Count,
    Effect,
    Milliseconds,
    Positive,
    Seconds,
    Section,
    Size,
    Timeout,
    require_order,
)
from rtmpd.engine.gop import GopLimits
from rtmpd.engine.headers import HeaderLimits
from rtmpd.engine.limits import MERGE_WINDOW, EngineLimits
from rtmpd.engine.sink import SlowPlayerPolicy
from rtmpd.serving.access import PlayRules

# The rooms below own their defaults.
_GOP: Final = GopLimits()
_HEADERS: Final = HeaderLimits()
_ENGINE: Final = EngineLimits()
_SLOW: Final = SlowPlayerPolicy()
_RULES: Final = PlayRules()


class SharingConfig(Section):
    """How the app's streams are passed on, as in [stream]."""

    merge_window_ms: Annotated[Milliseconds, Field(le=1000)] = round(MERGE_WINDOW * 1000)
    """A busy server gathers media for up to this long and writes it at once; an idle one does not wait.
    One with many publishers also waits up to this long between one look at their sockets and the next, and
    four times as long for those that nobody watches. 0 never waits. Of a stream with less than the server
    the encoder is not read in rounds, from its next publish on."""
    max_track_choices: Positive = _ENGINE.max_track_choices
    """Different sets of tracks that the players of one stream may ask for (?track=1), at a time, beside the
    default one."""


class HeadersConfig(Section):
    """What decoders need before the first frame, as in [stream.headers]."""

    effect = Effect.PUBLISHES
    max_header_bytes: Annotated[Size, Field(ge=1024)] = _HEADERS.max_header_bytes
    """Largest one that is passed on."""
    max_tracks: Positive = _HEADERS.max_tracks
    """Audio tracks with headers of their own, and as many of video."""
    max_total_bytes: Annotated[Size, Field(ge=1024)] = _HEADERS.max_total_bytes
    """All headers of one stream together."""
    max_updates: Positive = _HEADERS.max_updates
    """New sequence headers that one stream may send in a second, on average, and as many onMetaData of
    4 KiB: more if they are smaller."""
    absent_after: Seconds = _HEADERS.absent_after
    """Audio without a frame for so long while video flows, or video while audio flows, is not announced to
    a player that joins: it would wait for it. More for slide shows; 0 announces all that was announced."""

    def to_limits(self) -> HeaderLimits:
        """The bounds of the cache."""
        return HeaderLimits(
            self.max_header_bytes,
            self.max_tracks,
            self.max_total_bytes,
            self.max_updates,
            self.absent_after,
        )


class GopConfig(Section):
    """What a player that joins a running stream gets first."""

    enabled: bool = True
    """Keep the newest group of pictures of every stream, so that a player that joins has a picture at
    once; without it the player waits for the next key frame."""
    start: Annotated[Literal["gop", "keyframe", "live"], Effect.PLAYS] = "gop"
    """Where a player begins. gop: at the last key frame, out of the cache. keyframe: audio at once, video
    from the next key frame. live: with the next message, for encoders that send no key frames; so does who
    has paused or fallen behind go on."""
    keyframe_timeout: Seconds = _ENGINE.keyframe_timeout
    """Longest wait of a player, or of a whole stream, for a key frame; then its video goes on with whatever
    frame comes. 0 waits for ever."""
    max_bytes: Annotated[Size, Field(ge=65536)] = _GOP.max_bytes
    """Largest cache of one stream, whatever its key frame interval: 60 seconds at 2 Mbit/s fit. Past it a
    player that joins gets a still and audio up to the next key frame."""
    audio_ms: Milliseconds = _GOP.audio_ms
    """Cache of a stream without video."""

    def to_limits(self) -> GopLimits:
        """The bounds of the cache; none is kept if it is off or no player would begin in it."""
        used = self.enabled and self.start == "gop"
        return GopLimits(self.max_bytes if used else 0, self.audio_ms)


class PlayConfig(Section):
    """The players of the app's streams, instead of [player]."""

    effect = Effect.PLAYS
    max_players_per_stream: Annotated[Count, Effect.AT_ONCE] = _ENGINE.max_players_per_stream
    """Players of one stream; 0 is any number."""
    max_backlog_bytes: Annotated[Size, Field(ge=65536)] = _SLOW.max_backlog_bytes
    """What may wait for a player that reads too slowly. Past it the player misses video up to a key
    frame, then audio too."""
    max_backlog_seconds: Timeout = _SLOW.max_backlog_seconds
    """The same, by the time that the oldest of it has waited."""
    resume_backlog_bytes: Size = _SLOW.resume_backlog_bytes
    """Video comes back at the first key frame that finds no more than this waiting."""
    disconnect_after: Timeout = _SLOW.disconnect_after
    """A player that has been past a bound for this long without coming back is closed."""
    wait_timeout: Seconds = _RULES.wait_timeout
    """How long a player may wait for a publisher before it is told that there is no such stream; 0 waits
    for as long as the player does."""

    def to_policy(self) -> SlowPlayerPolicy:
        """The part that every subscription follows."""
        return SlowPlayerPolicy(
            max_backlog_bytes=self.max_backlog_bytes,
            max_backlog_seconds=self.max_backlog_seconds,
            resume_backlog_bytes=self.resume_backlog_bytes,
            disconnect_after=self.disconnect_after,
        )


class PlayerConfig(PlayConfig):
    """Players, and what happens to one that is too slow for its stream."""

    max_players: Annotated[Count, Effect.AT_ONCE] = _ENGINE.max_players
    """Players of all streams together; 0 is any number."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        require_order(self, "player", "resume_backlog_bytes", "max_backlog_bytes")
        return self
