"""The question asked before every publish and play, and its answer."""

from __future__ import annotations

from collections.abc import Container, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import clean_path, validate_name


class Action(StrEnum):
    PUBLISH = "publish"
    PLAY = "play"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants to do what with which stream. ``query`` and ``connect`` may hold secrets."""

    action: Action
    key: StreamKey
    """The stream that was named, however the client cut its URL."""
    query: str = field(repr=False)
    """What followed ``?`` in the stream name."""
    address: str
    """The client's IP address."""
    connect: ConnectParams = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission; ``key`` is the stream that the request is led to."""

    key: StreamKey


class Authorizer(Protocol):
    """Decides who may publish and play what."""

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        """Grant the request or raise ``Refused`` with the status that the client is to see.

        Who has to ask somebody else first is ``async`` and runs in a task; who has not answers at once.
        """
        ...


_PROBLEMS = {
    Refusal.NAME_TOO_LONG: "is too long",
    Refusal.NAME_CHARACTER: (
        "holds a character that is not allowed (blanks, quotes, backslashes and < > | are not)"
    ),
    Refusal.NAME_LEVEL: "has a level that is only dots",
    Refusal.NAME_RESERVED: "holds an @, which is kept for names that the server makes up itself",
}
_ASKED = {
    Action.PUBLISH: (StatusCode.PUBLISH_BAD_NAME, "stream key", "KEY"),
    Action.PLAY: (StatusCode.PLAY_STREAM_NOT_FOUND, "stream name", "NAME"),
}


def check_app(app: str, limits: Limits) -> None:
    """Raise ``Refused`` unless a stream may lie under what a connect calls its app."""
    path = clean_path(app)
    if not path:
        text = "The URL names no application: write rtmp://host/live, and the stream key in its own field."
        raise Refused(StatusCode.CONNECT_REJECTED, text, Refusal.NAME_EMPTY)
    _check(path, limits.max_path_bytes, StatusCode.CONNECT_REJECTED, "application")
    # Whichever levels behind it belong to the name, this one does not.
    _check(path.partition("/")[0], limits.max_app_bytes, StatusCode.CONNECT_REJECTED, "application")


def name_stream(app: str, name: str, action: Action, tables: Container[str], limits: Limits) -> StreamKey:
    """The stream that ``name`` means on a connection to ``app``; raises ``Refused`` when it can be none."""
    code, what, example = _ASKED[action]
    key = StreamKey.of_path(clean_path(app, name), tables)
    if not key.name:
        text = f"The {what} is empty: after the application goes a {what}, as in rtmp://host/live/{example}."
        raise Refused(code, text, Refusal.NAME_EMPTY)
    _check(key.app, limits.max_app_bytes, code, "application")
    _check(key.name, limits.max_name_bytes, code, what)
    return key


def _check(text: str, max_bytes: int, code: str, what: str) -> None:
    problem = validate_name(text, max_bytes)
    if problem is not None:
        raise Refused(code, f"The {what} {_PROBLEMS[problem]}; choose another one.", problem)
