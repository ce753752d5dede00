"""The metrics page: plain counters, read when Prometheus asks. The only user of prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rtmpd.engine.stats import Histogram, ServerStats
from rtmpd.engine.stream import StreamKey
from rtmpd.web.families import Family
from rtmpd.web.server_metrics import collect_memory, collect_server
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
    memory_limit: int
    """Bytes; 0 for none."""
    clock: Callable[[], float]
    """The clock that the streams' ``last_media_at`` was read from."""


class MetricsPage:
    """Renders everything known about this process.

    At most ``max_streams`` streams have series of their own; the others share the label values ``_other``.
    """

    def __init__(self, sources: Sources, max_streams: int) -> None:
        self._registry = CollectorRegistry()
        # Resident memory, CPU, open files and start time, under the names every dashboard knows.
        ProcessCollector(registry=self._registry)
        self._registry.register(_SourcesCollector(sources, max_streams))

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and body in the best format that an ``Accept`` header asks for."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)


class _SourcesCollector(Collector):
    def __init__(self, sources: Sources, max_streams: int) -> None:
        self._sources = sources
        self._streams = StreamMetrics(sources.streams, max_streams, sources.clock)

    def describe(self) -> Iterable[Metric]:
        # Without this, registering would collect once to learn the names.
        return ()

    def collect(self) -> Iterator[Metric]:
        sources = self._sources
        yield from map(_metric, collect_server(sources.stats, sources.streams))
        yield _histogram(
            "rtmpd_time_to_first_frame_seconds",
            "From a player's request, or the publisher's start if later, to its first frame.",
            sources.stats.time_to_first_frame,
        )
        yield from map(_metric, collect_memory(sources.memory_held(), sources.memory_limit))
        yield _histogram(
            "rtmpd_event_loop_lag_seconds", "How late the event loop ran its timers.", sources.loop_lag
        )
        yield from map(_metric, self._streams.collect())


def _metric(family: Family) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, value in family.samples:
        metric.add_metric(labels, value)
    return metric


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    metric = HistogramMetricFamily(name, text)
    buckets = []
    count = 0
    for bound, observations in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        count += observations
        buckets.append((bound, float(count)))
    metric.add_metric([], buckets, histogram.sum)
    return metric
