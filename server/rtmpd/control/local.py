"""The server of this process, at the hands of whoever is in charge. All is read when it is asked for."""

from __future__ import annotations

import logging
import platform
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd import __version__
from rtmpd.access.bans import Ban as HeldBan
from rtmpd.access.manual_bans import parse_network
from rtmpd.access.rules import Network
from rtmpd.control import session_views, stream_views
from rtmpd.control.actor import Actor
from rtmpd.control.answers import PageQuery
from rtmpd.control.ban_answers import Ban, BanPage, BanRequest
from rtmpd.control.paging import build, cut
from rtmpd.control.relay_answers import PushRequest, Relay, RelayKind, RelayPage, RelayQuery
from rtmpd.control.server_answers import ServerInfo, Totals
from rtmpd.control.session_answers import KickRequest, Session, SessionPage, SessionQuery
from rtmpd.control.settings_answers import Reload, ReloadRequest
from rtmpd.control.stream_answers import Stream, StreamPage, StreamQuery
from rtmpd.control.times import Times, on_wall
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session, spell_session
from rtmpd.engine.registry import Registry
from rtmpd.engine.sessions import SessionHandle
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stream import LiveStream
from rtmpd.exceptions import ConfigError, Conflict, NotFound, NotPossible, UsageError
from rtmpd.reasons import Problem
from rtmpd.relay.status import RelayStatus
from rtmpd.rtmp.form import form

logger = logging.getLogger(__name__)

_NO_ADDRESS: Final = "this client has no address that could be banned: nobody knows where it comes from"


class PushControl(Protocol):
    """Adds and removes targets; ``rtmpd.relay.push.relays.PushRelays`` is one."""

    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        """Raises UsageError, whose text holds no secret."""

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        """False when there is no such target."""


class BanControl(Protocol):
    """Knows whom to turn away; ``rtmpd.access.guard.Guard`` is one."""

    def bans(self) -> Sequence[HeldBan]:
        """All that hold."""

    def ban(self, network: Network, seconds: float, reason: str) -> HeldBan:
        """Raises UsageError where that may not be."""

    def lift(self, network: Network) -> bool:
        """False if it is not banned."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is to be seen, and changed."""

    registry: Registry
    guard: BanControl
    pushes: PushControl
    relays: Callable[[], Sequence[RelayStatus]]
    readiness: Callable[[], str | None]
    """Why no traffic should be sent here now; None when it may be."""
    apps: Callable[[], Container[str]]
    """Apps with settings of their own, now: see ``StreamKey.of_path``."""
    reload: Callable[[bool], Awaitable[Mapping[str, Sequence[str]]]]
    """Reads the settings again; told ``True`` it changes nothing. Raises ConfigError."""
    clock: Callable[[], float]
    """That of the engine."""
    wall_clock: Callable[[], float]
    """Seconds since 1970."""
    started: float
    """Seconds since 1970 at the start of the process."""


class LocalControl:
    """A ``Control`` of this process."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._registry = sources.registry

    # Seeing

    async def server(self) -> ServerInfo:
        sources = self._sources
        unready = sources.readiness()
        return ServerInfo(
            version=__version__,
            form=form(),
            python=platform.python_version(),
            started=on_wall(sources.started),
            uptime_seconds=round(max(sources.wall_clock() - sources.started, 0.0), 3),
            ready=unready is None,
            unready_reason=unready,
            totals=_totals(self._registry),
        )

    async def streams(self, query: StreamQuery) -> StreamPage:
        text = None if query.q is None else query.q.casefold()

        def wanted(stream: LiveStream) -> bool:
            return (
                (query.app is None or stream.key.app == query.app)
                and (query.state is None or stream.life.value == query.state.value)
                and (text is None or text in stream.key.casefold())
            )

        found = list(self._registry.streams.values())
        part = await cut(found, wanted, lambda stream: str(stream.key), query.after, query.limit)
        times = self._times()
        items = await build(part.items, lambda stream: stream_views.summary(stream, times))
        last = None if part.last is None else str(part.last.key)
        return StreamPage(items=items, next=last, total=part.total)

    async def stream(self, key: StreamKey) -> Stream:
        return stream_views.whole(self._stream(key), self._times())

    async def sessions(self, query: SessionQuery) -> SessionPage:
        try:
            after = None if query.after is None else parse_session(query.after)
        except ValueError:
            raise NotPossible(Problem.BAD_REQUEST, "after: send what next was") from None
        wanted, found = session_views.wanted(query), self._registry.sessions
        part = await cut(found, wanted, lambda handle: handle.origin.session, after, query.limit)
        times = self._times()
        items = await build(part.items, lambda handle: session_views.session(handle, times))
        last = None if part.last is None else part.last.origin.session_id
        return SessionPage(items=items, next=last, total=part.total)

    async def session(self, number: int) -> Session:
        return session_views.session(self._session(number), self._times())

    async def bans(self, query: PageQuery) -> BanPage:
        found = self._sources.guard.bans()
        part = await cut(found, lambda _ban: True, lambda ban: ban.network, query.after, query.limit)
        times = self._times()
        items = await build(part.items, lambda ban: _ban(ban, times))
        last = None if part.last is None else part.last.network
        return BanPage(items=items, next=last, total=part.total)

    async def relays(self, query: RelayQuery) -> RelayPage:
        def wanted(relay: RelayStatus) -> bool:
            return (
                (query.app is None or relay.key.app == query.app)
                and (query.stream is None or relay.key == query.stream)
                and (query.kind is None or relay.kind == query.kind.value)
            )

        part = await cut(self._sources.relays(), wanted, _place, query.after, query.limit)
        items = await build(part.items, _relay)
        last = None if part.last is None else _place(part.last)
        return RelayPage(items=items, next=last, total=part.total)

    # Changing

    async def end_hold(self, key: StreamKey, by: Actor) -> None:
        self._stream(key)
        if not self._registry.end_hold(key):
            text = f"{key} is not held: it has an encoder, or nobody waits for one"
            raise Conflict(Problem.NOT_HELD, text)
        _note(by, "end hold", key)

    async def kick(self, number: int, request: KickRequest, by: Actor) -> None:
        handle = self._session(number)
        if request.ban is not None:
            try:
                network = parse_network(handle.origin.network)
            except UsageError:
                raise NotPossible(Problem.NETWORK_REFUSED, _NO_ADDRESS) from None
            self._ban(network, request.ban, request.reason, by)
        handle.dismiss(CloseReason.KICKED, by.origin)
        _note(by, "kick", handle.origin.session_id, request.reason)

    async def ban(self, request: BanRequest, by: Actor) -> Ban:
        try:
            network = parse_network(request.network)
        except UsageError as problem:
            raise NotPossible(Problem.NETWORK_REFUSED, str(problem)) from None
        return self._ban(network, request.seconds, request.reason, by)

    async def unban(self, network: str, by: Actor) -> None:
        try:
            known = self._sources.guard.lift(parse_network(network))
        except UsageError:
            known = False
        if not known:
            raise NotFound(Problem.BAN_NOT_FOUND, f"{network} is not banned")
        _note(by, "unban", network)

    async def add_push(self, key: StreamKey, request: PushRequest, by: Actor) -> Relay:
        key = StreamKey.of_path(str(key), self._sources.apps())
        try:
            status = self._sources.pushes.add(key, request.url, request.track)
        except UsageError as problem:
            raise NotPossible(Problem.TARGET_REFUSED, str(problem)) from None
        _note(by, "add push", f"{key} {status.id}")
        return _relay(status)

    async def remove_push(self, key: StreamKey, relay_id: str, by: Actor) -> None:
        if not self._sources.pushes.remove(key, relay_id):
            raise NotFound(Problem.TARGET_NOT_FOUND, f"{key} is pushed to no target {relay_id}")
        _note(by, "remove push", f"{key} {relay_id}")

    async def reload(self, request: ReloadRequest, by: Actor) -> Reload:
        try:
            changed = await self._sources.reload(request.dry_run)
        except ConfigError as error:
            raise NotPossible(Problem.SETTINGS_REFUSED, "; ".join(error.problems)) from None
        if not request.dry_run:
            _note(by, "reload", f"{sum(map(len, changed.values()))} settings")
        told = {effect: tuple(names) for effect, names in changed.items()}
        return Reload(dry_run=request.dry_run, changed=told)

    # Inside

    def _times(self) -> Times:
        return Times(self._sources.clock, self._sources.wall_clock)

    def _stream(self, key: StreamKey) -> LiveStream:
        stream = self._registry.streams.get(key)
        if stream is None:
            raise NotFound(Problem.STREAM_NOT_FOUND, f"nobody publishes {key}, and nobody waits for it")
        return stream

    def _session(self, number: int) -> SessionHandle:
        handle = self._registry.sessions.find(number)
        if handle is None:
            raise NotFound(
                Problem.SESSION_NOT_FOUND, f"session {spell_session(number)} is over, or never was"
            )
        return handle

    def _ban(self, network: Network, seconds: float, reason: str, by: Actor) -> Ban:
        try:
            ban = self._sources.guard.ban(network, seconds, reason)
        except UsageError as problem:
            raise NotPossible(Problem.NETWORK_REFUSED, str(problem)) from None
        _note(by, "ban", ban.network, reason)
        return _ban(ban, self._times())


def _totals(registry: Registry) -> Totals:
    stats, budget = registry.stats, registry.budget
    return Totals(
        connections=dict(stats.connections),
        connections_total=stats.connections_total,
        publishers=stats.publishers,
        publishes_total=stats.publishes_total,
        players=stats.players,
        plays_total=stats.plays_total,
        streams_published=stats.published_streams,
        streams_held=stats.held_streams,
        bytes_in=stats.bytes_in,
        bytes_out=stats.bytes_out,
        refusals={str(reason): number for reason, number in stats.refusals.items()},
        bans=stats.banned,
        unsent_bytes=stats.unsent_bytes,
        media_bytes=budget.used,
        media_limit_bytes=budget.ceiling_bytes,
    )


def _ban(ban: HeldBan, times: Times) -> Ban:
    return Ban(
        network=ban.network,
        automatic=ban.reason is None,
        since=times.at(ban.since),
        until=times.at(ban.until),
        remaining_seconds=round(max(ban.until - times.now, 0.0), 3),
        reason=ban.reason or "",
        refused=ban.refused,
    )


def _place(relay: RelayStatus) -> str:
    """Where it stands in a list."""
    return f"{relay.key} {relay.kind} {relay.id}"


def _relay(status: RelayStatus) -> Relay:
    return Relay(
        kind=RelayKind(status.kind),
        id=status.id,
        app=status.key.app,
        name=status.key.name,
        remote=status.remote,
        state=str(status.state),
        bytes=status.bytes,
        retries=status.retries,
        lag_bytes=status.lag_bytes,
        lag_seconds=round(status.lag_seconds, 3),
        unannounced=status.unannounced,
        status=status.status,
        reason=status.reason,
        retry_in_seconds=None if status.retry_in is None else round(status.retry_in, 3),
    )


def _note(by: Actor, change: str, target: str, reason: str = "") -> None:
    """Who has changed what."""
    fields = {
        "by": by.name or None,
        "client": by.address,
        "change": change,
        "target": target,
        "reason": reason or None,
    }
    logger.info("changed by hand", extra={"fields": fields})
