"""The API over HTTP: each operation of the table at its path, and the document of all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from rtmpd.control.actor import Actor, Role
from rtmpd.control.control import Control
from rtmpd.exceptions import NotPossible
from rtmpd.net.http import Handler, web
from rtmpd.reasons import Problem
from rtmpd.web.event_stream import EventStreams
from rtmpd.web.openapi import FILE, PREFIX, document
from rtmpd.web.operation_table import OPERATIONS
from rtmpd.web.operations import Asked, Download, Follow, Operation, Run
from rtmpd.web.problems import NO_STORE, bad_request, in_words
from rtmpd.web.shared import SharedAnswers

M = TypeVar("M", bound=BaseModel)

_JSON: Final = "application/json"
_UTF_8: Final = frozenset({"utf-8", "utf8"})
_MAX_AGE: Final = 1.0
"""Seconds that an answer is good for everybody who asks the same."""

Obstacle = Callable[[web.Request], str | None]
"""Why a request may change nothing, in a sentence; None if it may."""
Address = Callable[[web.Request], str]
"""Where it comes from."""


class Api:
    """What is served at every address, and once for all of them.

    Nobody is asked for a password. So changes are taken only on listeners that other machines cannot reach,
    and not from browsers, in which any page could ask for them.
    """

    def __init__(
        self,
        control: Control,
        clock: Callable[[], float],
        streams: EventStreams,
        max_age: float = _MAX_AGE,
    ) -> None:
        self._control = control
        self._shared = SharedAnswers(max_age, clock)
        self._document: asyncio.Task[bytes] | None = None
        self.streams = streams
        """Answers that do not end."""

    def add_routes(self, router: web.UrlDispatcher, obstacle: Obstacle, address_of: Address) -> None:
        """Serve on one address, where ``obstacle`` says who may change nothing."""
        router.add_get(f"{PREFIX}/openapi.json", self._serve_document)
        for operation in OPERATIONS:
            if operation.follow is not None:
                router.add_get(f"{PREFIX}{operation.path}", self._following(operation, operation.follow))
            elif operation.download is not None:
                handler = self._downloading(operation, operation.download, obstacle, address_of)
                router.add_get(f"{PREFIX}{operation.path}", handler)
            elif operation.run is None:
                continue
            elif operation.role is Role.READ:
                router.add_get(f"{PREFIX}{operation.path}", self._reading(operation, operation.run))
            else:
                handler = self._changing(operation, operation.run, obstacle, address_of)
                router.add_route(operation.method, f"{PREFIX}{operation.path}", handler)

    def _reading(self, operation: Operation, run: Run) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            actor = Actor(role=Role.READ)
            if operation.whole_server:
                actor.check_unscoped()
            asked = Asked(dict(request.match_info), _query(operation, request), None, actor)

            async def make() -> BaseModel:
                answer = await run(self._control, asked)
                if answer is None:
                    raise TypeError(f"{operation.id} has no answer")
                return answer

            same = operation.id, tuple(asked.path.items()), asked.query, actor.streams
            return _answer(operation.status, await self._shared.get(same, make))

        return handler

    def _changing(self, operation: Operation, run: Run, obstacle: Obstacle, address_of: Address) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            check_sender(request, obstacle)
            actor = Actor(address=address_of(request))
            if operation.whole_server:
                actor.check_unscoped()
            body = await _body(operation, request)
            asked = Asked(dict(request.match_info), None, body, actor)
            answer = await run(self._control, asked)
            self._shared.forget()
            if answer is None:
                return web.Response(status=operation.status, headers=NO_STORE)
            return _answer(operation.status, answer.model_dump_json().encode())

        return handler

    def _downloading(
        self, operation: Operation, download: Download, obstacle: Obstacle, address_of: Address
    ) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            check_sender(request, obstacle)
            actor = Actor(address=address_of(request))
            if operation.whole_server:
                actor.check_unscoped()
            asked = Asked(dict(request.match_info), _query(operation, request), None, actor)
            data = await download(self._control, asked)
            headers = {**NO_STORE, "Content-Disposition": "attachment"}
            return web.Response(body=data, content_type=FILE, headers=headers)

        return handler

    def _following(self, operation: Operation, follow: Follow) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            actor = Actor(role=Role.READ)
            if operation.whole_server:
                actor.check_unscoped()
            seen = request.headers.get("Last-Event-ID", "")
            asked = Asked(dict(request.match_info), _query(operation, request), None, actor, seen)
            frames = await follow(self._control, asked)
            return await self.streams.serve(request, frames.events, frames.heartbeat)

        return handler

    async def _serve_document(self, _request: web.Request) -> web.Response:
        if self._document is None:
            self._document = asyncio.get_running_loop().create_task(
                asyncio.to_thread(lambda: json.dumps(document()).encode()), name="api-document"
            )
        return _answer(200, await asyncio.shield(self._document))


def check_sender(request: web.Request, obstacle: Obstacle) -> None:
    """Raise NotPossible for who may change nothing, and for web pages."""
    problem = obstacle(request)
    origin = request.headers.get("Origin")
    if problem is None and origin is not None and origin.partition("://")[2] != request.host:
        problem = "changes are not taken from web pages of others"
    if problem is not None:
        raise NotPossible(Problem.NOT_ALLOWED, problem)


def _query(operation: Operation, request: web.Request) -> BaseModel | None:
    given, model = request.query, operation.query
    if model is None:
        if given:
            raise bad_request("this takes no parameters")
        return None
    if len(given) != len(set(given)):
        raise bad_request("each parameter can be given once")
    return _valid(lambda: model.model_validate(dict(given)))


async def _body(operation: Operation, request: web.Request) -> BaseModel | None:
    data = await request.read()
    model = operation.body
    if model is None or (operation.optional_body and not data):
        return None if model is None else model()
    if request.content_type != _JSON:
        raise NotPossible(Problem.NOT_JSON, "send it as application/json")
    if (request.charset or "utf-8").lower() not in _UTF_8:
        raise bad_request("send the body in UTF-8")
    return _valid(lambda: model.model_validate_json(data))


def _valid(parse: Callable[[], M]) -> M:
    try:
        return parse()
    except ValidationError as error:
        raise bad_request(in_words(error)) from None


def _answer(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type=_JSON, headers=NO_STORE)
