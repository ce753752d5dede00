"""Relays over HTTP: what they do, and push targets added and removed at run time."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.net.http import Handler, web
from rtmpd.relay.status import RelayStatus
from rtmpd.web.changes import NO_STORE, Obstacle, answer, error, guarded, stream_key


class PushControl(Protocol):
    """Adds and removes targets; ``rtmpd.relay.push.relays.PushRelays`` is one."""

    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        """Raises UsageError, whose text holds no secret."""

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        """False when there is no such target."""


@dataclass(frozen=True, slots=True)
class RelayApi:
    """What the handlers work with."""

    push: PushControl
    statuses: Callable[[], Sequence[RelayStatus]]
    apps: Callable[[], Container[str]] = frozenset
    """Apps with settings of their own, now: see ``StreamKey.of_path``."""


def add_routes(router: web.UrlDispatcher, api: RelayApi, obstacle: Obstacle) -> None:
    """Serve under /api/v1."""
    router.add_get("/api/v1/relays", _list(api))
    router.add_post("/api/v1/streams/{app}/{name}/push", guarded(_add(api), obstacle))
    router.add_delete("/api/v1/streams/{app}/{name}/push/{id}", guarded(_remove(api), obstacle))


def as_json(status: RelayStatus) -> dict[str, object]:
    """A relay as the API shows it."""
    return {
        "kind": status.kind,
        "id": status.id,
        "app": status.key.app,
        "name": status.key.name,
        "remote": status.remote,
        "state": str(status.state),
        "bytes": status.bytes,
        "retries": status.retries,
        "lag_bytes": status.lag_bytes,
        "lag_seconds": round(status.lag_seconds, 3),
        "unannounced": list(status.unannounced),
        "status": status.status,
        "reason": status.reason,
        "retry_in": None if status.retry_in is None else round(status.retry_in, 3),
    }


def _list(api: RelayApi) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return answer(200, {"relays": [as_json(status) for status in api.statuses()]})

    return handler


def _add(api: RelayApi) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        key = stream_key(request, api.apps())
        if key is None:
            return error(400, "this cannot be the name of an app and a stream")
        if request.content_type != "application/json":
            return error(415, 'send {"url": "rtmp://host/app/name"} as application/json')
        try:
            body = await request.json()
        except (ValueError, LookupError, RecursionError):
            # No JSON, a number of thousands of digits, an unknown charset, arrays in arrays.
            body = None
        known = isinstance(body, dict) and body.keys() <= {"url", "track"}
        url = body.get("url") if known else None
        if not isinstance(url, str):
            return error(400, 'send {"url": "rtmp://host/app/name"}')
        try:
            status = api.push.add(key, url, body.get("track"))
        except UsageError as problem:
            return error(400, str(problem))
        return answer(201, as_json(status))

    return handler


def _remove(api: RelayApi) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        key = stream_key(request, api.apps())
        if key is None or not api.push.remove(key, request.match_info["id"]):
            return error(404, "there is no such push target")
        return web.Response(status=204, headers=NO_STORE)

    return handler
