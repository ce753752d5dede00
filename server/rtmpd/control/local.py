"""The server of this process, at the hands of whoever is in charge. All is read when it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmpd.control.audit import Audit
from rtmpd.control.before import ALONE, Before
from rtmpd.control.control import Control
from rtmpd.control.joined_relays import JoinedPulls, JoinedPushes, JoinedRelays
from rtmpd.control.joined_sessions import JoinedSessions
from rtmpd.control.joined_streams import JoinedStreams
from rtmpd.control.local_bans import BanKeeper, LocalBans
from rtmpd.control.local_changes import LocalChanges
from rtmpd.control.local_clips import ClipMaker, LocalClips
from rtmpd.control.local_events import LocalEvents
from rtmpd.control.local_figures import LocalFigures
from rtmpd.control.local_keys import KeyKeeper, LocalKeys
from rtmpd.control.local_log import LocalLog, LogSwitch
from rtmpd.control.local_metrics import LocalMetrics
from rtmpd.control.local_pulls import LocalPulls, PullSwitch
from rtmpd.control.local_pushes import LocalPushes, PushTargets
from rtmpd.control.local_recordings import LocalRecordings, RecordingShelf
from rtmpd.control.local_records import LocalRecords
from rtmpd.control.local_redirects import LocalRedirects
from rtmpd.control.local_relays import LocalRelays
from rtmpd.control.local_reports import LocalReports
from rtmpd.control.local_server import Ending, LocalServer
from rtmpd.control.local_sessions import LocalSessions
from rtmpd.control.local_settings import LocalSettings
from rtmpd.control.local_streams import LocalStreams
from rtmpd.control.server_answers import PublicHttp
from rtmpd.control.settings_answers import Setting
from rtmpd.control.stored import Stored
from rtmpd.control.times import Times
from rtmpd.engine.registry import Registry
from rtmpd.metrics.collecting import Metrics
from rtmpd.net.address_mask import OPEN, AddressMask
from rtmpd.relay.status import RelayStatus

if TYPE_CHECKING:
    from rtmpd.events.records import SessionRecord
    from rtmpd.events.ring import EventRing


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is to be seen, and changed."""

    registry: Registry
    guard: BanKeeper
    pushes: PushTargets
    pulls: PullSwitch
    relays: Callable[[], Sequence[RelayStatus]]
    rtmp_port: Callable[[], int | None]
    """Where RTMP is taken; None where it is not, by a port."""
    http: Callable[[], PublicHttp | None]
    """Where browsers play; None where they cannot."""
    readiness: Callable[[], str | None]
    """Why no traffic should be sent here now; None when it may be."""
    ending: Ending
    replace: Callable[[], Awaitable[tuple[int, str]]]
    """Has another process take over; its number and version. Raises HandoverFailed."""
    apps: Callable[[], Container[str]]
    """Apps with settings of their own, now: see ``StreamKey.of_path``."""
    held_settings: Callable[[str | None], Awaitable[Sequence[Setting]]]
    """Of a path, or all that are in force."""
    reload: Callable[[bool], Awaitable[Mapping[str, Sequence[str]]]]
    """Reads the settings again; told ``True`` it changes nothing. Raises ConfigError."""
    keys: KeyKeeper
    log: LogSwitch
    secret: bytes
    """Random, of this process."""
    audit: Audit
    records: Callable[[], Iterable[SessionRecord]]
    """Of the sessions that are over, those that are kept."""
    ring: Callable[[], EventRing]
    """The newest events; made when somebody first asks for them, or looks at figures."""
    metrics: Metrics
    recordings: Callable[[], RecordingShelf | None]
    """Where streams are recorded; None where none ever is."""
    clips: Callable[[], ClipMaker]
    """Whoever makes clips of what is kept of streams; made when one is asked for."""
    stored: Stored
    """What outlives the process."""
    clock: Callable[[], float]
    """That of the engine."""
    wall_clock: Callable[[], float]
    """Seconds since 1970."""
    started: float
    """Seconds since 1970 at the start of the process."""
    instance: str
    """Names this run of the server."""
    before: Before = ALONE
    """The process that this one has taken over from."""
    serving_since: Callable[[], float | None] = lambda: None
    """See ``LocalServer``."""
    mask: AddressMask = OPEN
    """How much of addresses is shown."""


def local_control(sources: Sources) -> Control:
    """All that can be seen and done in this process."""

    def times() -> Times:
        return Times(sources.clock, sources.wall_clock)

    audit, registry = sources.audit, sources.registry
    log = LocalLog(sources.log, audit, times)
    redirects = LocalRedirects(registry, sources.apps, audit)
    bans = LocalBans(sources.guard, sources.stored, audit, times, sources.mask)
    server = _server(sources, log, times)
    before = sources.before
    streams = JoinedStreams(LocalStreams(registry, redirects, audit, times), before, registry, audit, times)
    sessions = LocalSessions(registry.sessions, bans, redirects, audit, times, sources.mask)
    pushes = LocalPushes(sources.pushes, sources.relays, sources.apps, sources.stored, audit)
    return Control(
        server=server,
        streams=streams,
        sessions=JoinedSessions(sessions, before, registry.sessions, bans, audit),
        bans=bans,
        relays=JoinedRelays(LocalRelays(sources.relays), before),
        pushes=JoinedPushes(pushes, before, sources.relays, audit),
        pulls=JoinedPulls(LocalPulls(sources.pulls, sources.apps, audit), before, sources.relays, audit),
        keys=LocalKeys(
            sources.keys, sources.apps, sources.wall_clock, sources.secret, sources.stored, audit, before
        ),
        log=log,
        settings=LocalSettings(sources.held_settings, sources.reload, audit),
        events=LocalEvents(sources.ring, sources.wall_clock),
        figures=LocalFigures(server, streams, sources.wall_clock, looked_at=sources.ring),
        reports=LocalReports(sources.stored, sources.wall_clock),
        changes=LocalChanges(sources.stored),
        records=LocalRecords(sources.records, sources.mask),
        recordings=LocalRecordings(sources.recordings, sources.apps, registry, audit, sources.before),
        clips=LocalClips(registry, sources.clips),
        metrics=LocalMetrics(sources.metrics),
    )


def _server(sources: Sources, log: LocalLog, times: Callable[[], Times]) -> LocalServer:
    return LocalServer(
        sources.registry,
        sources.readiness,
        sources.ending,
        sources.replace,
        sources.stored,
        sources.audit,
        times,
        sources.wall_clock,
        sources.started,
        sources.instance,
        log,
        sources.rtmp_port,
        sources.http,
        sources.before,
        sources.serving_since,
    )
