"""Files out of memory, and from a disk: whole or in the parts that are asked for (RFC 9110, section 14)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import quote

from rtmpd.control.clip_answers import HeldFile
from rtmpd.control.recording_answers import OpenedFile
from rtmpd.exceptions import TryLater
from rtmpd.net.http import AbstractStreamWriter, web
from rtmpd.net.visitors import Visit
from rtmpd.reasons import Problem
from rtmpd.web.door import put_off_deadline
from rtmpd.web.problems import NO_STORE

MAX_AT_ONCE: Final = 16
"""Files that are sent at a time."""
_SLOWEST: Final = 16 * 1024
"""Bytes a second that a reader has to take on average, beside a minute."""
_SLOWEST_OF_HELD: Final = 256 * 1024
"""The same of what is held in memory."""
_PIECE: Final = 256 * 1024
_TYPES: Final = {"flv": "video/x-flv", "mp4": "video/mp4"}


class Closable(Protocol):
    """What is sent."""

    @property
    def close(self) -> Callable[[], object]:
        """To be called when it has been."""


F = TypeVar("F", bound=Closable)


class FileSender:
    """Sends files to whoever asks at whatever address: so many at a time, and to nobody for ever."""

    def __init__(self, most: int = MAX_AT_ONCE) -> None:
        self._most = most
        self._sending = 0

    async def send(
        self, request: web.Request, open_file: Callable[[], Awaitable[OpenedFile]]
    ) -> web.StreamResponse:
        """Send what ``open_file`` gives, and close it. Raises TryLater, and what ``open_file`` raises."""
        return await self._send(request, open_file, _send)

    async def send_held(
        self, request: web.Request, make: Callable[[], Awaitable[HeldFile]], content_type: str
    ) -> web.StreamResponse:
        """The same of what ``make`` has in memory."""

        async def send(request: web.Request, file: HeldFile) -> web.StreamResponse:
            return await _send_held(request, file.data, content_type)

        return await self._send(request, make, send)

    async def _send(
        self,
        request: web.Request,
        open_file: Callable[[], Awaitable[F]],
        send: Callable[[web.Request, F], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if self._sending >= self._most:
            text = f"{self._most} files are being sent already: come again when one of them is over"
            raise TryLater(Problem.TOO_MANY_DOWNLOADS, text, after=10.0)
        self._sending += 1
        visit = request.protocol
        try:
            file = await open_file()
            try:
                if isinstance(visit, Visit):
                    visit.follow(asyncio.current_task())
                return await send(request, file)
            finally:
                if isinstance(visit, Visit):
                    visit.follow(None)
                file.close()
        finally:
            self._sending -= 1


async def _send_held(request: web.Request, data: bytes, content_type: str) -> web.StreamResponse:
    put_off_deadline(request, 60.0 + len(data) / _SLOWEST_OF_HELD)
    headers = {**NO_STORE, "Content-Type": content_type, "Content-Disposition": "attachment"}
    response = web.StreamResponse(headers=headers)
    response.content_length = len(data)
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            for begin in range(0, len(data), _PIECE):
                await response.write(data[begin : begin + _PIECE])
        await response.write_eof()
    except BaseException:
        _cut(request)
        raise
    return response


def _cut(request: web.Request) -> None:
    """What is said of it now would be taken for more of the file."""
    if request.transport is not None:
        request.transport.abort()


class _SentOnce(web.FileResponse):
    """The library asks it to send itself once more, behind whoever has had it do so."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self.prepared:
            return await web.StreamResponse.prepare(self, request)
        return await super().prepare(request)


async def _send(request: web.Request, file: OpenedFile) -> web.StreamResponse:
    size = (await asyncio.to_thread(Path(file.path).stat)).st_size
    put_off_deadline(request, 60.0 + size / _SLOWEST)
    name = quote(file.filename.encode(errors="surrogateescape"))
    headers = {
        **NO_STORE,
        "Content-Type": _TYPES.get(file.filename.rpartition(".")[2], "application/octet-stream"),
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
    response = _SentOnce(file.path, headers=headers)
    try:
        # Here and not by the library behind us: the file stays as long as it is open.
        await response.prepare(request)
        await response.write_eof()
    except BaseException:
        _cut(request)
        raise
    return response
