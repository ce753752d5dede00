"""What is counted of a connection: for the statistics, and for whoever asks how it gets on."""

from __future__ import annotations

from dataclasses import dataclass

from rtmpd.engine.origin import Origin
from rtmpd.engine.sessions import SessionEnd, SessionFigures, Use
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats, count
from rtmpd.exceptions import ProtocolError
from rtmpd.net.tcp_info import read_tcp_info
from rtmpd.reasons import HandshakeFailure, SessionFailure, Word
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving.peer import Peer
from rtmpd.serving.requests import Requests


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection is over."""

    reason: CloseReason
    detail: Word | None = None
    """For the log, where more is known."""
    by: Origin | None = None
    """Who wanted it so, if it was somebody else."""


def count_failure(stats: ServerStats, error: ProtocolError) -> None:
    """A session has ended with ``error``."""
    match error.reason:
        case HandshakeFailure() as reason:
            count(stats.handshake_failures, reason)
        case SessionFailure() as reason:
            count(stats.sessions_failed, reason)


def count_tolerated(stats: ServerStats, session: ServerSession) -> None:
    """Since the last call."""
    for quirk, number in session.take_tolerated().items():
        count(stats.tolerated, quirk, number)


def uses(requests: Requests) -> tuple[Use, ...]:
    """What a connection publishes and plays."""
    return (*(each.use for each in requests.publishers), *(each.use for each in requests.players))


def record(peer: Peer, requests: Requests, end: End) -> None:
    """Have whoever records sessions know of a connection that is lost."""
    observer, keeper = peer.context.registry.sessions.observer, peer.context.input_keeper
    kept = keeper.take(requests.origin.session) if keeper is not None else b""
    if observer is None:
        return
    observer.session_ended(
        SessionEnd(
            origin=requests.origin,
            reason=end.reason,
            detail=end.detail,
            by=end.by,
            introduced=requests.introduced,
            figures=figures(peer, requests),
            peak_backlog_bytes=peer.outlet.peak_bytes,
            last_command=peer.session.last_command,
            input=kept,
        )
    )


def figures(peer: Peer, requests: Requests) -> SessionFigures:
    """How a connection gets on that is open."""
    session, congestion = peer.session, peer.outlet.congestion
    played = sum([player.figures().bytes_out for player in requests.players])
    return SessionFigures(
        bytes_in=session.bytes_received,
        bytes_out=session.bytes_sent + requests.bytes_out + played,
        dropped=sum([player.dropped for player in requests.players]),
        backlog_bytes=peer.transport.get_write_buffer_size(),
        behind_since=None if congestion is None else congestion.behind_since,
        tcp_info=read_tcp_info(peer.transport.get_extra_info("socket")),
    )
