"""The metrics page: plain counters, read when Prometheus asks. The only user of prometheus_client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rtmpd.engine.key import StreamKey
from rtmpd.engine.stats import Histogram, ServerStats
from rtmpd.hooks.stats import HookStats
from rtmpd.net.certificates import Certificates
from rtmpd.processes.words import HookCounts, ProcessCounts, ProcessStatus
from rtmpd.relay.status import RelayStatus
from rtmpd.web.admin_metrics import collect_admin
from rtmpd.web.backend_metrics import collect_backends
from rtmpd.web.event_stream import FollowStats
from rtmpd.web.families import RENAMED_METRICS, Family, HistogramFamily, Renames, with_old_names
from rtmpd.web.follow_metrics import collect_followers
from rtmpd.web.gate import Refusals
from rtmpd.web.key_metrics import RuntimeKeys, collect_keys
from rtmpd.web.key_set_metrics import KeySet, collect_key_sets
from rtmpd.web.notify_metrics import NotifyStatus, collect_notifications
from rtmpd.web.process_metrics import MemoryGroup, ProcessMetrics
from rtmpd.web.record_metrics import AccessLogStats, InputStats, collect_access_log, collect_inputs
from rtmpd.web.relay_metrics import collect_relays
from rtmpd.web.reload_metrics import Reloads, collect_reloads
from rtmpd.web.run_metrics import collect_hooks, collect_processes
from rtmpd.web.server_metrics import collect_memory, collect_server
from rtmpd.web.state_metrics import StateStats, collect_state
from rtmpd.web.stream_metrics import StreamMetrics, StreamView


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers come from; everything is read at scrape time and nothing is copied before."""

    stats: ServerStats
    streams: Mapping[StreamKey, StreamView]
    """Live view of every entry, waiting ones included: ``Registry.streams``."""
    loop_lag: Histogram
    """Seconds by which the event loop ran its timers late."""
    memory_held: Callable[[], int]
    """Bytes of media in caches and queues now."""
    memory_limit: Callable[[], int]
    """Bytes that they may be; 0 for any number."""
    memory_group: MemoryGroup | None
    """What the kernel holds this process to; None for nothing."""
    clock: Callable[[], float]
    """The clock that the streams' ``last_media_at`` was read from."""
    relays: Callable[[], Sequence[RelayStatus]]
    """Every push and pull relay."""
    processes: Callable[[], Sequence[ProcessStatus]]
    """Every process of a stream."""
    process_counts: ProcessCounts
    notified: Callable[[], Sequence[NotifyStatus]]
    """Every target of notifications."""
    hook_counts: HookCounts
    certificates: Certificates
    """Those that are shown over TLS."""
    key_files: Callable[[], Mapping[str, int]]
    """How many files of stream keys there are, by state: ``current``, or ``outdated``, kept as they were."""
    key_sets: Iterable[KeySet]
    """Of the issuers of tokens."""
    keys: RuntimeKeys
    reloads: Reloads
    draining: Callable[[], bool]
    """The server ends, and waits for who is still there."""
    followed: FollowStats
    state: Callable[[], StateStats | None]
    """Of what is to outlive the process; None if nothing is."""
    access_log: Callable[[], AccessLogStats | None]
    """None where there is none."""
    inputs: Callable[[], InputStats | None]
    """None where they are not kept."""
    refusals: Refusals
    """Of requests to the admin port."""
    hooks: HookStats
    """What backends are asked and told."""


class MetricsPage:
    """Everything known about this process.

    At most ``max_streams`` streams have series of their own; the others share the label values ``_other``. As
    many relays have.
    """

    def __init__(self, sources: Sources, max_streams: int, renames: Renames = RENAMED_METRICS) -> None:
        self._sources = sources
        self._max_streams = max_streams
        self._renames = renames
        self._streams = StreamMetrics(sources.streams, sources.clock)
        self._process = ProcessMetrics(time.time(), sources.memory_group)

    def apply(self, max_streams: int) -> None:
        """Another ``max_streams``; a stream that has series keeps them while it lives."""
        self._max_streams = max_streams

    def snapshot(self) -> Snapshot:
        """The numbers of this moment; call it where they are written, on the event loop."""
        sources = self._sources
        families: list[Family | HistogramFamily] = [
            *collect_server(sources.stats, sources.streams),
            *_collect_certificates(sources.certificates),
            Family(
                "gauge",
                "rtmpd_key_files",
                "Files of stream keys, in force as they are (current) or, being unusable, were (outdated).",
                ("state",),
            ).with_table(sources.key_files()),
            *collect_key_sets(sources.key_sets),
            *collect_keys(sources.keys),
            *collect_reloads(sources.reloads),
            Family(
                "gauge",
                "rtmpd_draining",
                "1 while the server is about to end: it lets nobody new in and waits for publishers.",
            ).with_value(float(sources.draining())),
            *collect_state(sources.state()),
            *collect_admin(sources.refusals),
            *collect_memory(sources.memory_held(), sources.memory_limit()),
            HistogramFamily.of(
                "rtmpd_time_to_first_frame_seconds",
                "From a player's request, or the publisher's start if later, to its first frame.",
                sources.stats.time_to_first_frame,
            ),
            HistogramFamily.of(
                "rtmpd_event_loop_lag_seconds", "How late the event loop ran its timers.", sources.loop_lag
            ),
            *self._streams.collect(self._max_streams),
            *collect_relays(sources.relays(), self._max_streams),
            *collect_processes(sources.processes(), sources.process_counts, self._max_streams),
            *collect_notifications(sources.notified()),
            *collect_followers(sources.followed),
            *collect_access_log(sources.access_log()),
            *collect_inputs(sources.inputs()),
            *collect_hooks(sources.hook_counts),
            *collect_backends(sources.hooks),
        ]
        return Snapshot(families, self._process, self._renames)


class Snapshot(Collector):
    """Numbers that no longer change. Writing them down takes ten times as long as collecting them."""

    def __init__(
        self,
        families: Sequence[Family | HistogramFamily],
        process: ProcessMetrics,
        renames: Renames,
    ) -> None:
        self._families = families
        self._process = process
        self._renames = renames

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and body in the best format that an ``Accept`` header asks for; fit for any thread."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self)

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client wants them."""
        yield from map(_metric, with_old_names(chain(self._process.collect(), self._families), self._renames))


def _collect_certificates(certificates: Certificates) -> Iterator[Family]:
    family = Family(
        "gauge",
        "rtmpd_certificate_not_after_seconds",
        "When a certificate expires, in seconds since 1970.",
        ("certificate",),
    )
    for name, not_after in certificates.expiries().items():
        family.add((name,), not_after)
    yield family
    text = "Times that certificate files had changed and could not be used; the old ones are."
    yield Family("counter", "rtmpd_certificate_reload_failures", text).with_value(certificates.failures)


def _metric(family: Family | HistogramFamily) -> Metric:
    if isinstance(family, HistogramFamily):
        return _histogram_metric(family)
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, value in family.samples:
        metric.add_metric(labels, value)
    return metric


def _histogram_metric(family: HistogramFamily) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text)
    bounds = (*map(str, family.bounds), "+Inf")
    buckets = list(zip(bounds, map(float, accumulate(family.counts)), strict=True))
    metric.add_metric([], buckets, family.sum)
    return metric
