"""MediaMTX's control API, as far as it is about paths, RTMP connections and settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from rtmpd.compat import mediamtx
from rtmpd.compat.survey import all_sessions, outline, survey, survey_of
from rtmpd.control.actor import Actor
from rtmpd.control.session_answers import KickRequest
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session
from rtmpd.exceptions import ControlError, NotFound
from rtmpd.net.http import web
from rtmpd.reasons import Problem
from rtmpd.rtmp.url import clean_path
from rtmpd.web.compat import CheckChange, Desk, actor_of, as_json, json_bytes, parameter, takes_get
from rtmpd.web.problems import bad_request
from rtmpd.web.shared import Writer

_ROOT: Final = "/v3/"
_REASON: Final = "MediaMTX API"
_TLS: Final = {"rtmpconns": False, "rtmpsconns": True}
"""Which connections which list has."""

_Part = tuple[str | None, str | None]
"""Items a page, and which page."""
_Make = Callable[[], Coroutine[Any, Any, Writer]]


class MediaMtx:
    """It can throw out connections, and change nothing else; ``apps`` have settings of their own."""

    def __init__(self, desk: Desk, apps: Callable[[], Sequence[str]]) -> None:
        self._desk = desk
        self._apps = apps

    async def answer(self, request: web.Request, path: str, check: CheckChange) -> web.Response | None:
        if not path.startswith(_ROOT):
            return None
        noun, _, rest = path.removeprefix(_ROOT).partition("/")
        verb, _, wanted = rest.partition("/")
        if noun in _TLS and verb == "kick" and request.method == "POST":
            return await self._kick(wanted, _TLS[noun], check(request))
        by, part = actor_of(request), (parameter(request, "itemsPerPage"), parameter(request, "page"))
        make = self._reading(noun, verb, wanted, part, by)
        if make is None or not takes_get(request):
            return None
        return json_bytes(await self._desk.told(("mediamtx", path, part), by, make))

    def refuse(self, error: ControlError) -> web.Response:
        return as_json(mediamtx.error(error.detail), error.problem.status)

    def _reading(self, noun: str, verb: str, wanted: str, part: _Part, by: Actor) -> _Make | None:
        match noun, verb:
            case "info", "":
                return lambda: self._info(by)
            case "paths", "list":
                return lambda: self._paths(part, by)
            case "paths", "get":
                return lambda: self._path(wanted, by)
            case (("rtmpconns" | "rtmpsconns"), "list"):
                return lambda: self._connections(_TLS[noun], part, by)
            case (("rtmpconns" | "rtmpsconns"), "get"):
                return lambda: self._connection(wanted, _TLS[noun], by)
        return None

    async def _info(self, by: Actor) -> Writer:
        found = await outline(self._desk.control, by)
        return lambda: _json(mediamtx.info(found.server))

    async def _paths(self, part: _Part, by: Actor) -> Writer:
        found, apps = await survey(self._desk.control, by), tuple(self._apps())
        return lambda: _page(mediamtx.paths(found, apps), part)

    async def _path(self, wanted: str, by: Actor) -> Writer:
        key, apps = StreamKey.of_path(clean_path(wanted)), tuple(self._apps())
        try:
            found = await survey_of(self._desk.control, by, key)
        except NotFound:
            raise NotFound(Problem.STREAM_NOT_FOUND, "path not found") from None
        return lambda: _json(mediamtx.path(found, apps))

    async def _connections(self, tls: bool, part: _Part, by: Actor) -> Writer:
        found = await all_sessions(self._desk.control, by)
        return lambda: _page(mediamtx.connections(found, tls=tls), part)

    async def _connection(self, wanted: str, tls: bool, by: Actor) -> Writer:
        found = await self._desk.control.sessions.get(_number(wanted), by)
        return lambda: _json(_there(mediamtx.connection(found, tls=tls)))

    async def _kick(self, wanted: str, tls: bool, by: Actor) -> web.Response:
        number = _number(wanted)
        _there(mediamtx.connection(await self._desk.control.sessions.get(number, by), tls=tls))
        await self._desk.control.sessions.kick(number, KickRequest(reason=_REASON), by)
        self._desk.shared.forget()
        return as_json(mediamtx.OK)


def _number(wanted: str) -> int:
    try:
        return parse_session(wanted)
    except ValueError as error:
        raise bad_request(str(error)) from None


def _there(answer: mediamtx.Answer | None) -> mediamtx.Answer:
    if answer is None:
        raise NotFound(Problem.SESSION_NOT_FOUND, "connection not found")
    return answer


def _page(items: list[mediamtx.Answer], part: _Part) -> bytes:
    try:
        return _json(mediamtx.page(items, *part))
    except ValueError as error:
        raise bad_request(str(error)) from None


def _json(answer: mediamtx.Answer) -> bytes:
    return json.dumps(answer).encode()
