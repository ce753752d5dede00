"""What requests are answered that get no stream, and what all answers say to browsers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urlsplit

from rtmpd.exceptions import Refused
from rtmpd.net.http import web
from rtmpd.reasons import Fault, Refusal

ANY_ORIGIN: Final = "*"
UNPUBLISHED: Final = "Nobody publishes this stream."
_METHODS: Final = "GET, HEAD, POST, OPTIONS"
_SHOWN: Final = "Accept-Ranges, Content-Length, Content-Range"
_TAKEN: Final = "Authorization, Content-Type, Range"
_BEACON: Final = "/beacon"
"""Ends the path to which pages tell that somebody watches."""
_DAY: Final = 86_400
_PRIVATE: Final = "Access-Control-Request-Private-Network"
"""A browser asks it for pages of the Internet that want something of an address in its own network."""
_RETRY_AFTER: Final = 10
_NEVER: Final = re.compile(r"q\s*=\s*0(?:\.0*)?")

_NOT_PROVEN: Final = frozenset({Refusal.NOT_PROVEN, Refusal.USER_ASKED})
_NOT_THERE: Final = frozenset(
    {
        Refusal.NO_TRACK,
        Refusal.NAME_EMPTY,
        Refusal.NAME_TOO_LONG,
        Refusal.NAME_CHARACTER,
        Refusal.NAME_LEVEL,
        Refusal.NAME_RESERVED,
    }
)
_TOO_OFTEN: Final = frozenset({Refusal.PLAY_RATE, Refusal.PUBLISH_RATE, Refusal.BANNED})
_FULL: Final = frozenset(
    {
        Refusal.PLAYERS_PER_STREAM,
        Refusal.PLAYERS_PER_APP,
        Refusal.PUBLISHERS_PER_ADDRESS,
        Refusal.PUBLISHERS_PER_APP,
        Refusal.TRACK_CHOICES,
        Refusal.WAITING_NAMES,
        Refusal.WAITING_NAMES_PER_ADDRESS,
        Refusal.MAX_CONNECTIONS_PER_ADDRESS,
        Refusal.MAX_PENDING_PER_ADDRESS,
        Refusal.CONNECT_RATE,
        Refusal.WAITS,
        Refusal.VIEWERS_PER_ADDRESS,
    }
)


def _nowhere() -> frozenset[int]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Origins:
    """Web pages whose scripts may have streams, by scheme, host and port; ``ANY_ORIGIN`` is all of them.

    Our own may play besides: those of this very listener, and of the console, which is on the same host at
    one of ``console_ports()``. To publish they are named as all others.
    """

    allowed: frozenset[str] = frozenset()
    console_ports: Callable[[], frozenset[int]] = _nowhere

    def admits(self, request: web.BaseRequest, host: str) -> bool:
        """Whether whoever asks may who knows us as ``host``; who is no browser names no origin."""
        origin = request.headers.get("Origin")
        return (
            origin is None
            or ANY_ORIGIN in self.allowed
            or origin.lower() in self.allowed
            or (not _publishes(request) and self._is_ours(origin.lower(), host.lower()))
        )

    def headers(self, request: web.BaseRequest, host: str) -> dict[str, str]:
        """What a browser is told about an answer, if the page may have it."""
        # Nobody is known here by a cookie, so there are no credentials that a page could use.
        if ANY_ORIGIN in self.allowed:
            return {"Access-Control-Allow-Origin": ANY_ORIGIN, "Access-Control-Expose-Headers": _SHOWN}
        origin = request.headers.get("Origin")
        if origin is None or not self.admits(request, host):
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _SHOWN,
            "Vary": "Origin",
        }

    def _is_ours(self, origin: str, host: str) -> bool:
        try:
            page, us = urlsplit(origin), urlsplit(f"//{host}")
            # Of a page by https the port is not written, behind a proxy the scheme not known.
            return (
                bool(page.hostname)
                and page.hostname == us.hostname
                and (page.netloc == us.netloc or _port(page) in self.console_ports())
            )
        except ValueError:
            return False


def _publishes(request: web.BaseRequest) -> bool:
    return request.method == "POST" and not request.path.endswith(_BEACON)


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def status_of(refusal: Refused) -> HTTPStatus:
    """How HTTP says it."""
    reason = refusal.reason
    if reason in _NOT_PROVEN:
        return HTTPStatus.UNAUTHORIZED
    if reason in _NOT_THERE:
        return HTTPStatus.NOT_FOUND
    if reason is Refusal.START:
        return HTTPStatus.BAD_REQUEST
    if reason in _TOO_OFTEN:
        return HTTPStatus.TOO_MANY_REQUESTS
    if reason is Refusal.STREAM_BUSY:
        return HTTPStatus.CONFLICT
    if reason in _FULL or reason.fault is Fault.SERVER:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.FORBIDDEN


def refused(refusal: Refused) -> web.Response:
    """The same sentence that RTMP clients get."""
    status = status_of(refusal)
    headers: dict[str, str] = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = str(_RETRY_AFTER)
    return plain(status, refusal.description, headers)


def plain(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A sentence for people."""
    answer = web.Response(status=status, text=f"{text}\n", headers=headers)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def unpublished() -> web.Response:
    """There is no such stream."""
    return plain(HTTPStatus.NOT_FOUND, UNPUBLISHED)


def takes_gzip(request: web.BaseRequest) -> bool:
    """Whether whoever asks takes it (RFC 9110, 12.5.3); a weight of 0 says no."""
    for field in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = field.partition(";")
        if coding.strip() == "gzip":
            return _NEVER.fullmatch(weight.strip()) is None
    return False


def preflight(request: web.BaseRequest) -> web.Response:
    """What a browser asks before a page may ask itself; ``Origins`` says the rest."""
    headers = {
        "Allow": _METHODS,
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _TAKEN,
        "Access-Control-Max-Age": str(_DAY),
    }
    if request.headers.get(_PRIVATE) == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)
