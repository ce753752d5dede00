"""Relays over HTTP: what they do, and push targets added and removed at run time.

Nobody is asked for a password. So changes are taken only on listeners that other machines cannot reach, and
not from browsers, in which any page could ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.net.http import Handler, web
from rtmpd.relay.status import RelayStatus
from rtmpd.rtmp.url import clean_path, validate_name

_MAX_NAME_BYTES = 256
_NO_STORE = {"Cache-Control": "no-store"}


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


def add_routes(router: web.UrlDispatcher, api: RelayApi, *, local: bool) -> None:
    """``local``: only this machine reaches the listener."""
    router.add_get("/api/v1/relays", _list(api))
    router.add_post("/api/v1/streams/{app}/{name}/push", _guarded(_add(api), local=local))
    router.add_delete("/api/v1/streams/{app}/{name}/push/{id}", _guarded(_remove(api), local=local))


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
        return _answer(200, {"relays": [as_json(status) for status in api.statuses()]})

    return handler


def _add(api: RelayApi) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        key = _key(request, api.apps())
        if key is None:
            return _error(400, "this cannot be the name of an app and a stream")
        if request.content_type != "application/json":
            return _error(415, 'send {"url": "rtmp://host/app/name"} as application/json')
        try:
            body = await request.json()
        except (ValueError, LookupError, RecursionError):
            # No JSON, a number of thousands of digits, an unknown charset, arrays in arrays.
            body = None
        known = isinstance(body, dict) and body.keys() <= {"url", "track"}
        url = body.get("url") if known else None
        if not isinstance(url, str):
            return _error(400, 'send {"url": "rtmp://host/app/name"}')
        try:
            status = api.push.add(key, url, body.get("track"))
        except UsageError as error:
            return _error(400, str(error))
        return _answer(201, as_json(status))

    return handler


def _remove(api: RelayApi) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        key = _key(request, api.apps())
        if key is None or not api.push.remove(key, request.match_info["id"]):
            return _error(404, "there is no such push target")
        return web.Response(status=204, headers=_NO_STORE)

    return handler


def _guarded(handler: Handler, *, local: bool) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        if not local:
            return _error(403, "changes are taken on loopback addresses only: see admin.listen")
        if "Origin" in request.headers:
            return _error(403, "changes are not taken from web pages")
        return await handler(request)

    return guarded


def _key(request: web.Request, apps: Container[str]) -> StreamKey | None:
    """The stream that the path names; slashes in a name are written %2F."""
    key = StreamKey.of_path(clean_path(request.match_info["app"], request.match_info["name"]), apps)
    return key if all(validate_name(text, _MAX_NAME_BYTES) is None for text in (key.app, key.name)) else None


def _error(status: int, text: str) -> web.Response:
    return _answer(status, {"error": text})


def _answer(status: int, body: object) -> web.Response:
    return web.json_response(body, status=status, headers=_NO_STORE)
