"""Streams by HTTP for the public: ``[http]`` and ``[https]``."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from rtmpd.daemon.fields import LIST_OR_TEXT, ListenAddresses, Section
from rtmpd.daemon.values import parse_list, quote
from rtmpd.net.entrances import Entrance

ANY: Final = "*"
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_WEB: Final = ("http", "https")


def _check_prefix(text: str) -> str:
    text = text.rstrip("/")
    if not _PREFIX.fullmatch(text):
        raise ValueError(f'{quote(text)} is no beginning of a path: write it as "/video"')
    return text


def _check_url(text: str) -> str:
    if text and _origin(text) is None:
        raise ValueError(f"{quote(text)} is no URL: write it as https://video.example.com")
    return text.rstrip("/")


def check_origin(text: str) -> str:
    """``text`` as the origin of a web page, or ``ANY``. Raises ValueError."""
    origin = text if text in (ANY, "null") else _origin(text)
    if origin is None or (text != ANY and origin != text.lower()):
        raise ValueError(f'{quote(text)} is no origin: write it as https://www.example.com, or "*"')
    return origin


def _check_alias(text: str) -> str:
    from rtmpd.http.aliases import Aliases

    Aliases([text])
    return text


def _check_aliases(texts: tuple[str, ...]) -> tuple[str, ...]:
    from rtmpd.http.aliases import Aliases

    Aliases(texts)
    return texts


def is_web_url(text: str) -> bool:
    """Whether it begins with http:// or https:// and a host."""
    return _origin(text) is not None


def _origin(url: str) -> str | None:
    """Scheme, host and port of a URL, as browsers write them; None for what is none."""
    try:
        parts = urlsplit(url)
        if parts.scheme.lower() not in _WEB or not parts.hostname or parts.username is not None:
            return None
        default = 443 if parts.scheme == "https" else 80
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port in (None, default) else f":{parts.port}"
    except ValueError:
        return None
    return f"{parts.scheme.lower()}://{host}{port}"


_Prefix = Annotated[str, AfterValidator(_check_prefix)]
_Url = Annotated[str, AfterValidator(_check_url)]
_Origins = Annotated[
    tuple[Annotated[str, AfterValidator(check_origin)], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]
_Aliases = Annotated[
    tuple[Annotated[str, AfterValidator(_check_alias)], ...],
    BeforeValidator(parse_list),
    AfterValidator(_check_aliases),
    LIST_OR_TEXT,
]


class HttpConfig(Section):
    """Streams by HTTP, for players, web pages and programs: /APP/NAME.flv, also by WebSocket, and to publish
    by POST. Who may, and what a connection and an address may cost, is as over RTMP."""

    listen: ListenAddresses = (":8935",)
    """Where to listen, as for RTMP; an empty list opens no such port."""
    prefix: _Prefix = ""
    """What all paths begin with, such as "/video", where a proxy in front passes them on as they are."""
    origins: _Origins = ()
    """Web pages whose scripts may play and publish, such as "https://www.example.com"; "*" is all, also those
    that somebody in your network happens to read. Programs that are no browser need not be named."""
    aliases: _Aliases = ()
    """Old paths and where they are now, such as "/hls/{name}.m3u8 -> /live/{name}/index.m3u8": words in
    braces stand for any text within one level."""
    public_url: _Url = ""
    """Where a proxy in front has the server for the world, such as "https://video.example.com/video". It is
    shown at the start, and its own pages are among origins."""

    obs: bool = True
    """OBS may ask at /obs/config, and at /APP/obs/config, how to encode a ladder; docs/obs.md says how. Paths
    that end in that, or in /obs/override.json, mean no stream then."""

    def entrances(self) -> tuple[Entrance, ...]:
        """``listen``, taken apart."""
        return tuple(map(Entrance.parse, self.listen))

    def allowed(self) -> frozenset[str]:
        """Origins of web pages that may have streams."""
        public = _origin(self.public_url) if self.public_url else None
        return frozenset(self.origins) | ({public} if public else set())


class HttpsConfig(Section):
    """The same over TLS, for https:// and wss:// URLs, with the certificates of rtmps."""

    listen: ListenAddresses = ()
    """Where to listen, such as ":8936", as for RTMP; needs rtmps.certificates."""

    def entrances(self) -> tuple[Entrance, ...]:
        """``listen``, taken apart."""
        return tuple(map(Entrance.parse, self.listen))
