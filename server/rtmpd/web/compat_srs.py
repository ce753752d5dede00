"""SRS's HTTP API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from rtmpd.compat import srs
from rtmpd.compat.survey import Survey, outline, survey
from rtmpd.control.actor import Actor
from rtmpd.control.session_answers import KickRequest
from rtmpd.engine.origin import parse_session
from rtmpd.exceptions import ControlError, NotFound
from rtmpd.net.http import web
from rtmpd.web.compat import CheckChange, Desk, as_json, json_bytes, parameter, takes_get
from rtmpd.web.gate import actor

_ROOT: Final = "/api/v1/"
_REASON: Final = "SRS API"
_OF_ALL: Final = ("summaries", "vhosts")
"""Sums of all streams, which are not for who has to do with some only."""
_OF_THE_SERVER: Final = ("versions", "summaries")
"""They tell of no stream."""

Document = Callable[[Survey], dict[str, Any]]


class Srs:
    """Versions, summaries, vhosts, streams and clients, which can be thrown out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def claims(self, path: str) -> bool:
        return path.startswith(_ROOT)

    def word_of(self, _path: str) -> str | None:
        return None

    async def answer(self, request: web.Request, path: str, check: CheckChange) -> web.Response | None:
        noun, _, wanted = path.removeprefix(_ROOT).rstrip("/").partition("/")
        if noun == "clients" and request.method == "DELETE":
            return await self._kick(wanted, check(request))
        document = _document(noun, wanted, _number(request, "start"), _number(request, "count"))
        if document is None or not takes_get(request):
            return None
        by = actor()
        if noun in _OF_ALL:
            by.check_unscoped()
        same = "srs", noun, wanted, _number(request, "start"), _number(request, "count")
        return json_bytes(await self._told(same, by, document, whole=noun in _OF_THE_SERVER))

    def refuse(self, error: ControlError) -> web.Response:
        problem = error.problem
        return as_json({"code": problem.status, "msg": error.detail}, problem.status)

    async def _told(self, same: object, by: Actor, document: Document, *, whole: bool) -> bytes:
        """``whole``: it is about the server alone."""

        async def make() -> Callable[[], bytes]:
            found = await (outline if whole else survey)(self._desk.control, by)
            return lambda: json.dumps(document(found)).encode()

        return await self._desk.told(same, by, make)

    async def _kick(self, client: str, by: Actor) -> web.Response:
        sessions = self._desk.control.sessions
        try:
            number = parse_session(client)
            if not srs.is_client(await sessions.get(number, by)):
                return as_json(srs.refusal(srs.CLIENT_NOT_FOUND))
            await sessions.kick(number, KickRequest(reason=_REASON), by)
        except (NotFound, ValueError):
            return as_json(srs.refusal(srs.CLIENT_NOT_FOUND))
        self._desk.shared.forget()
        return as_json(srs.done(await self._desk.control.server.info(by)))


def _document(noun: str, wanted: str, start: int, count: int) -> Document | None:
    match noun, wanted:
        case "versions", "":
            return lambda found: srs.versions(found.server)
        case "summaries", "":
            return lambda found: srs.summaries(found.server)
        case "vhosts", "":
            return srs.vhosts
        case "vhosts", _:
            return lambda found: srs.vhost(found, wanted)
        case "streams", "":
            return lambda found: srs.streams(found, start, count)
        case "streams", _:
            return lambda found: srs.stream(found, wanted)
        case "clients", "":
            return lambda found: srs.clients(found, start, count)
        case "clients", _:
            return lambda found: srs.client(found, wanted)
    return None


def _number(request: web.Request, name: str) -> int:
    return srs.number(parameter(request, name))
