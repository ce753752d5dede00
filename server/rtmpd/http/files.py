"""Recorded files by HTTP, whole or in the part that is asked for (RFC 9110, section 14)."""

from __future__ import annotations

import asyncio
import re
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.sources import Life
from rtmpd.http.asking import Asked
from rtmpd.http.wishes import ENDING, decoded
from rtmpd.net.http import web
from rtmpd.rtmp.url import clean_path
from rtmpd.serving.vod import VodFile

_MEDIA_TYPE: Final = "video/x-flv"
_PIECE: Final = 256 * 1024
_PATIENCE: Final = 60.0
"""Seconds in which somebody has to take a piece."""
_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
"""One part. Of several the whole is sent, which is allowed."""


class FileShelf:
    """Has the files that may be played as streams of apps, where nobody publishes under that name.

    Who may play the stream may have the file, and counts as a player for as long.
    """

    async def answer(self, asked: Asked) -> web.StreamResponse | None:
        request, wish, context = asked.request, asked.wish, asked.connection.context
        if (
            request.method not in ("GET", "HEAD")
            or wish.framed
            or not decoded(request.raw_path).endswith(ENDING)
        ):
            return None
        key = StreamKey.of_path(clean_path(wish.connect.app, wish.name), context.apps)
        if not context.library.offers(key):
            return None
        stream = context.registry.streams.get(key)
        if stream is not None and stream.life is not Life.IDLE:
            return None
        recording = await context.library.open(key)
        if recording is None:
            return None
        try:
            grant = await asked.connection.may(wish)
            try:
                return await self._send(asked, key, recording)
            finally:
                grant.abandon()
        finally:
            recording.close()

    async def _send(self, asked: Asked, key: StreamKey, recording: VodFile) -> web.StreamResponse:
        request, registry = asked.request, asked.connection.context.registry
        size, tag = recording.size, f'"{recording.tag}"'
        headers = {
            "Content-Type": _MEDIA_TYPE,
            "Accept-Ranges": "bytes",
            "ETag": tag,
            "Last-Modified": formatdate(recording.changed, usegmt=True),
            "Cache-Control": "no-cache",
            **asked.connection.session.shared,
        }
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        first, last = _part(request, size, {tag, headers["Last-Modified"]})
        if first > last:
            headers["Content-Range"] = f"bytes */{size}"
            return web.Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
        status = HTTPStatus.OK
        if (first, last) != (0, size - 1):
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = last - first + 1
        registry.check_attach(key, vod=True)
        registry.viewers.add(key)
        try:
            await response.prepare(request)
            if request.method == "GET":
                await _write(request, response, recording, first, last)
        finally:
            registry.viewers.remove(key)
        return response


async def _write(
    request: web.BaseRequest, response: web.StreamResponse, recording: VodFile, first: int, last: int
) -> None:
    """What cannot be sent any further ends with the connection: nothing may be taken for more of the file."""
    at = first
    try:
        while at <= last:
            async with asyncio.timeout(_PATIENCE):
                data = await recording.read_bytes(at, min(_PIECE, last + 1 - at))
                await response.write(data)
            if not data:  # It has become shorter.
                break
            at += len(data)
    except OSError:  # A timeout is one, as is a client that has left.
        pass
    finally:
        if at <= last and request.transport is not None:
            request.transport.abort()


def _part(request: web.BaseRequest, size: int, current: set[str]) -> tuple[int, int]:
    """The first and the last byte that are wanted; a first behind the last if there is no such part."""
    whole = 0, size - 1
    found = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    condition = request.headers.get("If-Range")
    if found is None or request.method != "GET" or (condition is not None and condition not in current):
        return whole
    first, last = found.groups()
    if not first:
        if not last:
            return whole
        return (size, size - 1) if last == "0" else (max(size - int(last), 0), size - 1)
    if last and int(last) < int(first):
        return whole
    return int(first), min(int(last), size - 1) if last else size - 1
