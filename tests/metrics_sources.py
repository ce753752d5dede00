"""Sources of a metrics page without an engine behind them."""

from __future__ import annotations

import math
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from prometheus_client.parser import text_string_to_metric_families

from rtmpd.daemon.access_log import AccessLogStats
from rtmpd.daemon.predecessor import Carried
from rtmpd.daemon.reload import ReloadStats
from rtmpd.engine.claim import MAIN, Place
from rtmpd.engine.health import Health, HealthKind
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.stats import Histogram, ServerStats, StreamStats
from rtmpd.events.delivery import NotifyStats, NotifyStatus
from rtmpd.hooks.stats import BackendStats, HookStats
from rtmpd.metrics.collecting import Metrics, Sources
from rtmpd.metrics.families import RENAMED_METRICS, AnyFamily, Renames
from rtmpd.net.certificates import Certificate, CertificateFiles, Certificates, CertificateSet
from rtmpd.outputs.afterwork import Afterwork, Surroundings
from rtmpd.outputs.afterwork_rules import AfterworkRules
from rtmpd.outputs.catalog import Catalog
from rtmpd.outputs.folder_scan import Room
from rtmpd.outputs.housekeeping import Housekeeping
from rtmpd.outputs.kept import KeptLoss
from rtmpd.outputs.record_words import RecordStats
from rtmpd.outputs.retention import KeepRules
from rtmpd.processes.words import HookCounts, ProcessCounts, ProcessEnd, ProcessState, ProcessStatus
from rtmpd.relay.status import RelayState, RelayStatus
from rtmpd.serving.listening import InputStats
from rtmpd.state.store import StoreStats
from rtmpd.web.event_stream import FollowStats
from rtmpd.web.gate import Refusals
from rtmpd.web.metrics import render

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class FakePublication:
    origin: Origin = NOBODY
    place: Place = MAIN


@dataclass
class FakeStream:
    """A stream with a publisher, unless ``publication`` is None."""

    stats: StreamStats = field(default_factory=StreamStats)
    publication: FakePublication | None = field(default_factory=FakePublication)
    health: Health = field(default_factory=Health)
    subscriptions: list[object] = field(default_factory=list)
    slate: object | None = None

    @property
    def players(self) -> int:
        return len(self.subscriptions)


@dataclass
class FakeMemoryGroup:
    """A container with a limit."""

    limit: int = 4096

    def used(self) -> int | None:
        return 3000


@dataclass
class FakeKeySet:
    """The keys of an issuer."""

    place: str = "https://id.example.com/keys"
    age: float = math.inf
    failures: int = 0


@dataclass
class FakeRecordings:
    """Files of streams."""

    stats: RecordStats = field(default_factory=RecordStats)
    queue_bytes: int = 65536


@dataclass
class FakeKept:
    """What is kept of a stream."""

    memory_bytes: int = 4096
    disk_bytes: int = 65536
    reach: float = 61.5


class FakeKeeper:
    """Last seconds of streams."""

    def __init__(self) -> None:
        self.kept = [FakeKept(), FakeKept(reach=7.5)]
        self.losses = {KeptLoss.NO_ROOM: 3, KeptLoss.MEMORY: 0}
        self.write_failures = 2


@dataclass
class FakeRewinds:
    """Who has gone back."""

    players: int = 5
    jumps: int = 1


class FakeShelf:
    """Finished files of streams."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.housekeeping = Housekeeping(self.catalog, lambda _entry: KeepRules(), time.monotonic)
        self.housekeeping._roots = ("/recordings",)
        stats = self.housekeeping.stats
        stats.rooms["/recordings"] = Room(2_000_000, 8_000_000)
        stats.files["/recordings"], stats.bytes["/recordings"] = 3, 600_000
        around = Surroundings(
            time.monotonic, {}, lambda _recording: AfterworkRules(), lambda _entry, _why: None
        )
        self.afterwork = Afterwork(self.catalog, around)


class FakeKeys:
    """Stream keys that came at run time."""

    def numbers(self) -> dict[str, int]:
        return {"added": 2, "jwt": 3}

    def token_counts(self) -> dict[str, int]:
        return {"issued": 4, "jwt_signature": 5}


@dataclass
class FakeServer:
    """Everything a metrics page reads, to be set by a test."""

    stats: ServerStats = field(default_factory=ServerStats)
    streams: dict[StreamKey, FakeStream] = field(default_factory=dict)
    loop_lag: Histogram = field(default_factory=lambda: Histogram((0.001, 0.01, 0.1)))
    memory_held: int = 0
    relays: list[RelayStatus] = field(default_factory=list)
    processes: list[ProcessStatus] = field(default_factory=list)
    process_counts: ProcessCounts = field(default_factory=lambda: ProcessCounts({}))
    notified: list[NotifyStatus] = field(default_factory=list)
    hook_counts: HookCounts = field(default_factory=HookCounts)
    recordings: FakeRecordings | None = field(default_factory=FakeRecordings)
    kept: dict[str, FakeKeeper] = field(default_factory=lambda: {"ring": FakeKeeper()})
    rewinds: FakeRewinds | None = field(default_factory=FakeRewinds)
    shelf: FakeShelf | None = field(default_factory=lambda: FakeShelf())
    inputs: InputStats = field(default_factory=InputStats)
    access_log: AccessLogStats = field(default_factory=AccessLogStats)
    followed: FollowStats = field(default_factory=FollowStats)
    now: float = 1000.0
    certificates: Certificates = field(default_factory=Certificates)
    hooks: HookStats = field(default_factory=HookStats)
    key_sets: list[FakeKeySet] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    keys: FakeKeys = field(default_factory=lambda: FakeKeys())
    reloads: ReloadStats = field(default_factory=lambda: ReloadStats(1.8e9))
    predecessor: Carried | None = None
    state: StoreStats | None = field(default_factory=lambda: StoreStats(bytes=32768))

    def metrics(self, max_streams: int = 200, renames: Renames = RENAMED_METRICS) -> Metrics:
        sources = Sources(
            stats=self.stats,
            streams=self.streams,
            loop_lag=self.loop_lag,
            memory_held=lambda: self.memory_held,
            memory_limit=lambda: 1024,
            memory_group=FakeMemoryGroup(),
            clock=lambda: self.now,
            relays=lambda: self.relays,
            processes=lambda: self.processes,
            process_counts=self.process_counts,
            notified=lambda: self.notified,
            hook_counts=self.hook_counts,
            certificates=self.certificates,
            key_files=lambda: {"current": 2, "outdated": 1},
            hooks=self.hooks,
            key_sets=self.key_sets,
            refusals=self.refusals.by_problem,
            keys=self.keys,
            obs={"configured": 0},
            reloads=self.reloads,
            draining=lambda: False,
            predecessor=lambda: self.predecessor,
            serving_since=lambda: 1.8e9,
            followed=self.followed,
            state=lambda: self.state,
            access_log=lambda: self.access_log,
            inputs=lambda: self.inputs,
            recordings=lambda: self.recordings,
            kept=lambda: self.kept,
            rewinds=lambda: self.rewinds,
            shelf=lambda: self.shelf,
        )
        return Metrics(sources, max_streams, renames)

    def publish(self, name: str, app: str = "live") -> FakeStream:
        stream = FakeStream(StreamStats(now=self.now))
        self.streams[StreamKey(app, name)] = stream
        return stream


def busy_server() -> FakeServer:
    """A server that has something to tell in every family."""
    server = FakeServer(memory_held=512)
    shown = Certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ("live.example.com",), 2e9)
    files = CertificateFiles(Path("fullchain.pem"), Path("privkey.pem"))
    server.key_sets.append(FakeKeySet(age=61.5, failures=2))
    server.predecessor = Carried(42, "0.9", publishers=1, players=3, live=(StreamKey("live", "b"),))
    server.certificates.current = CertificateSet((files,), certificates=(shown,))
    stats = server.stats
    stats.connections = {"handshake": 1, "publishing": 1, "playing": 2}
    for table in (stats.handshake_failures, stats.sessions_failed, stats.refusals, stats.players_closed):
        table["some_reason"] = 2
    stats.publishes_ended["finished"] = 1
    stats.time_to_first_frame.observe(0.02)
    server.loop_lag.observe(0.002)
    stream = server.publish('we"ird\\name\n')
    stream.subscriptions = [object(), object()]
    ingest = stream.stats
    ingest.last_media_at = server.now - 0.5
    ingest.video.codec, ingest.audio.codec, ingest.width, ingest.height = "avc1", "mp4a", 1280, 720
    ingest.video.messages_in, ingest.video.bytes_in, ingest.video.headers = 31, 3100, 1
    ingest.audio.messages_in, ingest.audio.bytes_in = 40, 400
    ingest.video.timestamp, ingest.audio.timestamp = 1000, 1040
    ingest.keyframe_interval_ms = ingest.keyframe_interval_max_ms = 2000
    ingest.totals.drops["slow_video"] = 3
    ingest.sample(server.now + 1.0)
    stream.health.raise_warning(HealthKind.AUDIO_SILENT, server.now)
    backend = server.hooks.backends["live"] = BackendStats()
    backend.waiting, backend.told, backend.lost = 1, 2, 3
    server.hooks.seconds.observe(0.02)
    server.relays = [fake_relay("push"), fake_relay("pull")]
    server.processes = [ProcessStatus(StreamKey("live", "cam"), "480p", ProcessState.RUNNING, 77, 3)]
    server.process_counts = ProcessCounts({ProcessEnd.ERROR: 2}, lines_logged=20, lines_left_out=5)
    figures = NotifyStats()
    server.notified = [NotifyStatus("backend", 17, figures.failures, figures.lost, 3, 20.5)]
    return server


def fake_relay(kind: Literal["push", "pull"], relay_id: str = "api-1") -> RelayStatus:
    """A relay that is behind."""
    return RelayStatus(
        kind=kind,
        id=relay_id,
        key=StreamKey("live", "cam"),
        remote="rtmp://elsewhere/live",
        state=RelayState.STALLED,
        bytes=5000,
        retries=2,
        lag_bytes=300,
        lag_seconds=1.5,
        unannounced=("av01",),
        status="NetStream.Publish.Start Go.",
        reason="the server takes nothing more",
        retry_in=None,
    )


def collected(metrics: Metrics) -> list[AnyFamily]:
    """All there is, what the kernel says too."""
    return [*metrics.ask_kernel(), *metrics.collect()]


def page(metrics: Metrics, accept: str = "") -> str:
    """All there is, as Prometheus reads it."""
    return render(collected(metrics), accept)[1].decode()


def series(metrics: Metrics) -> dict[Series, float]:
    """All samples of a page by name and labels; a series that is there twice fails."""
    found: dict[Series, float] = {}
    for family in text_string_to_metric_families(page(metrics)):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"twice on the page: {key}"
            found[key] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return series(metrics).get((name, frozenset(labels.items())))
