"""OBS asks how to encode before it goes live, and where to: it is answered, or told why not, in its dialog.

Of a status but 200 OBS shows nothing, so whatever is refused is a 200, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from rtmpd.engine.claim import Place
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import RTMP, Origin
from rtmpd.exceptions import Refused
from rtmpd.http.answers import plain
from rtmpd.http.asking import Asked
from rtmpd.http.bodies import read_body
from rtmpd.http.connection import HttpConnection
from rtmpd.http.permission import Permit, ask, asking
from rtmpd.http.wishes import Wish, query_of
from rtmpd.net.http import web
from rtmpd.rtmp.url import asks_to_stand_by, clean_path, parse_query
from rtmpd.serving.access import Action
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.rejections import Encoder
from rtmpd.serving.takeover import await_silence

CONFIG: Final = "obs/config"
"""How a path ends that OBS asks at, behind an app or without one; and that of an override:"""
OVERRIDE: Final = "obs/override"
APP: Final = "live"
"""The app where none is named."""
MAX_BODY: Final = 48 * 1024
"""Bytes of a request: less than what a connection may have waiting."""
_LONGEST: Final = 4.0
"""Seconds after which an encoder is waited for no longer that may fall silent: OBS waits for 5."""
_ABOUT: Final = """\
OBS asks here how to encode a ladder of qualities before it goes live, by POST with a JSON body
(its Multitrack Video). How to set it up: docs/obs.md of rtmpd, or `rtmpd obs profile`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks, and how they reach us."""

    app: str
    origin: Origin
    host: str = ""
    """As they know it."""
    is_secure: bool = False
    """By https."""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the query."""


class Desk(Protocol):
    """Knows the ladders, and how OBS is spoken to."""

    def read(self, body: bytes) -> Any:
        """What is asked; its ``key`` is what the streamer has typed. Raises ValueError with a sentence."""
        ...

    def configure(self, question: Any, key: StreamKey, caller: Caller) -> bytes:
        """The answer to who may publish ``key``. Raises ``Refused``."""
        ...

    def refuse(self, question: Any, refusal: Refused) -> bytes:
        """Why whoever asks may not publish."""
        ...

    def turn_away(self, caller: Caller, why: Refused | str) -> bytes:
        """Why that was not even asked; a text for what could not be read."""
        ...

    def override(self, app: str, fields: Mapping[str, str]) -> str:
        """What is pasted into OBS in place of all this. Raises ValueError with a sentence."""
        ...


class ObsPage:
    """Answers at all paths of OBS, as long as ``is_open()``."""

    def __init__(self, desk: Desk, is_open: Callable[[], bool]) -> None:
        self._desk = desk
        self._is_open = is_open

    async def configure(self, asked: Asked) -> web.StreamResponse | None:
        """At ``.../obs/config``; None elsewhere."""
        app = _app(asked.path, asked.wish.query, CONFIG)
        if app is None or not self._is_open():
            return None
        if asked.request.method != "POST":
            return plain(HTTPStatus.OK, _ABOUT)
        return _json(await self._answer(asked, app))

    def explain(
        self, request: web.BaseRequest, path: str, connection: HttpConnection, why: Refused | str
    ) -> web.StreamResponse | None:
        """Why it is not answered there; None elsewhere."""
        # Of a query that cannot be read no app is read either.
        query = "" if isinstance(why, str) else query_of(request.raw_path)
        app = _app(path, query, CONFIG)
        if app is None or not self._is_open() or request.method != "POST":
            return None
        return _json(self._desk.turn_away(Caller(app, connection.origin), why))

    async def override(self, asked: Asked) -> web.StreamResponse | None:
        """At ``.../obs/override.json``; None elsewhere."""
        app = _app(asked.path, asked.wish.query, OVERRIDE, ".json")
        if app is None or not self._is_open() or asked.request.method == "POST":
            return None
        try:
            text = self._desk.override(app, parse_query(asked.wish.query))
        except ValueError as error:
            return plain(HTTPStatus.NOT_FOUND, str(error))
        return _json(text.encode())

    async def _answer(self, asked: Asked, app: str) -> bytes:
        connection = asked.connection
        deadline = asyncio.get_running_loop().time() + _LONGEST
        url, fields = urlsplit(asked.wish.connect.tc_url), parse_query(asked.wish.query)
        caller = Caller(app, connection.origin, url.hostname or "", url.scheme == "https", fields)
        try:
            question = self._desk.read(await read_body(asked.request, MAX_BODY))
            wish = _wish(asked.wish, app, question.key, connection.context.limits.max_query_bytes)
        except ValueError as error:
            return self._desk.turn_away(caller, str(error))
        try:
            key = await _may_publish(connection, wish, deadline)
            return self._desk.configure(question, key, caller)
        except Refused as refusal:
            return self._desk.refuse(question, refusal)


def _app(path: str, query: str, what: str, ending: str = "") -> str | None:
    """Of a path that ends in ``what``."""
    path = clean_path(path).removesuffix(ending)
    if path == what:
        return clean_path(parse_query(query).get("app", APP))
    return path.removesuffix(f"/{what}") if path.endswith(f"/{what}") else None


def _json(body: bytes) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=body, content_type="application/json", headers=headers)


def _wish(asked: Wish, app: str, typed: str, most: int) -> Wish:
    """As if it was published by RTMP, where OBS says the query again, of so many bytes at most.

    Raises ValueError with a sentence.
    """
    name, _, query = typed.partition("?")
    if len(query.encode()) > most:
        raise ValueError(f"what stands behind the ? of the stream key is longer than {most} bytes")
    return Wish(replace(asked.connect, app=app), name, query)


async def _may_publish(connection: HttpConnection, wish: Wish, deadline: float) -> StreamKey:
    """The stream that a key publishes, if a publish was let in now. Raises ``Refused``; nothing ends then."""
    with asking(connection, Action.PUBLISH, wish, connection.origin):
        permit = await ask(connection, Action.PUBLISH, wish)
        permit.grant.abandon()
        await _check_claim(connection.context, permit, deadline, stands_by=asks_to_stand_by(wish.query))
        return permit.grant.key


async def _check_claim(context: ServerContext, permit: Permit, deadline: float, *, stands_by: bool) -> None:
    """Raise ``Refused`` if the name could not be had that was granted."""
    grant, key = permit.grant, permit.grant.key
    # By address, too, it is the encoder that will come by RTMP.
    origin = replace(permit.origin, protocol=RTMP)
    place = Place(grant.backup or stands_by, grant.backup)
    policy = grant.claim or context.claim_policy
    context.rejections.check(Encoder(key, origin.network, place.backup), context.clock())
    try:
        async with asyncio.timeout_at(deadline):
            await await_silence(context, key, origin, policy, place)
    except TimeoutError:
        return  # Who has the name may be gone by the time that it is published.
    context.registry.check_claim(key, origin, context.clock(), policy, place)
