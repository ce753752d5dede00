"""Every setting of the daemon: its name, default, range and unit, by section.

``rtmpd.daemon.settings`` fills these models from files, the environment and the command line. Below the
daemon, settings travel as small frozen dataclasses, which the methods here build.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, reduce
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from rtmpd.daemon.admin_config import AdminConfig, MetricsConfig
from rtmpd.daemon.app_config import APPS, AppConfig
from rtmpd.daemon.bans_config import BansConfig
from rtmpd.daemon.compat_config import CompatConfig
from rtmpd.daemon.events_config import EventsConfig
from rtmpd.daemon.fields import (
    Count,
    Effect,
    FileName,
    ListenAddresses,
    NetworkOrNone,
    Positive,
    Section,
    Size,
    SizeOrAuto,
    require_order,
)
from rtmpd.daemon.http_config import HttpConfig, HttpsConfig
from rtmpd.daemon.limits_config import LimitsConfig
from rtmpd.daemon.network_config import NetworkConfig, find_conflict
from rtmpd.daemon.notify_config import NOTIFY, NotifyConfig
from rtmpd.daemon.privacy_config import PrivacyConfig
from rtmpd.daemon.push_config import ANY
from rtmpd.daemon.records_config import AccessLogConfig, RecordsConfig
from rtmpd.daemon.ring_config import SpoolConfig
from rtmpd.daemon.rtmps_config import RtmpsConfig
from rtmpd.daemon.run_config import RunConfig
from rtmpd.daemon.shutdown_config import ShutdownConfig
from rtmpd.daemon.state_config import StateConfig
from rtmpd.daemon.stream_config import GopConfig, HeadersConfig, PlayerConfig, SharingConfig
from rtmpd.daemon.values import KeyPath, format_size
from rtmpd.engine.handover import HandoverRules
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits, Quota
from rtmpd.engine.sink import PlayOptions, StartPolicy
from rtmpd.net.entrances import Entrance
from rtmpd.relay.pull.waiting import MAX_DIALS
from rtmpd.rtmp.constants import MAX_CHUNK_SIZE
from rtmpd.rtmp.server import ServerSettings
from rtmpd.serving.access import PlayRules, PublishRules

# The rooms below own their defaults.
_NO_QUOTA: Final = Quota()
_ENGINE: Final = EngineLimits()
_SETTINGS: Final = ServerSettings()
_LEAST_MEMORY: Final = 16 * 1024 * 1024
_SessionSize = Annotated[Size, Effect.CONNECTIONS]

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
    this machine itself, "unix:/run/rtmpd/rtmp.sock" whoever may open that file, which "mode=0660" and
    "owner=user:group" behind it say. Behind "proxy=require" only network.trusted_proxies are served, who say
    by a PROXY header for whom they connect; with "proxy=accept" they may, and others come directly. Not used
    when systemd hands the sockets over."""
    chunk_size: Annotated[_SessionSize, Field(ge=128, le=MAX_CHUNK_SIZE)] = _SETTINGS.chunk_size
    """Chunk size that the server sends with; ffmpeg takes it over for its own direction."""
    window_ack_size: Annotated[_SessionSize, Field(ge=65536, le=0x7FFFFFFF)] = _SETTINGS.window_ack_size
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

    def entrances(self) -> tuple[Entrance, ...]:
        """``listen``, taken apart."""
        return tuple(map(Entrance.parse, self.listen))


class AllHeadersConfig(HeadersConfig):
    """What decoders need before the first frame: sequence headers, codec metadata and onMetaData, kept for
    every stream and sent first to whoever joins."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        require_order(self, "stream.headers", "max_header_bytes", "max_total_bytes")
        return self


class StreamConfig(SharingConfig):
    """What is kept for every stream, and how it is passed on."""

    max_streams: Count = _ENGINE.max_publishers
    """Streams with a publisher at a time; 0 is any number."""
    max_streams_per_address: Count = _ENGINE.max_publishers_per_network
    """Of them, those published from one IPv4 address or one IPv6 /64 network; 0 is any number."""
    max_waiting_names: Positive = _ENGINE.max_waiting_names
    """Names without a publisher that players wait for, at a time."""
    max_waiting_names_per_address: Count = _ENGINE.max_waiting_names_per_network
    """Of them, those that players of one address or network were the first to ask for; 0 is any number."""
    headers: AllHeadersConfig = AllHeadersConfig()
    gop: GopConfig = GopConfig()


def _check_ceiling(value: int | str) -> int | str:
    if isinstance(value, int) and value < _LEAST_MEMORY:
        raise ValueError(f"{value} is out of range: it must be at least {format_size(_LEAST_MEMORY)}")
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


LogLevel = Literal["debug", "info", "warning", "error"]


class LogConfig(Section):
    """The log goes to standard error, one line per event."""

    level: Annotated[LogLevel, BeforeValidator(_lower)] = "info"
    """Least important level that is written."""
    format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    """text for people, json (one object per line) for machines."""
    max_repeats: Count = 10
    """Lines that are written of one kind of event and one address or backend in a second; one line more says
    how many others there were. 0 writes all."""
    trace: Annotated[NetworkOrNone, Effect.CONNECTIONS] = ""
    """An address such as 192.0.2.1, or a network such as 192.0.2.0/24, whose dialogues with the server are
    written down message by message, secrets cut out. Empty: nobody's."""


class RelayConfig(Section):
    """Relays to and from other servers; which streams they carry is said for each app, below."""

    effect = Effect.ATTEMPTS
    ca_file: FileName = ""
    """File with the authorities (PEM) that vouch for rtmps:// servers; empty means those of the system."""
    max_dials_per_address: Positive = MAX_DIALS
    """Streams that are being looked for at their origins, for the players of one address (or IPv6 /64), at a
    time. Further ones wait their turn; one that has begun counts no more."""


class ReloadConfig(Section):
    """Settings that change while the server runs: SIGHUP has them read again."""

    watch: bool = False
    """Whether they are also read again when a file of theirs changes, those with secrets included: within
    about two seconds, once it stays as it is."""


class Config(Section):
    """The whole configuration; ``Config()`` is what the server runs with when nothing is said."""

    rtmp: RtmpConfig = RtmpConfig()
    rtmps: RtmpsConfig = RtmpsConfig()
    http: HttpConfig = HttpConfig()
    https: HttpsConfig = HttpsConfig()
    network: NetworkConfig = NetworkConfig()
    stream: StreamConfig = StreamConfig()
    player: PlayerConfig = PlayerConfig()
    memory: MemoryConfig = MemoryConfig()
    bans: BansConfig = BansConfig()
    admin: AdminConfig = AdminConfig()
    compat: CompatConfig = CompatConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    relay: RelayConfig = RelayConfig()
    run: RunConfig = RunConfig()
    state: StateConfig = StateConfig()
    spool: SpoolConfig = SpoolConfig()
    shutdown: ShutdownConfig = ShutdownConfig()
    reload: ReloadConfig = ReloadConfig()
    events: EventsConfig = EventsConfig()
    records: RecordsConfig = RecordsConfig()
    access_log: AccessLogConfig = AccessLogConfig()
    notify: dict[str, NotifyConfig] = Field(default_factory=dict)
    """Who is told what happens, by names."""
    apps: dict[str, AppConfig] = Field(default_factory=dict)
    """What differs from app to app and from stream to stream, by path; ``*`` is for every one."""

    @model_validator(mode="after")
    def _check_entrances(self) -> Self:
        listeners = {f"{name}.listen": entrances for name, entrances in self.entrances().items()}
        conflict = find_conflict(listeners, self.network)
        if conflict is not None:
            text, values = conflict
            raise PydanticCustomError("conflict", text, values)
        return self

    def entrances(self) -> dict[str, tuple[Entrance, ...]]:
        """Where to listen, by protocol."""
        return {
            "rtmp": self.rtmp.entrances(),
            "rtmps": self.rtmps.entrances(),
            "http": self.http.entrances(),
            "https": self.https.entrances(),
            "admin": self.admin.entrances(),
            **self.compat.entrances(),
            "metrics": self.metrics.entrances(),
        }

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
        return self.outcomes[self.table(path)]

    @property
    def shows_slates(self) -> bool:
        """Some stream has one, or a push target."""
        return any(
            app.shown is not None or any(target.shown is not None for target in app.targets.values())
            for app in self.apps.values()
        )

    def table(self, path: str) -> str:
        """The longest table that holds for an app or a stream; "" is none."""
        return next(reversed(self.tables(path)), "") if self.apps else ""

    @cached_property
    def outcomes(self) -> dict[str, AppConfig]:
        """Every table with what shorter ones say besides; by "" what holds without any."""
        least = AppConfig(
            stream=self.stream,
            headers=self.stream.headers,
            gop=self.stream.gop,
            limits=self.rtmp.limits,
            player=self.player,
        )
        return {"": least} | {
            name: reduce(AppConfig.under, (self.apps[table] for table in self.tables(name)), least)
            for name in self.apps
        }

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        """Keys of named tables that cannot be used where they stand, each with what is wrong."""
        for name, target in self.notify.items():
            if (found := target.find_problem(name)) is not None:
                yield (NOTIFY, name, found[0]), found[1]
        if self.https.listen and not self.rtmps.certificates:
            yield (
                ("https", "listen"),
                " opens nothing without a certificate: name one with rtmps.certificates",
            )
        yield from self.admin.problems()
        below: dict[str, list[AppConfig]] = {name: [] for name in self.apps}
        for name in self.apps:
            for table in self.tables(name):
                below[table].append(self.at(name))
        for name, app in self.apps.items():
            for key, text in app.find_problems(name, self.at(name), below[name]):
                yield (APPS, name, *key), text
            if app.ring.disk_bytes and not self.spool.path:
                yield (APPS, name, "ring", "disk_bytes"), " has no place: name a folder with spool.path"
            if app.hls.dvr and not self.spool.path:
                yield (APPS, name, "hls", "dvr"), " has no place: name a folder with spool.path"
            if "names" in app.pull.model_fields_set and self.at(name).pull.always:
                mixture = app.pull.find_mixture(name, self.app_names())
                if mixture is not None:
                    yield (APPS, name, "pull", "names"), mixture

    def pulled_always(self) -> tuple[StreamKey, ...]:
        """Streams that are fetched whether somebody watches or not."""
        return tuple(
            key
            for name, app in self.apps.items()
            if app.pull.names_streams and self.at(name).pull.always
            for key in self.at(name).pull.streams(name, self.app_names())
        )

    def play_rules(self, path: str) -> PlayRules:
        """How a stream is played; the same object for all that one table holds for."""
        return self._play_rules[self.table(path)]

    @cached_property
    def _play_rules(self) -> dict[str, PlayRules]:
        rules: dict[str, PlayRules] = {}
        for name, app in self.outcomes.items():
            options = PlayOptions(start=StartPolicy(app.gop.start), policy=app.player.to_policy())
            rules[name] = PlayRules(options, app.player.wait_timeout, app.play.max_duration, app.ring.rewind)
        return rules

    def handover_rules(self, path: str) -> HandoverRules:
        """Who may have the name of a stream that another has, and how long it is kept."""
        app = self.at(path)
        slate = app.shown
        return replace(app.handover.to_rules(), slate_for=0.0 if slate is None else slate.seconds)

    def publish_rules(self, path: str) -> PublishRules:
        """How a stream is published; the same object for all that one table holds for."""
        return self._publish_rules[self.table(path)]

    @cached_property
    def _publish_rules(self) -> dict[str, PublishRules]:
        return {
            name: PublishRules(
                app.publish.to_media_rules(),
                app.publish.max_duration,
                # A round comes as late as the server's window says.
                in_rounds=app.stream.merge_window_ms >= self.stream.merge_window_ms,
            )
            for name, app in self.outcomes.items()
        }

    def limits_of(self, path: str, limits: EngineLimits) -> EngineLimits:
        """``limits``, those of all, as they hold for one stream."""
        table = self.table(path)
        of, outcome = self._limits.get(table, (None, limits))
        if of is not limits:
            publishers = self._quota(path, "publish", "max_publishers")
            players = self._quota(path, "play", "max_players")
            outcome = replace(_limited(self.outcomes[table], limits), publishers=publishers, players=players)
            # Every player asks. What "*" says is of a part of the path that is in no table.
            if table != ANY or not (publishers.most or players.most):
                self._limits[table] = limits, outcome
        return outcome

    @cached_property
    def _limits(self) -> dict[str, tuple[EngineLimits, EngineLimits]]:
        """By table those of all, and what it makes of them."""
        return {}

    def _quota(self, path: str, section: str, key: str) -> Quota:
        """What the streams have together for which the same table says ``key``, of ``*`` those of an app."""
        for table in reversed(self.tables(path)):
            said = getattr(self.apps[table], section)
            if key in said.model_fields_set:
                return Quota(path.partition("/")[0] if table == ANY else table, getattr(said, key))
        return _NO_QUOTA

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
            merge_window=self.stream.merge_window_ms / 1000,
        )


def _limited(app: AppConfig, limits: EngineLimits) -> EngineLimits:
    return replace(
        limits,
        max_players_per_stream=app.player.max_players_per_stream,
        max_track_choices=app.stream.max_track_choices,
        first_media_timeout=app.limits.first_media_timeout,
        idle_publisher_timeout=app.limits.idle_publisher_timeout,
        start=StartPolicy(app.gop.start),
        keyframe_timeout=app.gop.keyframe_timeout,
        headers=app.headers.to_limits(),
        gop=app.gop.to_limits(),
        merge_window=app.stream.merge_window_ms / 1000,
        delay=app.delay,
        stall=app.handover.stall,
        backup_after=app.handover.backup_after,
        handback=app.handover.handback,
        slate=app.shown,
    )
