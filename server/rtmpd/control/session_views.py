"""Sessions of the engine as they are told."""

from __future__ import annotations

from collections.abc import Callable

from rtmpd.control import session_answers as answers
from rtmpd.control.actor import Actor, Role
from rtmpd.control.answers import Carrier
from rtmpd.control.times import Times, on_wall
from rtmpd.engine.sessions import SessionHandle, Use
from rtmpd.net.address_mask import OPEN, AddressMask
from rtmpd.net.tcp_info import parse_tcp_info


def session(handle: SessionHandle, times: Times) -> answers.Session:
    """One of them, now."""
    origin, uses, figures = handle.origin, handle.uses, handle.figures()
    return answers.Session(
        id=origin.session_id,
        kind=kind(handle),
        carried_by=Carrier.THIS,
        protocol=origin.protocol,
        since=on_wall(origin.begun_at / 1000),
        address=origin.shown,
        listener=origin.listener,
        tls=origin.tls,
        connection=origin.connection,
        agent=origin.agent,
        account=origin.account,
        uses=tuple(_use(each, times) for each in uses),
        bytes_in=figures.bytes_in,
        bytes_out=figures.bytes_out,
        dropped=figures.dropped,
        backlog_bytes=figures.backlog_bytes,
        behind_seconds=times.since(figures.behind_since),
        tcp=_tcp(figures.tcp_info),
    )


def kind(handle: SessionHandle) -> answers.SessionKind:
    """What it is for."""
    if handle.origin.is_relay and not handle.origin.is_borrowed:
        return answers.SessionKind(handle.origin.protocol)
    uses = handle.uses
    if not uses:
        return answers.SessionKind.PENDING
    published = any(use.publishes for use in uses)
    if published and handle.origin.is_borrowed:
        return answers.SessionKind.PULL
    return answers.SessionKind.PUBLISHER if published else answers.SessionKind.PLAYER


def seen(handle: SessionHandle, by: Actor) -> bool:
    """Whether ``by`` has to do with all that a session does: what is done to it is done to all of that."""
    return not by.is_scoped or (bool(handle.uses) and all(by.sees(use.key) for use in handle.uses))


def wanted(
    query: answers.SessionQuery, by: Actor, mask: AddressMask = OPEN
) -> Callable[[SessionHandle], bool]:
    """Tells which are asked for, of those that ``by`` has to do with."""
    may_guess = by.role is Role.OPERATE
    from_there = None if query.address is None else mask.finder(query.address, may_guess=may_guess)
    app, stream, wanted_kind = query.app, query.stream, query.kind

    def is_wanted(handle: SessionHandle) -> bool:
        # What goes from one process of this server to another is nobody's session.
        if handle.origin.is_borrowed or not seen(handle, by):
            return False
        if wanted_kind is not None and kind(handle) is not wanted_kind:
            return False
        if app is not None and not any(use.key.app == app for use in handle.uses):
            return False
        if stream is not None and not any(use.key == stream for use in handle.uses):
            return False
        return from_there is None or from_there(handle.origin.address)

    return is_wanted


def _use(use: Use, times: Times) -> answers.StreamUse:
    action = answers.UseKind.PUBLISH if use.publishes else answers.UseKind.PLAY
    return answers.StreamUse(
        app=use.key.app, name=use.key.name, action=action, since=times.at(use.since), file=use.file
    )


def _tcp(data: bytes) -> answers.TcpConnection | None:
    info = parse_tcp_info(data)
    if info is None:
        return None
    return answers.TcpConnection(
        round_trip_seconds=info.round_trip,
        round_trip_deviation_seconds=info.deviation,
        round_trip_min_seconds=info.shortest_round_trip,
        retransmitted_segments=info.retransmitted,
        congestion_window_segments=info.congestion_window,
        unacknowledged_segments=info.unacknowledged,
        segment_bytes=info.segment_bytes,
        not_sent_bytes=info.not_sent_bytes,
        received_seconds_ago=info.received_ago,
    )
