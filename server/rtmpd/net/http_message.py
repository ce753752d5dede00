"""An HTTP request that this server makes and the answer to it, as whoever writes and reads them sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.url import REDACTED

_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is sent. URL, headers and body may hold secrets, so ``repr()`` shows the server alone."""

    url: str = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    method: Literal["GET", "POST"] = "POST"

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {shown_url(self.url)})"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Redirects are not followed: they may be the answer."""

    status: int
    body: bytes = field(default=b"", repr=False)
    location: str = field(default="", repr=False)
    """Of a redirect, as it was written; often no URL, but a name."""
    retry_after: str = ""
    """When to ask again, as it was written: seconds, or a date."""


def check_http_url(text: str) -> str:
    """``text``, if it is a URL that can be called; raises UsageError, whose text holds no secret."""
    _parse(text)
    return text


def is_tls(url: str) -> bool:
    return _parse(url).scheme == "https"


def shown_url(url: str) -> str:
    """``url`` as it may be shown: its server alone, since a secret may stand in all the rest."""
    parsed = _parse(url)
    host = f"[{parsed.hostname}]" if ":" in (parsed.hostname or "") else parsed.hostname
    port = f":{parsed.port}" if parsed.port else ""
    rest = f"/{REDACTED}" if parsed.path.strip("/") or parsed.query else ""
    return f"{parsed.scheme}://{host}{port}{rest}"


def _parse(text: str) -> SplitResult:
    if any(character.isspace() or not character.isprintable() for character in text):
        raise UsageError("a URL has no spaces or control characters")
    try:
        parsed = urlsplit(text)
        _ = parsed.port
    except ValueError:
        raise UsageError("host or port of the URL cannot be read") from None
    if parsed.scheme not in _SCHEMES or not parsed.hostname:
        raise UsageError("a URL of a backend starts with http:// or https:// and a host")
    return parsed
