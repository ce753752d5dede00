"""Which part of a file is asked for, and on which condition (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

from rtmpd.net.http import web
from rtmpd.serving.vod import VodFile

MEDIA_TYPE: Final = "video/x-flv"
_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
"""One part. Of several the whole is sent, which is allowed."""


class PartWish(NamedTuple):
    """What the headers of a request say."""

    range: str = ""
    if_range: str | None = None
    if_none_match: str | None = None


class Part(NamedTuple):
    """What is answered: bytes of the file from ``first`` up to ``end``."""

    status: HTTPStatus
    headers: dict[str, str]
    first: int
    end: int


def read_part_wish(request: web.BaseRequest) -> PartWish:
    """What is asked for; of HEAD nothing depends on a part."""
    headers = request.headers
    wanted = headers.get("Range", "") if request.method == "GET" else ""
    return PartWish(wanted.replace(" ", ""), headers.get("If-Range"), headers.get("If-None-Match"))


def part_of(file: VodFile, wish: PartWish) -> Part:
    """What of ``file`` is sent to whoever has that wish."""
    size, tag = file.size, f'"{file.tag}"'
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": formatdate(file.changed, usegmt=True),
        "Cache-Control": "no-cache",
    }
    if wish.if_none_match == tag:
        return Part(HTTPStatus.NOT_MODIFIED, headers, 0, 0)
    first, last = range_of(wish, size, {tag, headers["Last-Modified"]})
    if first > last:
        headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
        return Part(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, 0, 0)
    headers["Content-Length"] = str(last - first + 1)
    if (first, last) == (0, size - 1):
        return Part(HTTPStatus.OK, headers, first, last + 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Part(HTTPStatus.PARTIAL_CONTENT, headers, first, last + 1)


def range_of(wish: PartWish, size: int, current: set[str]) -> tuple[int, int]:
    """The first and the last byte that are wanted; a first behind the last if there is no such part."""
    whole = 0, size - 1
    found = _RANGE.fullmatch(wish.range)
    if found is None or (wish.if_range is not None and wish.if_range not in current):
        return whole
    first, last = found.groups()
    if not first:
        if not last:
            return whole
        return (size, size - 1) if last == "0" else (max(size - int(last), 0), size - 1)
    if last and int(last) < int(first):
        return whole
    return int(first), min(int(last), size - 1) if last else size - 1
