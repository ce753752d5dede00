"""Where a key set comes from: an https URL or a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rtmpd.exceptions import ClientError, HttpFailed, UsageError
from rtmpd.net.http_message import HttpAnswer, HttpRequest, check_http_url

MAX_BYTES: Final = 64 * 1024
"""Of a key set. Those of large providers, with their certificates, take less than half of it."""
_OK: Final = 200

Call = Callable[[HttpRequest], Awaitable[HttpAnswer]]
"""``HttpCaller.call``, with the time and the authorities that it takes."""


def check_source(text: str) -> None:
    """Raise ValueError with a sentence unless ``text`` is an ``https://`` URL or the path of a file."""
    if "://" not in text:
        return
    try:
        url = urlsplit(check_http_url(text))
        if url.scheme == "https" and url.port != 0 and url.username is None:
            return
    except UsageError:
        pass
    raise ValueError("is an https:// URL or the path of a file: keys that come unprotected prove nothing")


def shown_source(text: str) -> str:
    """``text`` as log and metrics show it: without a query, which may hold a secret."""
    return text.partition("?")[0] if "://" in text else text


def open_source(source: str, call: Call) -> Callable[[], Awaitable[bytes]]:
    """What fetches a source that ``check_source`` has seen; it raises ClientError, which tells no secret."""
    if "://" not in source:
        return lambda: _read(Path(source))
    headers = (("Accept", "application/json"),)
    return lambda: _fetch(HttpRequest(source, headers=headers, method="GET"), call)


async def _fetch(request: HttpRequest, call: Call) -> bytes:
    try:
        answer = await call(request)
    except HttpFailed as error:
        raise ClientError(str(error)) from error
    if answer.status != _OK:
        raise ClientError(f"the answer is HTTP status {answer.status} and not {_OK}")
    return answer.body


async def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ClientError(f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ClientError(f"the file has more than {MAX_BYTES // 1024} KiB")
    return data
