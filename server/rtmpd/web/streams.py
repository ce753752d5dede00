"""Streams over HTTP: ending one that is kept for an encoder that was lost."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from rtmpd.engine.key import StreamKey
from rtmpd.net.http import Handler, web
from rtmpd.web.changes import NO_STORE, Obstacle, error, guarded, stream_key


@dataclass(frozen=True, slots=True)
class StreamApi:
    """What the handlers work with."""

    end_hold: Callable[[StreamKey], bool] = lambda _key: False
    """Tells the audience of a stream that it is over; False if it is not kept for anybody."""
    apps: Callable[[], Container[str]] = frozenset
    """Apps with settings of their own, now: see ``StreamKey.of_path``."""


def add_routes(router: web.UrlDispatcher, api: StreamApi, obstacle: Obstacle) -> None:
    """Serve under /api/v1."""
    router.add_post("/api/v1/streams/{app}/{name}/end", guarded(_end(api), obstacle))


def _end(api: StreamApi) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        key = stream_key(request, api.apps())
        if key is None:
            return error(400, "this cannot be the name of an app and a stream")
        if not api.end_hold(key):
            return error(404, f"{key} is not held: it has an encoder, or nobody waits for one")
        return web.Response(status=204, headers=NO_STORE)

    return handler
