"""Logs browsers in and out, and tells who asks: of cookies nobody else knows."""

from __future__ import annotations

import math

from rtmpd.control.actor import Actor, Role
from rtmpd.control.actor_answers import Asking, LoginRequest
from rtmpd.control.times import on_wall
from rtmpd.net.http import web
from rtmpd.net.visitors import Visitors
from rtmpd.web.gate import Gate, asker
from rtmpd.web.login_descriptions import GET, LOGIN, LOGOUT
from rtmpd.web.logins import Logins
from rtmpd.web.requests import answer, done, read_body, read_query


class LoginHandlers:
    """Serves what ``login_descriptions`` has, at one address."""

    def __init__(self, gate: Gate, logins: Logins, visitors: Visitors) -> None:
        self._gate = gate
        self._logins = logins
        self._visitors = visitors

    def add_routes(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Below ``prefix``."""
        router.add_get(f"{prefix}{GET.path}", self._get)
        router.add_post(f"{prefix}{LOGIN.path}", self._log_in)
        router.add_post(f"{prefix}{LOGOUT.path}", self._log_out)

    async def _get(self, request: web.Request) -> web.Response:
        read_query(GET, request)
        who = asker()
        return answer(GET.status, _told(who.actor, who.until))

    async def _log_in(self, request: web.Request) -> web.Response:
        self._gate.check_page(request)
        body = await read_body(LOGIN, request)
        if not isinstance(body, LoginRequest):
            raise TypeError(f"{type(body).__name__} is no {LoginRequest.__name__}")
        proof = await self._gate.prove(request, body.token)
        login, cookie = self._logins.begin(proof)
        actor = Actor(proof.name, role=Role(proof.role), streams=proof.streams)
        response = answer(LOGIN.status, _told(actor, login.until))
        secure = self._visitors.is_secure(request)
        self._logins.hand_out(cookie, response, secure=secure)
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        self._gate.check_page(request)
        response = done(LOGOUT.status)
        self._logins.end(request.cookies, response)
        return response


def _told(actor: Actor, until: float) -> bytes:
    asking = Asking(
        name=actor.name,
        role=actor.role,
        streams=actor.streams if actor.is_scoped else (),
        until=None if math.isinf(until) else on_wall(until),
    )
    return asking.model_dump_json().encode()
