"""Every setting of the daemon: its name, default, range and unit, by section.

``rtmpd.daemon.settings`` fills these models from files, the environment and the command line. Below the
daemon, settings travel as small frozen dataclasses, which the methods here build.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, reduce
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from rtmpd.daemon.app_config import APPS, AppConfig
from rtmpd.daemon.fields import (
    Count,
    ListenAddresses,
    Milliseconds,
    Positive,
    Seconds,
    Section,
    Size,
    SizeOrAuto,
    Timeout,
    overlay,
    require_order,
)
from rtmpd.daemon.limits_config import LimitsConfig
from rtmpd.daemon.push_config import ANY
from rtmpd.daemon.values import KeyPath
from rtmpd.engine.flusher import MERGE_WINDOW
from rtmpd.engine.gop import GopLimits
from rtmpd.engine.headers import HeaderLimits
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import PlayOptions, SlowPlayerPolicy, StartPolicy
from rtmpd.net.addresses import Address
from rtmpd.relay.pull.relays import MAX_DIALS
from rtmpd.rtmp.constants import MAX_CHUNK_SIZE
from rtmpd.rtmp.server import ServerSettings
from rtmpd.web.limits import AdminLimits

# The rooms below own their defaults.
_GOP: Final = GopLimits()
_HEADERS: Final = HeaderLimits()
_ENGINE: Final = EngineLimits()
_SLOW: Final = SlowPlayerPolicy()
_SETTINGS: Final = ServerSettings()
_ADMIN: Final = AdminLimits()
_LEAST_MEMORY: Final = 16 * 1024 * 1024
_NO_APP: Final = AppConfig()

REMOVED_KEYS: Final = {
    "stream.gop.max_ms": "stream.gop.max_bytes alone bounds the cache: take the line out",
    "stream.gop.max_packets": "stream.gop.max_bytes alone bounds the cache: take the line out",
}
"""What to do about keys of earlier versions."""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class RtmpConfig(Section):
    """Encoders push and players pull here."""

    listen: ListenAddresses = (":1935",)
    """Where to listen: ":1935" is every IPv4 and IPv6 address of this machine, "127.0.0.1:1935" only
    this machine itself. Not used when systemd hands the sockets over."""
    chunk_size: Annotated[Size, Field(ge=128, le=MAX_CHUNK_SIZE)] = _SETTINGS.chunk_size
    """Chunk size that the server sends with; ffmpeg takes it over for its own direction."""
    window_ack_size: Annotated[Size, Field(ge=65536, le=0x7FFFFFFF)] = _SETTINGS.window_ack_size
    """Peers are asked to acknowledge every so many bytes."""
    limits: LimitsConfig = LimitsConfig()

    def to_settings(self) -> ServerSettings:
        """What every session tells its peer."""
        return ServerSettings(chunk_size=self.chunk_size, window_ack_size=self.window_ack_size)

    @model_validator(mode="after")
    def _check_listen(self) -> Self:
        if not self.listen:
            raise PydanticCustomError(
                "conflict", "{low_key} is empty: name at least one address", {"low_key": "rtmp.listen"}
            )
        return self

    def addresses(self) -> tuple[Address, ...]:
        """``listen``, taken apart."""
        return tuple(map(Address.parse, self.listen))


class GopConfig(Section):
    """What a player that joins a running stream gets first."""

    enabled: bool = True
    """Keep the newest group of pictures of every stream, so that a player that joins has a picture at
    once; without it the player waits for the next key frame."""
    start: Literal["gop", "keyframe", "live"] = "gop"
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


class HeadersConfig(Section):
    """What decoders need before the first frame: sequence headers, codec metadata and onMetaData, kept for
    every stream and sent first to whoever joins."""

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

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        require_order(self, "stream.headers", "max_header_bytes", "max_total_bytes")
        return self

    def to_limits(self) -> HeaderLimits:
        """The bounds of the cache."""
        return HeaderLimits(
            self.max_header_bytes,
            self.max_tracks,
            self.max_total_bytes,
            self.max_updates,
            self.absent_after,
        )


class StreamConfig(Section):
    """What is kept for every stream, and how it is passed on."""

    merge_window_ms: Annotated[Milliseconds, Field(le=1000)] = round(MERGE_WINDOW * 1000)
    """A busy server gathers media for up to this long and writes it at once; an idle one does not wait.
    One with many publishers also waits up to this long between one look at their sockets and the next, and
    four times as long for those that nobody watches. 0 never waits."""
    max_streams: Count = 1_000
    """Streams with a publisher at a time; 0 is any number."""
    max_streams_per_address: Count = 500
    """Of them, those published from one IPv4 address or one IPv6 /64 network; 0 is any number."""
    max_waiting_names: Positive = _ENGINE.max_waiting_names
    """Names without a publisher that players wait for, at a time."""
    max_waiting_names_per_address: Count = _ENGINE.max_waiting_names_per_network
    """Of them, those that players of one address or network were the first to ask for; 0 is any number."""
    max_track_choices: Positive = _ENGINE.max_track_choices
    """Different sets of tracks that the players of one stream may ask for (?track=1), at a time, beside the
    default one."""
    headers: HeadersConfig = HeadersConfig()
    gop: GopConfig = GopConfig()


class PlayerConfig(Section):
    """Players, and what happens to one that is too slow for its stream."""

    max_players: Count = _ENGINE.max_players
    """Players of all streams together; 0 is any number."""
    max_players_per_stream: Count = _ENGINE.max_players_per_stream
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
    wait_timeout: Seconds = 0.0
    """How long a player may wait for a publisher before it is told that there is no such stream; 0 waits
    for as long as the player does."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        require_order(self, "player", "resume_backlog_bytes", "max_backlog_bytes")
        return self

    def to_policy(self) -> SlowPlayerPolicy:
        """The part that every subscription follows."""
        return SlowPlayerPolicy(
            max_backlog_bytes=self.max_backlog_bytes,
            max_backlog_seconds=self.max_backlog_seconds,
            resume_backlog_bytes=self.resume_backlog_bytes,
            disconnect_after=self.disconnect_after,
        )


def _check_ceiling(value: int | str) -> int | str:
    if isinstance(value, int) and value < _LEAST_MEMORY:
        raise ValueError(f"{value} is out of range: it must be at least {_LEAST_MEMORY} bytes")
    return value


class MemoryConfig(Section):
    """The ceiling of what peers can make the server keep."""

    max_bytes: Annotated[SizeOrAuto, AfterValidator(_check_ceiling)] = "auto"
    """Media held: caches, headers, and what waits for slow players; at least 16MiB. Near the ceiling new
    streams and players are refused and the players with the most waiting are closed. "auto" is half of the
    machine's memory, or of the limit of its container or systemd unit if that is less."""

    def ceiling(self, available: int) -> int:
        """``max_bytes`` where ``available`` bytes of memory are there."""
        return max(available // 2, _LEAST_MEMORY) if self.max_bytes == "auto" else self.max_bytes


class AdminConfig(Section):
    """The HTTP side: /metrics, /healthz and /readyz. Nobody is asked for a password: keep it private."""

    listen: ListenAddresses = ("127.0.0.1:9935",)
    """Where to listen; an empty list opens no HTTP port. On a loopback address only requests that name
    localhost or such an address are answered: any web page could have a browser here ask under its own
    name."""
    max_connections: Positive = _ADMIN.max_connections
    """Connections to each address at a time; one more costs the oldest one."""
    request_timeout: Timeout = _ADMIN.request_timeout
    """How long the headers of a request may take, the rest of it as long again, and the pause between two
    requests of a connection."""

    def to_limits(self) -> AdminLimits:
        """What strangers may cost this port."""
        return AdminLimits(self.max_connections, self.request_timeout)

    def addresses(self) -> tuple[Address, ...]:
        """``listen``, taken apart."""
        return tuple(map(Address.parse, self.listen))


class MetricsConfig(Section):
    """What Prometheus sees."""

    max_streams: Count = 200
    """Streams with series of their own; the others are added up as stream="_other"."""
    max_age: Seconds = 1.0
    """A page that is not older is handed out again, so that it is written once however many ask; 0 writes
    one for everybody."""


class LogConfig(Section):
    """The log goes to standard error, one line per event."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    """Least important level that is written."""
    format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    """text for people, json (one object per line) for machines."""
    max_repeats: Count = 10
    """Lines that are written of one kind of event and one address in a second; one line more says how many
    others there were. 0 writes all."""


class RelayConfig(Section):
    """Relays to and from other servers; which streams they carry is said for each app, below."""

    ca_file: str = ""
    """File with the authorities (PEM) that vouch for rtmps:// servers; empty means those of the system."""
    max_dials_per_address: Positive = MAX_DIALS
    """Streams that are being looked for at their origins, for the players of one address (or IPv6 /64), at a
    time. Further ones wait their turn; one that has begun counts no more."""


class ShutdownConfig(Section):
    """The end, after SIGTERM or SIGINT."""

    drain_timeout: Seconds = 10.0
    """How long connections may take to send what they hold; then they are cut. 0 cuts at once."""


class Config(Section):
    """The whole configuration; ``Config()`` is what the server runs with when nothing is said."""

    rtmp: RtmpConfig = RtmpConfig()
    stream: StreamConfig = StreamConfig()
    player: PlayerConfig = PlayerConfig()
    memory: MemoryConfig = MemoryConfig()
    admin: AdminConfig = AdminConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()
    relay: RelayConfig = RelayConfig()
    shutdown: ShutdownConfig = ShutdownConfig()
    apps: dict[str, AppConfig] = Field(default_factory=dict)
    """What differs from app to app and from stream to stream, by path; ``*`` is for every one."""

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        for address in self.admin.listen:
            if address in self.rtmp.listen and not address.endswith(":0"):
                raise PydanticCustomError(
                    "conflict",
                    "{low_key} and {high_key} both name {address}: give one another port",
                    {"low_key": "admin.listen", "high_key": "rtmp.listen", "address": address},
                )
        return self

    def app_names(self) -> frozenset[str]:
        """Names of all tables but that of all: the longest that a stream's path begins with is its app."""
        return frozenset(self.apps) - {ANY}

    def tables(self, path: str) -> list[str]:
        """Names of the tables that hold for an app or a stream, from the one for all to the longest."""
        levels = path.split("/")
        names = [ANY, *("/".join(levels[:length]) for length in range(1, len(levels) + 1))]
        return [name for name in dict.fromkeys(names) if name in self.apps]

    def at(self, path: str) -> AppConfig:
        """What holds for an app or a stream: what its tables say, key by key, the longest path first."""
        tables = self.tables(path)
        return self._outcomes[tables[-1]] if tables else _NO_APP

    @cached_property
    def _outcomes(self) -> dict[str, AppConfig]:
        """Every table with what shorter ones say besides."""
        return {
            name: reduce(overlay, (self.apps[table] for table in self.tables(name)), _NO_APP)
            for name in self.apps
        }

    def app_problems(self) -> Iterator[tuple[KeyPath, str]]:
        """Keys of apps that cannot be used where they stand, each with what is wrong."""
        for name, app in self.apps.items():
            below = [self.at(other) for other in self.apps if name in self.tables(other)]
            for key, text in app.find_problems(name, self.at(name), below):
                yield (APPS, name, *key), text

    def pulled_always(self) -> tuple[StreamKey, ...]:
        """Streams that are fetched whether somebody watches or not."""
        return tuple(
            StreamKey(name, stream)
            for name, app in self.apps.items()
            if app.pull.names_streams and self.at(name).pull.always
            for stream in sorted(self.at(name).pull.names)
        )

    def to_play_options(self) -> PlayOptions:
        """How every player attaches to its stream."""
        return PlayOptions(start=StartPolicy(self.stream.gop.start), policy=self.player.to_policy())

    def to_engine_limits(self, memory_bytes: int) -> EngineLimits:
        """The ceilings of the live graph, with ``MemoryConfig.ceiling``."""
        return EngineLimits(
            max_publishers=self.stream.max_streams,
            max_publishers_per_network=self.stream.max_streams_per_address,
            max_players=self.player.max_players,
            max_players_per_stream=self.player.max_players_per_stream,
            max_waiting_names=self.stream.max_waiting_names,
            max_waiting_names_per_network=self.stream.max_waiting_names_per_address,
            max_track_choices=self.stream.max_track_choices,
            first_media_timeout=self.rtmp.limits.first_media_timeout,
            idle_publisher_timeout=self.rtmp.limits.idle_publisher_timeout,
            memory_bytes=memory_bytes,
            start=StartPolicy(self.stream.gop.start),
            keyframe_timeout=self.stream.gop.keyframe_timeout,
            headers=self.stream.headers.to_limits(),
            gop=self.stream.gop.to_limits(),
        )
