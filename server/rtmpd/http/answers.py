"""What requests are answered that get no stream, and what all answers say to browsers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from rtmpd.exceptions import Refused
from rtmpd.net.http import web
from rtmpd.reasons import Fault, Refusal

ANY_ORIGIN: Final = "*"
_METHODS: Final = "GET, HEAD, POST, OPTIONS"
_SHOWN: Final = "Accept-Ranges, Content-Length, Content-Range"
_TAKEN: Final = "Authorization, Content-Type, Range"
_DAY: Final = 86_400
_PRIVATE: Final = "Access-Control-Request-Private-Network"
"""A browser asks it for pages of the Internet that want something of an address in its own network."""
_RETRY_AFTER: Final = 10

_NOT_PROVEN: Final = frozenset({Refusal.NOT_PROVEN, Refusal.USER_ASKED})
_NO_NAME: Final = frozenset(
    {
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
    }
)


@dataclass(frozen=True, slots=True)
class Origins:
    """Web pages whose scripts may have streams, by scheme, host and port; ``ANY_ORIGIN`` is all of them."""

    allowed: frozenset[str] = frozenset()

    def admits(self, origin: str | None) -> bool:
        """Whether somebody may who says so; who is no browser says nothing."""
        return origin is None or ANY_ORIGIN in self.allowed or origin.lower() in self.allowed

    def headers(self, request: web.BaseRequest) -> dict[str, str]:
        """What a browser is told about an answer, if the page may have it."""
        origin = request.headers.get("Origin")
        if origin is None or not self.admits(origin):
            return {"Vary": "Origin"}
        # Nobody is known here by a cookie, so there are no credentials that a page could use.
        allowed = ANY_ORIGIN if ANY_ORIGIN in self.allowed else origin
        return {
            "Access-Control-Allow-Origin": allowed,
            "Access-Control-Expose-Headers": _SHOWN,
            "Vary": "Origin",
        }


def status_of(refusal: Refused) -> HTTPStatus:
    """How HTTP says it."""
    reason = refusal.reason
    if reason in _NOT_PROVEN:
        return HTTPStatus.UNAUTHORIZED
    if reason in _NO_NAME:
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
