"""The metrics page as it is handed out: written once for all who ask within a second, and compressed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from rtmpd.control.actor import Actor, Role
from rtmpd.metrics.families import AnyFamily
from rtmpd.net.http import web
from rtmpd.web.metrics import render
from rtmpd.web.shared import Shared

TEXT: Final = "text/plain"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
_COMPRESSION: Final = 5


_WHOEVER: Final = Actor(role=Role.READ)
"""The page is the same for all who may see it."""


class Metrics(Protocol):
    """``rtmpd.control.control.Metrics`` are some."""

    async def families(self, by: Actor) -> Sequence[AnyFamily]:
        """The numbers of this moment."""
        ...


class SharedPage:
    """The page in each format, none older than ``max_age`` seconds by ``clock``.

    With hundreds of streams it takes tens of milliseconds to write: nobody may have that done as often as
    they like. It is done in a thread, and whoever asks meanwhile waits for the same one.
    """

    def __init__(self, metrics: Metrics, max_age: float, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._pages: Shared[_Page] = Shared(max_age, clock)

    def apply(self, max_age: float) -> None:
        """Another ``max_age``, for the page that is there too."""
        self._pages.max_age = max_age

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request; of what its ``Accept`` says only the name of a format counts."""
        accept = OPENMETRICS if "application/openmetrics-text" in request.headers.get("Accept", "") else TEXT
        page = await self._pages.get(accept, lambda: self._write(accept))
        body = page.body
        headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}
        if "gzip" in request.headers.get("Accept-Encoding", "").lower():
            body = await page.compressed()
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers | {"Content-Type": page.content_type})

    async def _write(self, accept: str) -> _Page:
        families = await self._metrics.families(_WHOEVER)
        return _Page(*await asyncio.to_thread(render, families, accept))


class _Page:
    def __init__(self, content_type: str, body: bytes) -> None:
        self.content_type = content_type
        self.body = body
        self._compressed: asyncio.Task[bytes] | None = None

    async def compressed(self) -> bytes:
        if self._compressed is None:
            compress = asyncio.to_thread(gzip.compress, self.body, _COMPRESSION)
            self._compressed = asyncio.get_running_loop().create_task(compress, name="metrics-page-gzip")
        # Shielded, as who asked may be gone before the others who wait.
        return await asyncio.shield(self._compressed)
