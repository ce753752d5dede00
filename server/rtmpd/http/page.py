"""The page of a stream and what belongs to it: its files, what is told of the stream, and how to embed it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from rtmpd.engine.key import StreamKey
from rtmpd.engine.sources import Life
from rtmpd.engine.stream import LiveStream
from rtmpd.exceptions import ControlError, Refused, TryLater
from rtmpd.http import page_html
from rtmpd.http.answers import plain, refused
from rtmpd.http.asking import Asked
from rtmpd.http.connection import HttpConnection
from rtmpd.http.page_html import Place
from rtmpd.http.page_rules import PageRules, PictureMaker, Told
from rtmpd.http.permission import may_play
from rtmpd.http.stream_status import status_of
from rtmpd.net.http import web
from rtmpd.net.static_files import PLAYER, StaticFile, answer_file
from rtmpd.packaging.rules import variants_of
from rtmpd.rtmp.url import parse_query
from rtmpd.serving.access import Action, name_stream
from rtmpd.serving.peer import ServerContext

STATUS, PICTURE = ".json", ".jpg"
"""Endings of what is told, and of the newest picture."""
_METHODS: Final = ("GET", "HEAD")
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_EACH_TIME: Final = {"Cache-Control": "no-cache"}
_LOGO_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Whatever is in a drawing draws and does nothing else."""
_POLICY: Final = (
    # As data there is an empty list of captions, by which hls.js has the browser show its own.
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "media-src 'self' blob: data:; form-action 'none'; base-uri 'none'; frame-ancestors "
)
_PUBLIC: Final = {"Access-Control-Allow-Origin": "*"}
_STATUS_AGE, _PICTURE_AGE = 1, 5
"""Seconds for which what is told, and a picture, may be told on."""
_MOST = 7680
"""Pixels of what is embedded, either way."""
_NOT_SHOWN: Final = (
    "Other pages may show no page at this url. They may where page.frame_ancestors of the stream names "
    "some, and the url begins with what the server is called by, which is http.public_url where that is set: "
)


def _as_usual(_key: StreamKey) -> PageRules:
    return PageRules()


@dataclass(frozen=True, slots=True)
class PagesRules:
    """What the settings say."""

    rules_of: Callable[[StreamKey], PageRules] = _as_usual
    prefix: str = ""
    """Of all paths."""
    logos: Mapping[str, StaticFile] = field(default_factory=dict)
    """By their tags."""
    public_url: str = ""
    """Where the world finds them, if that is not where it asks."""


class Pages:
    """Those of all streams, as ``rules()`` are now; ``pictures()`` makes pictures, where there is such."""

    def __init__(
        self,
        rules: Callable[[], PagesRules],
        pictures: Callable[[], PictureMaker] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._pictures = pictures
        self._wall_clock = wall_clock

    def is_open(self, connection: HttpConnection, path: str, prefix: str) -> bool:
        """Whether pages of everybody may have what is at ``path``, which begins with ``prefix``."""
        stem = path.removeprefix(prefix).removesuffix(STATUS)
        key = _key_at(stem, connection.context) if path.endswith(STATUS) else None
        return key is not None and self._rules().rules_of(key).status is Told.ANYONE

    async def answer(self, asked: Asked) -> web.StreamResponse | None:
        """A page, or what all of them have; None where there is none."""
        if asked.request.method not in _METHODS:
            return None
        rules = self._rules()
        place = Place(_server(asked, rules), rules.prefix, await PLAYER.version())
        level, _, rest = asked.path.removeprefix("/").partition("/")
        if level == page_html.ASSETS and rest:
            found = await self._file(asked.request, rest, place)
            if found is not None:
                return found
        if level == page_html.OEMBED and not rest:
            return self._oembed(asked, place)
        key = _key_of(asked)
        page = None if key is None else rules.rules_of(key)
        return _page(asked.request, key, page, place) if key and page and page.enabled else None

    async def tell_status(self, asked: Asked) -> web.StreamResponse | None:
        """Whether the stream is live; None where nobody is told."""
        key = _key_of(asked)
        if key is None or asked.request.method not in _METHODS:
            return None
        rules = self._rules().rules_of(key)
        if not _is_told(rules.status, rules):
            return None
        if rules.status is not Told.ANYONE:
            try:
                key = await may_play(asked.connection, asked.wish)
            except Refused as refusal:
                return refused(refusal)
        now, wall = asked.connection.context.clock(), self._wall_clock()
        stream = _stream(asked, key, rules.variants)
        told = status_of(*(stream, now, wall), viewers=rules.viewers, rewind=rules.rewind, dvr=rules.dvr)
        headers = _shared(_STATUS_AGE) if rules.status is Told.ANYONE else {"Cache-Control": "no-store"}
        return _json(told, headers)

    async def show_picture(self, asked: Asked) -> web.StreamResponse | None:
        """The newest picture; None where nobody gets any."""
        key = _key_of(asked)
        if key is None or asked.request.method not in _METHODS or self._pictures is None:
            return None
        rules = self._rules().rules_of(key)
        if not _is_told(rules.picture, rules):
            return None
        openly = rules.picture is Told.ANYONE
        try:
            picture = await self._pictures().picture(
                key if openly else await may_play(asked.connection, asked.wish)
            )
        except Refused as refusal:
            return refused(refusal)
        except TryLater as problem:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, str(problem), {"Retry-After": "2"})
        except ControlError as problem:
            return plain(HTTPStatus.NOT_FOUND, str(problem))
        if picture is None:
            return plain(HTTPStatus.NOT_FOUND, "Nobody publishes this stream, or no picture has come yet.")
        headers = _shared(_PICTURE_AGE) if openly else {"Cache-Control": f"private, max-age={_PICTURE_AGE}"}
        return web.Response(body=picture, content_type="image/jpeg", headers=headers)

    # Inside

    async def _file(self, request: web.BaseRequest, rest: str, place: Place) -> web.Response | None:
        version, _, name = rest.partition("/")
        if version == "logo":
            logo = self._rules().logos.get(name)
            headers = {**_FOR_EVER, "Content-Security-Policy": _LOGO_POLICY}
            return None if logo is None else answer_file(request, logo, headers)
        # Who asks of another version has a page of an older or newer server, and gets what there is.
        return await PLAYER.answer(request, name, _FOR_EVER if version == place.version else _EACH_TIME)

    def _oembed(self, asked: Asked, place: Place) -> web.Response:
        query = _query(asked.request)
        if query.get("format", "json") != "json":
            return plain(HTTPStatus.NOT_IMPLEMENTED, "There is JSON alone: format=json.")
        path = _path_in(query.get("url", ""), place.server)
        key = None if path is None else _key_at(path, asked.connection.context)
        rules = PageRules(enabled=False) if key is None else self._rules().rules_of(key)
        if key is None or not rules.enabled or not rules.frame_ancestors:
            return plain(HTTPStatus.NOT_FOUND, f"{_NOT_SHOWN}{place.server}/")
        room = _room(query.get("maxwidth")), _room(query.get("maxheight"))
        stream = _stream(asked, key)
        picture = None if stream is None else _picture_size(stream)
        frame = _frame(picture, room)
        fits = picture is not None and picture[0] <= room[0] and picture[1] <= room[1]
        return _json(page_html.oembed(key, rules, place, frame, picture if fits else None), _shared(60))


def _is_told(who: Told, rules: PageRules) -> bool:
    """Whether anybody is: who may play is told for the sake of the page."""
    return who is Told.ANYONE or (who is Told.PLAYERS and rules.enabled)


def _server(asked: Asked, rules: PagesRules) -> str:
    """Scheme, host and prefix, as the world knows them."""
    connect = asked.wish.connect
    return rules.public_url or connect.tc_url.removesuffix(f"/{connect.app}")


def _key_of(asked: Asked) -> StreamKey | None:
    """The stream that is asked for; None if there can be none."""
    wish = asked.wish
    return _key_at(f"{wish.connect.app}/{wish.name}", asked.connection.context)


def _key_at(path: str, context: ServerContext) -> StreamKey | None:
    try:
        return name_stream(path, "", Action.PLAY, context.apps, context.limits)
    except Refused:
        return None


def _stream(asked: Asked, key: StreamKey, variants: Sequence[str] = ()) -> LiveStream | None:
    """That stream, or what is live of its variants where nobody publishes it."""
    streams = asked.connection.context.registry.streams
    found = [streams[each] for each in (key, *variants_of(key, variants)) if each in streams]
    return min(found, key=lambda stream: _LIVES.index(stream.life), default=None)


_LIVES: Final = (Life.LIVE, Life.HOLDING, Life.IDLE)
"""Of several streams the page tells the first of those."""


def _page(request: web.BaseRequest, key: StreamKey, rules: PageRules, place: Place) -> web.Response:
    embedded = _query(request).get("embed") == "1"
    text = page_html.page_html(key, rules, place, embedded=embedded)
    ancestors = " ".join(rules.frame_ancestors) or "'none'"
    headers = {
        **_EACH_TIME,
        "Content-Security-Policy": _POLICY + ancestors,
        "Referrer-Policy": "no-referrer",
    }
    return web.Response(text=text, content_type="text/html", headers=headers)


def _json(told: Mapping[str, Any], headers: Mapping[str, str]) -> web.Response:
    body = json.dumps(told, separators=(",", ":")).encode()
    return web.Response(body=body, content_type="application/json", headers=headers)


def _shared(seconds: int) -> dict[str, str]:
    return {**_PUBLIC, "Cache-Control": f"public, max-age={seconds}"}


def _query(request: web.BaseRequest) -> dict[str, str]:
    return parse_query(request.raw_path.partition("#")[0].partition("?")[2])


def _path_in(url: str, server: str) -> str | None:
    """The path of a page of ours, without what ``server`` has of it."""
    try:
        parts, ours = urlsplit(url), urlsplit(server)
    except ValueError:
        return None
    if parts.netloc.lower() != ours.netloc.lower() or parts.scheme not in ("http", "https"):
        return None
    if not parts.path.startswith(f"{ours.path}/"):
        return None
    return unquote(parts.path.removeprefix(ours.path), errors="replace")


def _picture_size(stream: LiveStream) -> tuple[int, int] | None:
    """None as long as nobody knows it."""
    width, height = stream.stats.width, stream.stats.height
    return (width, height) if width and height else None


def _frame(picture: tuple[int, int] | None, room: tuple[int, int]) -> tuple[int, int]:
    """The size of a frame for such pictures, which somebody has ``room`` for."""
    width, height = page_html.WIDTH, page_html.HEIGHT
    if picture is not None:
        width = max(round(height * picture[0] / picture[1]), 1)
    ratio = min(room[0] / width, room[1] / height, 1.0)
    return max(round(width * ratio), 1), max(round(height * ratio), 1)


def _room(text: str | None) -> int:
    """Pixels that a client has, by ``maxwidth`` or ``maxheight``."""
    if not text or not (text.isascii() and text.isdigit()):
        return _MOST
    return min(max(int(text), 1), _MOST)
