"""What is left of a session that is over: one record of it, made when it ends, for who reads it later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin, spell_session
from rtmpd.engine.publication import Publication
from rtmpd.engine.sessions import SessionEnd
from rtmpd.engine.sink import CloseReason, Ending
from rtmpd.engine.subscriber import Subscription
from rtmpd.engine.vod import VodPlay
from rtmpd.events.model import spell_time
from rtmpd.net.tcp_info import TcpInfo, parse_tcp_info

logger = logging.getLogger(__name__)

_MOST_USES: Final = 32
"""Of one session that are told one by one."""
_USE_BYTES: Final = 512
"""What one holds, about, beside the texts that peers choose."""
_MOST_SESSIONS: Final = 100_000
"""Whose publishes and plays that are over are remembered until they end; those of further ones are not."""


@dataclass(frozen=True, slots=True)
class UseRecord:
    """One publish or play that is over. Times are seconds since 1970."""

    action: str
    """``publish`` or ``play``; a push plays."""
    app: str
    name: str
    since: float
    until: float
    bytes: int
    """Of media: published, or sent to who played."""
    video: str | None
    """Codec of what was published; None of a play."""
    audio: str | None
    dropped: int
    """Packets kept from who played."""
    reason: str
    by: str | None
    """Who wanted it so, if somebody did."""
    file: bool = False
    """A file was played, and nothing that was live."""

    @property
    def size(self) -> int:
        """What it is charged to the memory budget."""
        return _USE_BYTES + len(self.app) + len(self.name)

    def as_json(self) -> dict[str, object]:
        """For ``json.dumps``."""
        return {
            "action": self.action,
            "app": self.app,
            "name": self.name,
            "since": spell_time(self.since),
            "seconds": round(max(self.until - self.since, 0.0), 3),
            "bytes": self.bytes,
            "video": self.video,
            "audio": self.audio,
            "dropped": self.dropped,
            "reason": self.reason,
            "by": self.by,
            "file": self.file,
        }


@dataclass(slots=True)
class KeptInput:
    """What a client sent first. Whoever has the record has this; one of them bounds how long there is any."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session that is over. Times are seconds since 1970; nothing in it is secret but ``input``."""

    origin: Origin
    address: str
    """Where it came from, as far as it may be shown; of a relay the other server."""
    kind: str
    """What it was for: pending, publisher, player, push or pull."""
    since: float
    until: float
    uses: tuple[UseRecord, ...]
    more_uses: int
    """Publishes and plays beyond those."""
    bytes_in: int
    bytes_out: int
    dropped: int
    peak_backlog_bytes: int
    reason: str
    detail: str | None
    by: str | None
    last_command: str
    tcp: TcpInfo | None
    introduced: bool
    input: KeptInput

    @property
    def id(self) -> str:
        """Of the session."""
        return spell_session(self.origin.session)

    def as_json(self) -> dict[str, object]:
        """For ``json.dumps``: as the API and the access log show it."""
        origin, tcp = self.origin, self.tcp
        return {
            "id": self.id,
            "kind": self.kind,
            "protocol": origin.protocol,
            "since": spell_time(self.since),
            "until": spell_time(self.until),
            "seconds": round(max(self.until - self.since, 0.0), 3),
            "address": self.address,
            "listener": origin.listener,
            "tls": origin.tls,
            "agent": origin.agent,
            "account": origin.account,
            "query": origin.query,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "dropped": self.dropped,
            "peak_backlog_bytes": self.peak_backlog_bytes,
            "reason": self.reason,
            "detail": self.detail,
            "by": self.by,
            "last_command": self.last_command,
            "tcp": None
            if tcp is None
            else {
                "round_trip_seconds": tcp.round_trip,
                "round_trip_min_seconds": tcp.shortest_round_trip,
                "retransmitted_segments": tcp.retransmitted,
            },
            "uses": [use.as_json() for use in self.uses],
            "more_uses": self.more_uses,
            "input_bytes": len(self.input.data),
        }


class RecordListener(Protocol):
    """Joint to whoever keeps records: the ring of the API, the access log, the store of viewers' minutes."""

    def recorded(self, record: SessionRecord, /) -> None:
        """A session is over. Take note at once: it may not block. What it raises is logged."""


class Recorder(StreamObserver):
    """Makes a record of each session that ends; an observer of streams and of sessions.

    ``call_soon(callback)`` is that of the registry: what a session did is told in the turn behind its end.
    What it has done by then is charged to ``budget``; while memory is short it is counted only.
    Health checks, which say nothing, are no session.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        budget: MemoryBudget,
    ) -> None:
        self._call_soon = call_soon
        self._clock = clock
        self._wall_clock = wall_clock
        self._budget = budget
        self._over: dict[int, list[UseRecord]] = {}
        """What sessions that go on have done and do no more."""
        self._more: dict[int, int] = {}
        self._listeners: tuple[RecordListener, ...] = ()

    def add_listener(self, listener: RecordListener) -> None:
        """Tell ``listener`` of each from now on."""
        self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: RecordListener) -> None:
        """Tell it nothing more. Idempotent."""
        self._listeners = tuple([each for each in self._listeners if each is not listener])

    # Told by the engine

    def unpublished(self, publication: Publication) -> None:
        stats, origin = publication.stats, publication.origin
        reason, by = _end(publication.ending)
        use = UseRecord(
            action="publish",
            app=publication.key.app,
            name=publication.key.name,
            since=self._at(publication.started_at),
            until=self._wall_clock(),
            bytes=stats.audio.bytes_in + stats.video.bytes_in + stats.data_bytes_in,
            video=stats.video.codec,
            audio=stats.audio.codec,
            dropped=0,
            reason=reason,
            by=by,
        )
        self._add(origin, use)

    def play_ended(self, subscription: Subscription) -> None:
        reason, by = _end(subscription.ending)
        use = UseRecord(
            action="play",
            app=subscription.key.app,
            name=subscription.key.name,
            since=self._at(subscription.since),
            until=self._wall_clock(),
            bytes=subscription.bytes_out,
            video=None,
            audio=None,
            dropped=subscription.dropped,
            reason=reason,
            by=by,
        )
        self._add(subscription.origin, use)

    def vod_ended(self, play: VodPlay) -> None:
        reason, by = _end(play.ending)
        use = UseRecord(
            action="play",
            app=play.key.app,
            name=play.key.name,
            since=self._at(play.since),
            until=self._at(play.until),
            bytes=play.bytes_out,
            video=None,
            audio=None,
            dropped=0,
            reason=reason,
            by=by,
            file=True,
        )
        self._add(play.origin, use)

    def session_ended(self, end: SessionEnd) -> None:
        if end.figures.bytes_in:
            until = self._wall_clock()
            self._call_soon(lambda: self._record(end, until))

    # Inside

    def _add(self, origin: Origin, use: UseRecord) -> None:
        session = origin.session
        if origin.is_relay:
            self._tell(self._of_relay(origin, use))
            return
        if not session or (session not in self._over and len(self._over) >= _MOST_SESSIONS):
            return  # A process of ours, or nobody could say when it will be forgotten.
        uses = self._over.setdefault(session, [])
        if len(uses) < _MOST_USES and not self._budget.exhausted:
            uses.append(use)
            self._budget.charge_queues(use.size)
        else:
            self._more[session] = self._more.get(session, 0) + 1

    def _record(self, end: SessionEnd, until: float) -> None:
        origin, figures = end.origin, end.figures
        uses = self._over.pop(origin.session, [])
        self._budget.charge_queues(-sum([use.size for use in uses]))
        record = SessionRecord(
            origin=origin,
            address=origin.shown,
            kind=_kind(uses),
            since=origin.begun_at / 1000,
            until=until,
            uses=tuple(uses),
            more_uses=self._more.pop(origin.session, 0),
            bytes_in=figures.bytes_in,
            bytes_out=figures.bytes_out,
            dropped=sum([use.dropped for use in uses]),
            peak_backlog_bytes=end.peak_backlog_bytes,
            reason=str(end.reason),
            detail=None if end.detail is None else str(end.detail),
            by=None if end.by is None else end.by.who,
            last_command=end.last_command,
            tcp=parse_tcp_info(figures.tcp_info),
            introduced=end.introduced,
            input=KeptInput(end.input if end.reason is CloseReason.PROTOCOL_ERROR else b""),
        )
        self._tell(record)

    def _of_relay(self, origin: Origin, use: UseRecord) -> SessionRecord:
        """A connection of ours carries one stream, and ends with it."""
        pushes = use.action == "play"
        return SessionRecord(
            origin=origin,
            address=origin.shown,
            kind=origin.protocol,
            since=use.since,
            until=use.until,
            uses=(use,),
            more_uses=0,
            bytes_in=0 if pushes else use.bytes,
            bytes_out=use.bytes if pushes else 0,
            dropped=use.dropped,
            peak_backlog_bytes=0,
            reason=use.reason,
            detail=None,
            by=use.by,
            last_command="",
            tcp=None,
            introduced=True,
            input=KeptInput(),
        )

    def _tell(self, record: SessionRecord) -> None:
        for listener in self._listeners:
            try:
                listener.recorded(record)
            except Exception:  # It costs this listener a record, and nobody else anything.
                logger.exception("a record of a session was not kept")

    def _at(self, reading: float) -> float:
        return self._wall_clock() - max(self._clock() - reading, 0.0)


def _kind(uses: list[UseRecord]) -> str:
    if not uses:
        return "pending"
    return "publisher" if any(use.action == "publish" for use in uses) else "player"


def _end(ending: Ending | None) -> tuple[str, str | None]:
    if ending is None:
        return str(CloseReason.FINISHED), None
    return str(ending.reason), None if ending.by is None else ending.by.who
