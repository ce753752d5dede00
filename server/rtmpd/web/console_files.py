"""The console: a page at ``/``, and the files that it is made of. Nothing in them is secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rtmpd.control.server_answers import PublicHttp
from rtmpd.net.http import web
from rtmpd.net.static_files import PLAYER as PLAYER_FILES
from rtmpd.net.static_files import StaticFiles

PAGE: Final = "/"
FILE: Final = "/console/{file}"
PLAYER: Final = "/console/player/{file}"
"""What the page of a stream is made of, too; some of it in a folder."""
_INDEX: Final = "index.html"
_OWN: Final = StaticFiles(Path(__file__).with_name("console"))
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{there}; "
    "img-src 'self' data:{there}; media-src blob: data:{there}; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for each time, and sent where it is another one than that which is there.
    "Cache-Control": "no-cache",
}
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")


class ConsoleFiles:
    """``public_http()`` is where it plays streams."""

    def __init__(self, public_http: Callable[[], PublicHttp | None]) -> None:
        self._public_http = public_http

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve them on one address."""
        router.add_get(PAGE, self._serve_own)
        router.add_get(FILE, self._serve_own)
        router.add_get(PLAYER.replace("{file}", "{file:.+}"), self._serve_player)

    async def _serve_own(self, request: web.Request) -> web.Response:
        return await self._serve(request, _OWN)

    async def _serve_player(self, request: web.Request) -> web.Response:
        return await self._serve(request, PLAYER_FILES)

    async def _serve(self, request: web.Request, files: StaticFiles) -> web.Response:
        there = "".join(f" {origin}" for origin in _origins(self._public_http(), request.host))
        headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(there=there)}
        answer = await files.answer(request, request.match_info.get("file", _INDEX), headers)
        if answer is None:
            raise web.HTTPNotFound
        return answer


def _origins(place: PublicHttp | None, host: str) -> list[str]:
    """Where streams are, for a browser that knows us as ``host``, by HTTP and by WebSocket."""
    if place is None:
        return []
    if place.url is not None:
        origin = urlsplit(place.url).netloc
    else:
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        origin = f"{name}:{place.port}" if _HOST.fullmatch(name) else ""
    return [f"{scheme}://{origin}" for scheme in (place.scheme, place.scheme.replace("http", "ws")) if origin]
