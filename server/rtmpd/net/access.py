"""The question asked before every publish and play, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.url import validate_name


class Action(StrEnum):
    PUBLISH = "publish"
    PLAY = "play"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants to do what. ``query`` and ``connect`` may hold secrets."""

    action: Action
    app: str
    name: str
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

    async def authorize(self, request: AccessRequest) -> Grant:
        """Grant the request or raise ``Refused`` with the status that the client is to see."""
        ...


_NAME_PROBLEMS = {
    "name_empty": "is empty",
    "name_too_long": "is too long",
    "name_character": "holds a character that is not allowed (blanks, quotes, backslashes and < > | are not)",
    "name_level": "has an empty level, or one that is only dots",
}


def check_name(text: str, max_bytes: int, *, code: str, what: str) -> None:
    """Raise ``Refused`` with ``code`` unless ``text`` may name an application or a stream."""
    problem = validate_name(text, max_bytes)
    if problem is not None:
        raise Refused(code, f"The {what} {_NAME_PROBLEMS[problem]}; choose another one.", problem)
