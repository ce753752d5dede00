"""Files of the package that browsers load: read once, named by what they are, and packed once for all."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from rtmpd.net.http import web

_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_DIGITS: Final = 32
"""Of a hash."""
_PACKED_FROM: Final = 1024
"""Bytes: less is hardly less when it is packed."""


class StaticFile(NamedTuple):
    """One of them."""

    body: bytes
    packed: bytes
    """The same by gzip; empty where that is not worth it."""
    content_type: str
    etag: str


class StaticFiles:
    """Those in a folder and below it that have a known ending, by their paths in it.

    All are read when somebody first asks for one: they go together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: Mapping[str, StaticFile] | None = None
        self._version = ""

    async def version(self) -> str:
        """A word that is another one whenever any of them is."""
        await self._all()
        return self._version

    async def answer(
        self, request: web.BaseRequest, name: str, headers: Mapping[str, str]
    ) -> web.Response | None:
        """What a request for ``name`` gets, with ``headers`` besides; None if there is no such file."""
        file = (await self._all()).get(name)
        return None if file is None else answer_file(request, file, headers)

    async def _all(self) -> Mapping[str, StaticFile]:
        if self._files is None:
            files = await asyncio.to_thread(_read, self._folder)
            together = "".join(f"{name} {file.etag} " for name, file in sorted(files.items()))
            self._version = _digest(together.encode())
            self._files = files
        return self._files


PLAYER: Final = StaticFiles(Path(__file__).parent.with_name("player"))
"""A player for browsers, and the page of a stream."""


def make_file(body: bytes, content_type: str) -> StaticFile:
    """What is sent as one."""
    packed = gzip.compress(body, mtime=0) if len(body) >= _PACKED_FROM else b""
    return StaticFile(body, packed if len(packed) < len(body) else b"", content_type, _digest(body))


def answer_file(request: web.BaseRequest, file: StaticFile, headers: Mapping[str, str]) -> web.Response:
    """``file``, packed for who understands that; nothing of it for who has it already."""
    all_headers = {**headers, "ETag": f'"{file.etag}"'}
    if file.packed:
        all_headers["Vary"] = "Accept-Encoding"
    if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=all_headers)
    body = file.body
    if file.packed and "gzip" in request.headers.get("Accept-Encoding", "").lower():
        body, all_headers["Content-Encoding"] = file.packed, "gzip"
    charset = "utf-8" if file.content_type in _TYPES.values() else None
    return web.Response(body=body, content_type=file.content_type, charset=charset, headers=all_headers)


def _read(folder: Path) -> dict[str, StaticFile]:
    return {
        path.relative_to(folder).as_posix(): make_file(path.read_bytes(), _TYPES[path.suffix])
        for path in folder.rglob("*")
        if path.suffix in _TYPES
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGITS]
