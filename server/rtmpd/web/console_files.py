"""The console: a page at ``/``, and the files that it is made of. Nothing in them is secret."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rtmpd.net.http import web

PAGE: Final = "/"
FILE: Final = "/console/{file}"
_INDEX: Final = "index.html"
_FOLDER: Final = Path(__file__).with_name("console")
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
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


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    content_type: str
    etag: str


class ConsoleFiles:
    """Read when somebody first asks for one, all of them at once: they go together."""

    def __init__(self) -> None:
        self._files: dict[str, _File] | None = None

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve them on one address."""
        router.add_get(PAGE, self._serve)
        router.add_get(FILE, self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        if self._files is None:
            self._files = await asyncio.to_thread(_read)
        file = self._files.get(request.match_info.get("file", _INDEX))
        if file is None:
            raise web.HTTPNotFound
        headers = {**_HEADERS, "ETag": f'"{file.etag}"'}
        if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)


def _read() -> dict[str, _File]:
    files = {}
    for path in _FOLDER.iterdir():
        content_type = _TYPES.get(path.suffix)
        if content_type is not None:
            body = path.read_bytes()
            files[path.name] = _File(body, content_type, hashlib.sha256(body).hexdigest()[:32])
    return files
