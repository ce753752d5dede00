"""The console: a page at ``/``, and the files that it is made of. Nothing in them is secret."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rtmpd.net.http import web
from rtmpd.net.static_files import PLAYER as PLAYER_FILES
from rtmpd.net.static_files import StaticFiles

PAGE: Final = "/"
FILE: Final = "/console/{file}"
PLAYER: Final = "/console/player/{file:.+}"
"""What the page of a stream is made of, too."""
_INDEX: Final = "index.html"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for each time, and sent where it is another one than that which is there.
    "Cache-Control": "no-cache",
}


class ConsoleFiles:
    """Read when somebody first asks for one."""

    def __init__(self) -> None:
        self._own = StaticFiles(Path(__file__).with_name("console"))

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve them on one address."""
        router.add_get(PAGE, self._serve_own)
        router.add_get(FILE, self._serve_own)
        router.add_get(PLAYER, self._serve_player)

    async def _serve_own(self, request: web.Request) -> web.Response:
        return await _serve(request, self._own)

    async def _serve_player(self, request: web.Request) -> web.Response:
        return await _serve(request, PLAYER_FILES)


async def _serve(request: web.Request, files: StaticFiles) -> web.Response:
    answer = await files.answer(request, request.match_info.get("file", _INDEX), _HEADERS)
    if answer is None:
        raise web.HTTPNotFound
    return answer
