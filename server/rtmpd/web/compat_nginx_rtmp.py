"""nginx-rtmp's ``rtmp_stat`` and ``rtmp_control``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from rtmpd.compat import nginx_rtmp
from rtmpd.compat.nginx_rtmp import Choice, Side
from rtmpd.compat.survey import all_sessions, publishes, survey
from rtmpd.control.actor import Actor
from rtmpd.control.recording_answers import RecordingQuery, RecordingState
from rtmpd.control.redirect_answers import RedirectRequest
from rtmpd.control.session_answers import KickRequest, Session
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Conflict, ControlError, NotFound
from rtmpd.net.http import web
from rtmpd.reasons import Problem
from rtmpd.web.admission import STAT
from rtmpd.web.compat import CheckChange, Desk, check_no_page, parameter, reader, takes_get
from rtmpd.web.problems import NO_STORE, bad_request, in_words

_LARGEST: Final = (1 << 63) - 1
_REASON: Final = "nginx-rtmp control"
_LOOKS: Final = 20
_BETWEEN: Final = 0.05
"""Seconds from one look at whether a recording has begun to the next."""


@dataclass(frozen=True, slots=True)
class NginxRtmpSettings:
    """Where what is served, and how much of it."""

    stat_path: str
    """Empty: nowhere."""
    control_path: str
    """Empty: nowhere."""
    max_clients: int
    """Listed at most."""


class NginxRtmp:
    """Both, by settings that hold now; ``apps`` have settings of their own."""

    def __init__(
        self, desk: Desk, settings: Callable[[], NginxRtmpSettings], apps: Callable[[], Sequence[str]]
    ) -> None:
        self._desk = desk
        self._settings = settings
        self._apps = apps

    def claims(self, path: str) -> bool:
        settings = self._settings()
        is_call = bool(settings.control_path) and path.startswith(f"{settings.control_path}/")
        return is_call or path == settings.stat_path

    def word_of(self, path: str) -> str | None:
        return STAT if path == self._settings().stat_path else None

    async def answer(self, request: web.Request, path: str, check: CheckChange) -> web.Response | None:
        settings = self._settings()
        if not takes_get(request):
            return None
        if path == settings.stat_path:
            return await self._stat(reader(), settings.max_clients)
        section, _, word = path.removeprefix(f"{settings.control_path}/").partition("/")
        return await self._control(request, section, word, check)

    def refuse(self, error: ControlError) -> web.Response:
        return _text(f"{error.detail}\n", error.problem.status)

    async def _stat(self, by: Actor, max_clients: int) -> web.Response:
        async def make() -> Callable[[], bytes]:
            found = await survey(self._desk.control, by, max_clients)
            apps = () if by.is_scoped else tuple(self._apps())
            return lambda: nginx_rtmp.stat(found, apps, partial=by.is_scoped).encode()

        body = await self._desk.told(("nginx-rtmp stat", max_clients), by, make)
        content_type = nginx_rtmp.CONTENT_TYPE
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=NO_STORE)

    async def _control(
        self, request: web.Request, section: str, word: str, check: CheckChange
    ) -> web.Response | None:
        if section not in ("drop", "redirect", "record"):
            return None
        check_no_page(request)
        by = check(request)
        if section == "record":
            return await self._record(request, word, by)
        choice, address = _choice(request, _side(word)), parameter(request, "addr")
        if choice.is_open and address is None:
            raise bad_request("say whom: by app, name, addr or clientid")
        meant = choice.among(await self._sessions(address, by))
        if section == "redirect":
            return _text(str(await self._redirect(request, meant, by)))
        return _text(str(await self._drop(meant, by)))

    async def _sessions(self, address: str | None, by: Actor) -> Sequence[Session]:
        """Of one address, if that is not None."""
        if address is None:
            return await all_sessions(self._desk.control, by)
        return await self._desk.control.sessions.at_address(address, by)

    async def _drop(self, sessions: Sequence[Session], by: Actor) -> int:
        number = 0
        for session in sessions:
            try:
                request = KickRequest(reason=_REASON)
                await self._desk.control.sessions.kick(uuid.UUID(session.id).int, request, by)
            except NotFound:
                continue  # It has ended by itself.
            number += 1
        self._desk.shared.forget()
        return number

    async def _redirect(self, request: web.Request, sessions: Sequence[Session], by: Actor) -> int:
        name = parameter(request, "newname")
        if not name:
            raise bad_request("newname: say with which stream of the app they go on")
        try:
            wanted = RedirectRequest(name=name, reason=_REASON)
        except ValidationError as error:
            raise bad_request(f"newname: {in_words(error)}") from None
        number = 0
        for session in sessions:
            try:
                told = await self._desk.control.sessions.redirect(uuid.UUID(session.id).int, wanted, by)
            except NotFound:
                continue  # It has ended by itself.
            except Conflict as error:
                if error.problem is not Problem.NOT_PLAYING:
                    raise
                continue  # It publishes, and nobody can have it do that elsewhere.
            number += told.redirected
        self._desk.shared.forget()
        return number

    async def _record(self, request: web.Request, word: str, by: Actor) -> web.Response:
        if word not in ("start", "stop"):
            raise bad_request("a recorder can start and stop, nothing else")
        choice = _choice(request, Side.PUBLISHER)
        meant = choice.among(await self._sessions(parameter(request, "addr"), by))
        keys = {StreamKey(use.app, use.name): None for each in meant for use in each.uses if publishes(use)}
        if not keys:
            return web.Response(status=204, headers=NO_STORE)
        act = self._start if word == "start" else self._stop
        paths = [await act(key, by) for key in keys]
        self._desk.shared.forget()
        return _text("\n".join(filter(None, paths)))

    async def _start(self, key: StreamKey, by: Actor) -> str:
        """The file; empty where there is one already, as there."""
        recordings = self._desk.control.recordings
        if await self._written(key, by):
            return ""
        recorder = await recordings.start(key, by)
        for _ in range(_LOOKS):
            if recorder.path is not None:
                return recorder.path
            await asyncio.sleep(_BETWEEN)  # It has its name with the first frame.
            if path := await self._written(key, by):
                return path
        return ""

    async def _stop(self, key: StreamKey, by: Actor) -> str:
        path = await self._written(key, by)
        if path:
            await self._desk.control.recordings.stop(key, by)
        return path

    async def _written(self, key: StreamKey, by: Actor) -> str:
        """The file of a stream that is being written; empty where there is none."""
        query = RecordingQuery(stream=str(key), state=RecordingState.RECORDING)
        items = (await self._desk.control.recordings.list(query, by)).items
        return items[0].path if items else ""


def _side(word: str) -> Side:
    try:
        return Side(word)
    except ValueError:
        raise bad_request("say publisher, subscriber or client") from None


def _choice(request: web.Request, side: Side) -> Choice:
    if parameter(request, "srv") not in (None, "0"):
        raise bad_request("srv: there is one server here, which is 0")
    number = parameter(request, "clientid")
    if number is not None and not (number.isascii() and number.isdecimal() and len(number) < 20):
        raise bad_request("clientid: write the number that the statistics show as id")
    return Choice(
        side,
        # No app is all apps there, and so is an empty one.
        parameter(request, "app") or None,
        parameter(request, "name"),
        None if number is None else min(int(number), _LARGEST),
    )


def _text(text: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=text, headers=NO_STORE)
