"""Who is answered over HTTP: whoever is on this machine, shows a token, or asks for what is open to all."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from rtmpd.control.actor import Actor, Role
from rtmpd.exceptions import ControlError, NotPossible
from rtmpd.net.http import Handler, Middleware, web
from rtmpd.net.visitors import Visit, Visitors
from rtmpd.reasons import Problem
from rtmpd.web.admission import HEALTH, METRICS, Admission, Proof
from rtmpd.web.console_files import FILE, PAGE, PLAYER
from rtmpd.web.logins import Logins
from rtmpd.web.requests import JSON

OPENABLE: Final = {"/metrics": METRICS, "/healthz": HEALTH, "/readyz": HEALTH}
"""Paths, each with the word of ``admin.open`` that shows it to everybody."""
_LOGGING: Final = frozenset({PAGE, FILE, PLAYER, "/api/v1/login", "/api/v1/logout"})
"""Paths where one shows a token in another way, or none any more: the console, and what it asks then."""
_UNGATED: Final = frozenset({*_LOGGING, "/api/v1/publish-tokens"})
"""Paths that whoever comes may ask for: what is sent there is looked at by itself."""
_WHOLE_SERVER: Final = frozenset({"/metrics"})
"""Paths that are no operations of the API, and concern all streams."""
_COUNTED: Final = (
    Problem.TOKEN_MISSING,
    Problem.TOKEN_WRONG,
    Problem.TOKEN_EXPIRED,
    Problem.ROLE,
    Problem.NOT_ALLOWED,
    Problem.OUT_OF_SCOPE,
    Problem.TOO_MANY_ATTEMPTS,
    Problem.KEYS_UNAVAILABLE,
)
_IN_URLS: Final = frozenset({"token", "access_token", "auth", "key", "jwt", "password"})
"""Parameters in which people send tokens to others."""
_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})
"""Where the page of a browser is that asks, if it is none of ours (Fetch Metadata Request Headers)."""
_MAKE: Final = "on the server `rtmpd admin-token new NAME` makes one"
_HOW: Final = "send Authorization: Bearer TOKEN"


@dataclass(slots=True)
class Refusals:
    """How often somebody was not answered, by why."""

    by_problem: Counter[Problem] = field(default_factory=lambda: Counter(dict.fromkeys(_COUNTED, 0)))


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and by what."""

    actor: Actor
    holds: Callable[[], bool]
    """Whether they may still."""
    until: float = math.inf
    """When that is over, in seconds since 1970."""
    by_cookie: bool = False


_asker: Final[ContextVar[Asker]] = ContextVar("asker")


def asker() -> Asker:
    """Who was let in whose request is answered here; LookupError where nobody had to be."""
    return _asker.get()


def actor() -> Actor:
    """The same, as those who act on what they want know them."""
    return _asker.get().actor


def operator() -> Actor:
    """The same, of those who may do more than look. Raises NotPossible for others."""
    by = actor()
    if by.role is not Role.OPERATE:
        whoever = f"{by.name} has" if by.name else "programs of this machine have"
        raise NotPossible(Problem.ROLE, f"{whoever} the role {by.role}, and this takes {Role.OPERATE}")
    return by


class Gate:
    """That of one address. ``local`` says that only this machine reaches it."""

    def __init__(
        self,
        admission: Admission,
        visitors: Visitors,
        logins: Logins,
        refusals: Refusals,
        word_of: Callable[[web.Request], str | None] = lambda _request: None,
        *,
        local: bool,
    ) -> None:
        """``word_of``: of what else is served there, as ``OPENABLE`` has it."""
        self._admission = admission
        self._visitors = visitors
        self._logins = logins
        self._refusals = refusals
        self._local = local
        self._other_word = word_of
        self._inside: dict[asyncio.Task[object], Asker] = {}
        """Who reads something that has not ended, such as events."""

    def middleware(self) -> Middleware:
        """Lets in who may ask, and has ``asker_of`` know them."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                path = _path(request)
                if path not in _UNGATED and self._word_of(request) not in self._admission.open:
                    who = await self._admit(request)
                    if path in _WHOLE_SERVER:
                        who.actor.check_unscoped()
                    return await self._serve(request, handler, who)
                return await handler(request)
            except ControlError as error:
                if error.problem in _COUNTED:
                    self._refusals.by_problem[error.problem] += 1
                raise

        return middleware

    async def prove(self, request: web.Request, shown: str) -> Proof:
        """Whose token it is that somebody shows in another way than by a header. Raises ControlError."""
        return await self._admission.prove(shown, self._visitors.address_of(request))

    def check_change(self, request: web.Request) -> Actor:
        """Who changes something by it. Raises NotPossible where they may not."""
        by = operator()
        self.check_page(request, by_cookie=asker().by_cookie)
        return by

    def visitor(self, request: web.Request) -> Actor:
        """Somebody who asks for what is for everybody."""
        return Actor(address=self._visitors.address_of(request), role=Role.READ)

    def check_page(self, request: web.Request, *, by_cookie: bool = False) -> None:
        """Raise NotPossible for web pages, but for our own: a browser sends along what it has for them."""
        origin = request.headers.get("Origin")
        if origin is None and not by_cookie:
            return
        host = self._visitors.host_of(request)
        if origin is None or not host or _host(origin) != host.lower():
            text = "changes are not taken from web pages of others"
            raise NotPossible(
                Problem.NOT_ALLOWED, f"{text}: this one is of {origin or 'nobody knows where'}, not of {host}"
            )
        if request.content_type != JSON:
            raise NotPossible(Problem.NOT_JSON, "web pages send changes as application/json")

    def review(self) -> None:
        """Cut off who may not ask any more; to be called when rules change, and every second or so."""
        for task, who in list(self._inside.items()):
            if not who.holds():
                task.cancel()

    # Inside

    def _word_of(self, request: web.Request) -> str | None:
        """The word of ``admin.open`` that shows it to everybody."""
        return OPENABLE.get(_path(request)) or self._other_word(request)

    async def _serve(self, request: web.Request, handler: Handler, who: Asker) -> web.StreamResponse:
        task = asyncio.current_task()
        # A change that has begun is done, whoever wanted it.
        if request.method == "GET" and task is not None:
            self._inside[task] = who
        before, visit = _asker.set(who), request.protocol
        if isinstance(visit, Visit):
            visit.is_answered = True
        try:
            return await handler(request)
        finally:
            if isinstance(visit, Visit):
                visit.is_answered = False
            _asker.reset(before)
            if task is not None:
                self._inside.pop(task, None)

    async def _admit(self, request: web.Request) -> Asker:
        address = self._visitors.address_of(request)
        told = self._visitors.mask.show(address)
        shown = _shown(request)
        if shown is not None:
            proof = await self._admission.prove(shown, address)
            return Asker(_actor(proof, told), proof.holds, proof.until)
        _check_site(request)
        login = self._logins.find(request.cookies)
        if login is not None:
            actor = _actor(login.proof, told)
            return Asker(actor, lambda: self._logins.is_good(login), login.until, by_cookie=True)
        problem = self._visitors.find_obstacle(request) if self._local else ""
        if problem is None:
            by_file = self._visitors.by_file(request)
            role = Role.OPERATE.value if by_file else self._admission.local
            if role in set(Role):
                return Asker(Actor(address=told, role=Role(role)), lambda: self._is_local(role, by_file))
        raise NotPossible(Problem.TOKEN_MISSING, _advice(request, self._word_of(request), problem))

    def _is_local(self, role: str, by_file: bool) -> bool:
        return by_file or self._admission.local == role


def _check_site(request: web.Request) -> None:
    """Raise NotPossible where a browser asks for the page of another site, to show it as a part of that.

    It could not read the answer, but learn that there is one, and keep places for who follows something.
    """
    headers = request.headers
    if headers.get("Sec-Fetch-Site") in _ELSEWHERE and headers.get("Sec-Fetch-Mode") != "navigate":
        raise NotPossible(Problem.NOT_ALLOWED, "this is not a part of other sites' pages")


def _actor(proof: Proof, address: str) -> Actor:
    return Actor(proof.name, address, Role(proof.role), proof.streams)


def _path(request: web.Request) -> str:
    """Of what answers; empty where nothing does."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _shown(request: web.Request) -> str | None:
    """The token in a header, None if there is none. Raises NotPossible."""
    headers = request.headers.getall("Authorization", [])
    if not headers:
        return None
    scheme, _, value = headers[0].partition(" ")
    value = value.strip()
    if len(headers) == 1 and scheme.lower() == "bearer" and value:
        return value
    if len(headers) == 1 and scheme.lower() == "basic":
        try:
            user_and_password = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            user_and_password = ""
        password = user_and_password.partition(":")[2]
        if password:
            return password
    text = f"{_HOW}, or the token as the password of any user (Basic)"
    raise NotPossible(Problem.TOKEN_WRONG, f"this is no token: {text}")


def _advice(request: web.Request, word: str | None, problem: str | None) -> str:
    """What to do who has shown nothing."""
    if any(name.lower() in _IN_URLS for name in request.query):
        return (
            "a token in a URL is not looked at: URLs stand in logs, in histories and in what browsers tell "
            f"other sites. Take it out of the settings, and {_HOW} with another one"
        )
    parts = [f"{_HOW}; {_MAKE}"]
    if word is not None:
        parts.append(f'admin.open = ["{word}"] shows this to everybody')
    if problem:
        parts.append(f"who asks from this machine needs none, but {problem}")
    return "; ".join(parts)


def _host(origin: str) -> str:
    """Host and port of an origin of a web page; empty where it tells none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""
