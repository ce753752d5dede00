"""Other servers' documents and calls over HTTP, beside what is ours or on addresses of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from rtmpd.control.actor import Actor, Role
from rtmpd.control.control import Control
from rtmpd.exceptions import ControlError, NotPossible
from rtmpd.net.http import Handler, Middleware, web
from rtmpd.reasons import Problem
from rtmpd.web.gate import actor
from rtmpd.web.problems import NO_STORE, headers_of
from rtmpd.web.shared import SharedAnswers

_BROWSERS: Final = "Mozilla/"
"""How what every browser calls itself begins; pages cannot have it send anything else."""


CheckChange = Callable[[web.Request], Actor]
"""Who changes something by a request. Raises NotPossible where they may not."""


def reader() -> Actor:
    """Who asks to see something; where it is shown to everybody, nobody in particular."""
    try:
        return actor()
    except LookupError:
        return Actor(role=Role.READ)


@dataclass(frozen=True, slots=True)
class Desk:
    """What all dialects need to answer."""

    control: Control
    shared: SharedAnswers

    async def told(
        self, name: object, by: Actor, make: Callable[[], Coroutine[Any, Any, Callable[[], bytes]]]
    ) -> bytes:
        """What ``make`` gives, written once a second for all who may see the same."""
        return await self.shared.render((name, by.streams), make)


class Dialect(Protocol):
    """Another server's documents and calls."""

    def claims(self, path: str) -> bool:
        """Whether it is that server's."""
        ...

    def word_of(self, path: str) -> str | None:
        """The word of ``admin.open`` that shows ``path`` to everybody; None where there is none."""
        ...

    async def answer(self, request: web.Request, path: str, check: CheckChange) -> web.Response | None:
        """What it says at ``path``; None where it has nothing."""
        ...

    def refuse(self, error: ControlError) -> web.Response:
        """Say what has gone wrong, as that server does."""
        ...


@dataclass(frozen=True, slots=True)
class Mounted:
    """A dialect, and below which path it is spoken."""

    dialect: Dialect
    prefix: str = ""


class Mounts:
    """Those that are ``mounted`` at one address, now."""

    def __init__(self, mounted: Callable[[], Sequence[Mounted]]) -> None:
        self._mounted = mounted

    def word_of(self, request: web.Request) -> str | None:
        """The word of ``admin.open`` that shows to everybody what is asked for; None where there is none."""
        meant, path = self._meant(request)
        return None if meant is None else meant.word_of(path)

    def refuse(self, request: web.Request, error: ControlError) -> web.Response | None:
        """What has gone wrong, as that server tells it which is meant; None where none is."""
        meant, _ = self._meant(request)
        if meant is None:
            return None
        answer = meant.refuse(error)
        answer.headers.update(headers_of(error))
        return answer

    def answering(self, check: CheckChange) -> Middleware:
        """Answers what is asked of them, and leaves all else to others."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            meant, path = self._meant(request)
            answer = None if meant is None else await meant.answer(request, path, check)
            return await handler(request) if answer is None else answer

        return middleware

    def _meant(self, request: web.Request) -> tuple[Dialect | None, str]:
        """Whose it is, with the path as they know it."""
        for each in self._mounted():
            path = request.path.removeprefix(each.prefix)
            if request.path.startswith(f"{each.prefix}/") and each.dialect.claims(path):
                return each.dialect, path
        return None, request.path


def check_no_page(request: web.Request) -> None:
    """Raise NotPossible for a browser: any page could have it ask, with an image, for what a GET changes."""
    agent = request.headers.get("User-Agent", "")
    told = any(name in request.headers for name in ("Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode"))
    if told or agent.startswith(_BROWSERS):
        text = (
            "changes are not taken from browsers, in which any page could ask for them: use curl or a program"
        )
        raise NotPossible(Problem.NOT_ALLOWED, text)


def takes_get(request: web.Request) -> bool:
    """It only wants to see."""
    return request.method in ("GET", "HEAD")


def parameter(request: web.Request, name: str) -> str | None:
    """Of the query, the first of that name; None if there is none."""
    return request.query.get(name)


def as_json(answer: object, status: int = 200) -> web.Response:
    """``answer`` as that."""
    return json_bytes(json.dumps(answer).encode(), status)


def json_bytes(body: bytes, status: int = 200) -> web.Response:
    """The same of what is written already."""
    return web.Response(status=status, body=body, content_type="application/json", headers=NO_STORE)
