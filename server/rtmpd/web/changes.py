"""Changes over HTTP: who may make them, and of what.

Nobody is asked for a password. So changes are taken only on listeners that other machines cannot reach, and
not from browsers, in which any page could ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from rtmpd.engine.key import StreamKey
from rtmpd.net.http import Handler, web
from rtmpd.rtmp.url import clean_path, validate_name

NO_STORE = {"Cache-Control": "no-store"}
_MAX_NAME_BYTES = 256
Obstacle = Callable[[web.Request], str | None]
"""Why a request may change nothing, in a sentence; None if it may."""


def guarded(handler: Handler, obstacle: Obstacle) -> Handler:
    """Only for those who may."""

    async def answer_if_ours(request: web.Request) -> web.StreamResponse:
        problem = obstacle(request)
        if problem is not None:
            return error(403, problem)
        if "Origin" in request.headers:
            return error(403, "changes are not taken from web pages")
        return await handler(request)

    return answer_if_ours


def stream_key(request: web.Request, apps: Container[str]) -> StreamKey | None:
    """The stream that the path names; slashes in a name are written %2F."""
    key = StreamKey.of_path(clean_path(request.match_info["app"], request.match_info["name"]), apps)
    return key if all(validate_name(text, _MAX_NAME_BYTES) is None for text in (key.app, key.name)) else None


def error(status: int, text: str) -> web.Response:
    """An answer that says what is wrong."""
    return answer(status, {"error": text})


def answer(status: int, body: object) -> web.Response:
    """``body`` as JSON."""
    return web.json_response(body, status=status, headers=NO_STORE)
