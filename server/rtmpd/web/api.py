"""The API over HTTP: each operation of the table at its path, and the document of all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel

from rtmpd.control.actor import Actor, Role
from rtmpd.control.control import Control
from rtmpd.net.http import Handler, web
from rtmpd.web.event_stream import EventStreams
from rtmpd.web.files import FileSender
from rtmpd.web.gate import Gate, actor, operator
from rtmpd.web.openapi import FILE, PREFIX, document
from rtmpd.web.operation_table import OPERATIONS
from rtmpd.web.operations import Asked, Download, Follow, OpenFile, Operation, Run
from rtmpd.web.requests import answer, done, read_body, read_query
from rtmpd.web.shared import SharedAnswers

_MAX_AGE: Final = 1.0
"""Seconds that an answer is good for everybody who asks the same."""


class Api:
    """What is served at every address, and once for all of them: the gate of each says who may ask."""

    def __init__(
        self,
        control: Control,
        clock: Callable[[], float],
        streams: EventStreams,
        max_age: float = _MAX_AGE,
    ) -> None:
        self._control = control
        self._shared = SharedAnswers(max_age, clock)
        self._files = FileSender()
        self._document: asyncio.Task[bytes] | None = None
        self.streams = streams
        """Answers that do not end."""

    def add_routes(self, router: web.UrlDispatcher, gate: Gate) -> None:
        """Serve on one address, behind its ``gate``."""
        router.add_get(f"{PREFIX}/openapi.json", self._serve_document)
        for operation in OPERATIONS:
            path = f"{PREFIX}{operation.path}"
            if operation.follow is not None:
                # Not HEAD: that would be an answer without an end, and without a body.
                router.add_get(path, self._following(operation, operation.follow), allow_head=False)
            elif operation.download is not None:
                router.add_get(path, self._downloading(operation, operation.download))
            elif operation.file is not None:
                router.add_get(path, self._sending(operation, operation.file))
            elif operation.run is None:
                continue
            elif operation.role is Role.READ:
                router.add_get(path, self._reading(operation, operation.run))
            else:
                router.add_route(operation.method, path, self._changing(operation, operation.run, gate))

    def _reading(self, operation: Operation, run: Run) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            by = _checked(operation, actor())
            asked = Asked(dict(request.match_info), read_query(operation, request), None, by)

            async def make() -> BaseModel:
                made = await run(self._control, asked)
                if made is None:
                    raise TypeError(f"{operation.id} has no answer")
                return made

            # Not the same for who sees other streams, or may do something else.
            same = operation.id, tuple(asked.path.items()), asked.query, by.role, by.streams
            return answer(operation.status, await self._shared.get(same, make))

        return handler

    def _changing(self, operation: Operation, run: Run, gate: Gate) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            by = _checked(operation, gate.check_change(request)) if operation.role else gate.visitor(request)
            body = await read_body(operation, request)
            made = await run(self._control, Asked(dict(request.match_info), None, body, by))
            self._shared.forget()
            if made is None:
                return done(operation.status)
            return answer(operation.status, made.model_dump_json().encode())

        return handler

    def _downloading(self, operation: Operation, download: Download) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            by = _checked(operation, operator())
            asked = Asked(dict(request.match_info), read_query(operation, request), None, by)
            return await self._files.send_held(request, lambda: download(self._control, asked), FILE)

        return handler

    def _sending(self, operation: Operation, open_file: OpenFile) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            by = _checked(operation, operator())
            asked = Asked(dict(request.match_info), read_query(operation, request), None, by)
            return await self._files.send(request, lambda: open_file(self._control, asked))

        return handler

    def _following(self, operation: Operation, follow: Follow) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            by = _checked(operation, actor())
            seen = request.headers.get("Last-Event-ID", "")
            asked = Asked(dict(request.match_info), read_query(operation, request), None, by, seen)
            return await self.streams.serve(request, lambda: follow(self._control, asked), by.name)

        return handler

    async def _serve_document(self, _request: web.Request) -> web.Response:
        if self._document is None:
            self._document = asyncio.get_running_loop().create_task(
                asyncio.to_thread(lambda: json.dumps(document()).encode()), name="api-document"
            )
        return answer(200, await asyncio.shield(self._document))


def _checked(operation: Operation, by: Actor) -> Actor:
    """``by``, if the operation is for them. Raises NotPossible."""
    if operation.whole_server:
        by.check_unscoped()
    return by
