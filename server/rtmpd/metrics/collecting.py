"""Everything known about this process, as metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rtmpd.engine.key import StreamKey
from rtmpd.engine.stats import Histogram, ServerStats
from rtmpd.hooks.stats import HookStats
from rtmpd.metrics.admin import collect_admin
from rtmpd.metrics.backends import collect_backends
from rtmpd.metrics.certificates import Certificates, collect_certificates
from rtmpd.metrics.families import RENAMED_METRICS, AnyFamily, HistogramFamily, Renames, with_old_names
from rtmpd.metrics.followers import FollowStats, collect_followers
from rtmpd.metrics.kept import Keeper, Rewinds, collect_kept
from rtmpd.metrics.key_sets import KeySet, collect_key_sets
from rtmpd.metrics.keys import RuntimeKeys, collect_key_files, collect_keys
from rtmpd.metrics.notifications import NotifyStatus, collect_notifications
from rtmpd.metrics.obs import collect_obs
from rtmpd.metrics.predecessor import Carried, collect_predecessor
from rtmpd.metrics.process import MemoryGroup, ProcessMetrics
from rtmpd.metrics.recordings import Recordings, collect_recordings
from rtmpd.metrics.records import AccessLogStats, InputStats, collect_access_log, collect_inputs
from rtmpd.metrics.relays import collect_relays
from rtmpd.metrics.reloads import Reloads, collect_reloads
from rtmpd.metrics.runs import collect_hooks, collect_processes
from rtmpd.metrics.server import collect_draining, collect_memory, collect_server
from rtmpd.metrics.shelf import Shelf, collect_shelf
from rtmpd.metrics.state import StateStats, collect_state
from rtmpd.metrics.streams import StreamMetrics, StreamView
from rtmpd.processes.words import HookCounts, ProcessCounts, ProcessStatus
from rtmpd.reasons import Problem
from rtmpd.relay.status import RelayStatus


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
    obs: Mapping[str, int]
    """What OBS has asked, by what came of it."""
    reloads: Reloads
    draining: Callable[[], bool]
    """The server ends, and waits for who is still there."""
    predecessor: Callable[[], Carried | None]
    """The process that this one has taken over from; None where none is left."""
    serving_since: Callable[[], float]
    """Start of the first of the processes that took over from each other, in seconds since 1970."""
    followed: FollowStats
    state: Callable[[], StateStats | None]
    """Of what is to outlive the process; None if nothing is."""
    access_log: Callable[[], AccessLogStats | None]
    """None where there is none."""
    inputs: Callable[[], InputStats | None]
    """None where they are not kept."""
    shelf: Callable[[], Shelf | None]
    """Finished recordings; None where no setting names a folder for any."""
    recordings: Callable[[], Recordings | None]
    """None where nothing is recorded."""
    kept: Callable[[], Mapping[str, Keeper]]
    """What is kept of streams, by what for: ``ring``, ``delay``."""
    rewinds: Callable[[], Rewinds | None]
    """None where nobody has gone back yet."""
    refusals: Mapping[Problem, int]
    """Requests to the admin port that were not answered, by why."""
    hooks: HookStats
    """What backends are asked and told."""


class Metrics:
    """What ``Sources`` have to say, and the kernel of this process; old names too.

    At most ``max_streams`` streams have series of their own; the others share the label values ``_other``. As
    many relays have.
    """

    def __init__(self, sources: Sources, max_streams: int, renames: Renames = RENAMED_METRICS) -> None:
        self._process = ProcessMetrics(time.time(), sources.memory_group)
        self._sources = sources
        self._max_streams = max_streams
        self._renames = renames
        self._streams = StreamMetrics(sources.streams, sources.clock)

    def apply(self, max_streams: int) -> None:
        """Another ``max_streams``; a stream that has series keeps them while it lives."""
        self._max_streams = max_streams

    def collect(self) -> list[AnyFamily]:
        """The numbers of this moment: call it where they are written, on the event loop."""
        sources = self._sources
        families: list[AnyFamily] = [
            *collect_server(sources.stats, sources.streams),
            *collect_certificates(sources.certificates),
            collect_key_files(sources.key_files()),
            *collect_key_sets(sources.key_sets),
            *collect_keys(sources.keys),
            collect_obs(sources.obs),
            *collect_reloads(sources.reloads),
            collect_draining(sources.draining()),
            *collect_predecessor(sources.predecessor(), sources.serving_since(), self._max_streams),
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
            *collect_recordings(sources.recordings()),
            *collect_kept(sources.kept(), sources.rewinds()),
            *collect_shelf(sources.shelf(), time.time),
            *collect_hooks(sources.hook_counts),
            *collect_backends(sources.hooks),
        ]
        return list(with_old_names(families, self._renames))

    def ask_kernel(self) -> list[AnyFamily]:
        """The process as the kernel sees it; fit for any thread, and opens files."""
        return list(with_old_names(self._process.collect(), self._renames))
