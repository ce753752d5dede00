"""MediaMTX's control API, as far as it is about paths, RTMP connections and settings."""

from __future__ import annotations

from typing import Final

from rtmpd.compat import mediamtx, mediamtx_recordings
from rtmpd.compat.mediamtx_recordings import all_recordings
from rtmpd.compat.mediamtx_settings import Held
from rtmpd.compat.survey import all_sessions, outline, survey, survey_of
from rtmpd.control.actor import Actor
from rtmpd.control.session_answers import KickRequest
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session
from rtmpd.exceptions import ControlError, NotFound, NotPossible
from rtmpd.net.http import web
from rtmpd.reasons import Problem
from rtmpd.rtmp.url import clean_path
from rtmpd.web.compat import CheckChange, Desk, as_json, json_bytes, parameter, takes_get
from rtmpd.web.compat_mediamtx_settings import Make, MediaMtxSettings, Part, page, to_json
from rtmpd.web.gate import actor
from rtmpd.web.problems import bad_request
from rtmpd.web.shared import Writer

_ROOT: Final = "/v3/"
_REASON: Final = "MediaMTX API"
_FIXED: Final = "settings are not changed here: write them into the file, and `rtmpd reload`"
_TLS: Final = {"rtmpconns": False, "rtmpsconns": True}
"""Which connections which list has."""


class MediaMtx:
    """It can throw out connections and remove recordings, and no more; ``held`` knows settings."""

    def __init__(self, desk: Desk, held: Held) -> None:
        self._desk = desk
        self._apps = held.apps
        self._settings = MediaMtxSettings(held)

    def claims(self, path: str) -> bool:
        return path.startswith(_ROOT)

    def word_of(self, _path: str) -> str | None:
        return None

    async def answer(self, request: web.Request, path: str, check: CheckChange) -> web.Response | None:
        noun, _, rest = path.removeprefix(_ROOT).partition("/")
        verb, _, wanted = rest.partition("/")
        if noun in _TLS and verb == "kick" and request.method == "POST":
            return await self._kick(wanted, _TLS[noun], check(request))
        if (noun, verb) == ("recordings", "deletesegment") and request.method == "DELETE":
            return await self._delete_segment(request, check(request))
        if noun == "config" and not takes_get(request):
            raise NotPossible(Problem.METHOD, _FIXED)
        by, part = actor(), (parameter(request, "itemsPerPage"), parameter(request, "page"))
        make = self._reading(noun, verb, wanted, part, by)
        if make is None or not takes_get(request):
            return None
        return json_bytes(await self._desk.told(("mediamtx", path, part), by, make))

    def refuse(self, error: ControlError) -> web.Response:
        return as_json(mediamtx.error(error.detail), error.problem.status)

    def _reading(self, noun: str, verb: str, wanted: str, part: Part, by: Actor) -> Make | None:
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
            case "recordings", "list":
                return lambda: self._recordings(part, by)
            case "recordings", "get":
                return lambda: self._recording(wanted, by)
            case "config", _:
                return self._settings.reading(verb, wanted, part, by)
        return None

    async def _info(self, by: Actor) -> Writer:
        found = await outline(self._desk.control, by)
        return lambda: to_json(mediamtx.info(found.server))

    async def _paths(self, part: Part, by: Actor) -> Writer:
        found, apps = await survey(self._desk.control, by), tuple(self._apps())
        return lambda: to_json(page(mediamtx.paths(found, apps), part))

    async def _path(self, wanted: str, by: Actor) -> Writer:
        key, apps = StreamKey.of_path(clean_path(wanted)), tuple(self._apps())
        try:
            found = await survey_of(self._desk.control, by, key)
        except NotFound:
            raise NotFound(Problem.STREAM_NOT_FOUND, "path not found") from None
        return lambda: to_json(mediamtx.path(found, apps))

    async def _connections(self, tls: bool, part: Part, by: Actor) -> Writer:
        found = await all_sessions(self._desk.control, by)
        return lambda: to_json(page(mediamtx.connections(found, tls=tls), part))

    async def _connection(self, wanted: str, tls: bool, by: Actor) -> Writer:
        found = await self._desk.control.sessions.get(_number(wanted), by)
        return lambda: to_json(_there(mediamtx.connection(found, tls=tls)))

    async def _recordings(self, part: Part, by: Actor) -> Writer:
        found = await all_recordings(self._desk.control, by)
        return lambda: to_json(page(mediamtx_recordings.recordings(found), part))

    async def _recording(self, wanted: str, by: Actor) -> Writer:
        path = clean_path(wanted)
        found = await all_recordings(self._desk.control, by, path)
        if not found:
            raise NotFound(Problem.RECORDING_NOT_FOUND, "path not found")
        return lambda: to_json(mediamtx_recordings.recording(path, found))

    async def _delete_segment(self, request: web.Request, by: Actor) -> web.Response:
        path, start = parameter(request, "path") or "", parameter(request, "start") or ""
        found = await all_recordings(self._desk.control, by, clean_path(path))
        try:
            meant = mediamtx_recordings.begun_at(found, start)
        except ValueError:
            raise bad_request("start: write when it began, as the list has it") from None
        if not meant:
            raise NotFound(Problem.RECORDING_NOT_FOUND, "segment not found")
        for each in meant:
            await self._desk.control.recordings.delete(each.id, by)
        self._desk.shared.forget()
        return as_json(mediamtx.OK)

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
