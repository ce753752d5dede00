"""What can be asked of sessions."""

from __future__ import annotations

from typing import Final

from rtmpd.control.actor import Role
from rtmpd.control.control import Control
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.session_answers import KickRequest, Session, SessionPage, SessionQuery
from rtmpd.reasons import Problem
from rtmpd.web.operations import Asked, Operation


async def _list(control: Control, asked: Asked) -> SessionPage:
    return await control.sessions.list(asked.query_as(SessionQuery), asked.actor)


async def _get(control: Control, asked: Asked) -> Session:
    return await control.sessions.get(asked.session, asked.actor)


async def _redirect(control: Control, asked: Asked) -> Redirected:
    return await control.sessions.redirect(asked.session, asked.body_as(RedirectRequest), asked.actor)


async def _kick(control: Control, asked: Asked) -> None:
    await control.sessions.kick(asked.session, asked.body_as(KickRequest), asked.actor)


OPERATIONS: Final = (
    Operation(
        "listSessions",
        "GET",
        "/sessions",
        Role.READ,
        "Whoever is connected, and to whom this server is",
        _list,
        SessionPage,
        query=SessionQuery,
    ),
    Operation(
        "getSession",
        "GET",
        "/sessions/{id}",
        Role.READ,
        "A session",
        _get,
        Session,
        problems=(Problem.SESSION_NOT_FOUND,),
    ),
    Operation(
        "redirectSession",
        "POST",
        "/sessions/{id}/redirect",
        Role.OPERATE,
        "Have whoever plays go on with another stream, or ask them to connect to another server",
        _redirect,
        Redirected,
        body=RedirectRequest,
        problems=(Problem.SESSION_NOT_FOUND, Problem.NOT_PLAYING, Problem.NOT_LIVE),
    ),
    Operation(
        "kickSession",
        "POST",
        "/sessions/{id}/kick",
        Role.OPERATE,
        "End a session, and ban its address if that is wanted; a relay comes back, a client may",
        _kick,
        status=204,
        body=KickRequest,
        optional_body=True,
        problems=(Problem.OUT_OF_SCOPE, Problem.SESSION_NOT_FOUND, Problem.NETWORK_REFUSED),
    ),
)
