"""The question asked before every connect, publish and play, and its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.media_limits import MediaLimits, MediaRules
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import PlayOptions
from rtmpd.exceptions import Refused, UsageError
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import clean_path, validate_name


class Action(StrEnum):
    CONNECT = "connect"
    PUBLISH = "publish"
    PLAY = "play"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants to do what with which stream. ``query`` and ``connect`` may hold secrets."""

    action: Action
    key: StreamKey
    """The stream that was named, however the client cut its URL. A connect has named as much of it as its URL
    holds: the app, and often no name.
    """
    origin: Origin
    """Who asks; from the answer to the connect on with the account that that named."""
    connect: ConnectParams = field(repr=False)
    query: str = field(default="", repr=False)
    """What followed ``?`` in the stream name, or in the app of a connect."""
    mode: str = ""
    """Of a publish: ``live``, ``record``, ``append`` or ``appendWithGap``."""
    start: float = -2.0
    """Of a play: ``PlayRequested.start``, as the two next ones."""
    duration: float = -1.0
    reset: bool = True


class Figures(NamedTuple):
    """How what was granted gets on."""

    timestamp: int = 0
    """Of the last media, in milliseconds of the publisher's clock."""
    bytes_in: int = 0
    bytes_out: int = 0


class Follower(Protocol):
    """Whoever has granted something and wants to know what becomes of it: it always ends, once."""

    def began(self, figures: Callable[[], Figures], /) -> None:
        """It has come about; ``figures()`` may be called until ``ended`` is."""

    def ended(self, figures: Figures, /) -> None:
        """It is over, or did not come about."""


@dataclass(frozen=True, slots=True)
class PlayRules:
    """What holds for those who play one stream."""

    options: PlayOptions = field(default_factory=PlayOptions)
    wait_timeout: float = 0.0
    """Seconds a player may wait for a publisher, and up to one more until that is noticed; 0 is for ever."""
    max_duration: float = 0.0
    """Seconds that a play lasts at most; 0 is any time."""
    rewind: bool = False
    """It may begin in the past, as far as that is kept."""


@dataclass(frozen=True, slots=True)
class PublishRules:
    """What holds for those who publish one stream."""

    media: MediaRules = field(default_factory=MediaRules)
    """What they may send."""
    max_duration: float = 0.0
    """Seconds that a publish lasts at most; 0 is any time."""
    in_rounds: bool = True
    """Its socket may be read in rounds, once there are many; see ``Sweeper``."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission, and what it is bound to. What is not named stays as it is configured."""

    key: StreamKey
    """The stream that a publish or play is led to; of a connect the app."""
    account: str = ""
    """Whom the client was found to be: on a connect for all that it does, else for this publish or play."""
    identity: str = ""
    """Who the client proved to be: the same text for the same key, user or subject, and for no other; empty
    without a proof. As far-reaching as ``account``, and nothing secret. By it an encoder is known again that
    wants its name back.
    """
    valid_for: float = math.inf
    """Seconds from now after which the session ends, with all that it does. The shortest that it was granted
    holds.
    """
    claim: ClaimPolicy | None = None
    """Of a publish: whether it may have a name that another has, and for how long it keeps its own."""
    backup: bool = False
    """Of a publish: it stands by for the main encoder of the stream, whoever was granted that."""
    max_players: int | None = None
    """Of a publish: players of the stream while this is on air; 0 is any number."""
    media: MediaLimits | None = None
    """Of a publish: what it may send. Beyond it the publish ends. What is not named in it stays as it is
    configured.
    """
    record: bool | None = None
    """Of a publish: whether it is to be recorded, where the settings allow that."""
    play: PlayRules | None = None
    """Of a play: how it is served."""
    follower: Follower | None = field(default=None, compare=False)

    def abandon(self) -> None:
        """Nothing comes of it."""
        if self.follower is not None:
            self.follower.ended(Figures())

    def __post_init__(self) -> None:
        if math.isnan(self.valid_for):  # Less than nothing else, so it would be for ever.
            raise UsageError("a grant is valid for a number of seconds")


class Authorizer(Protocol):
    """Decides who may connect, publish and play what."""

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        """Grant the request or raise ``Refused`` with the status that the client is to see.

        Who has to ask somebody else first is ``async`` and runs in a task; who has not answers at once.
        """
        ...


class Guard(Protocol):
    """Remembers which networks have failed to prove who they are, and bans those that go on."""

    def turns_away(self, network: str) -> bool:
        """Whether nobody of it may come in, which is counted then."""
        ...

    def remaining(self, network: str) -> float:
        """Seconds for which that is so; 0 if it is not."""
        ...

    def refused(self, request: AccessRequest, reason: Refusal) -> float:
        """Hear what was refused: seconds to wait with the answer."""
        ...


class NoGuard:
    """Bans nobody."""

    def turns_away(self, _network: str) -> bool:
        """Never."""
        return False

    def remaining(self, _network: str) -> float:
        """Never."""
        return 0.0

    def refused(self, _request: AccessRequest, _reason: Refusal) -> float:
        """Without a pause."""
        return 0.0


NAME_PROBLEMS: Final = {
    Refusal.NAME_EMPTY: "is empty",
    Refusal.NAME_TOO_LONG: "is too long",
    Refusal.NAME_CHARACTER: (
        "holds a character that is not allowed (blanks, quotes, backslashes and < > | are not)"
    ),
    Refusal.NAME_LEVEL: "has a level that is only dots",
    Refusal.NAME_RESERVED: "holds an @, which is kept for names that the server makes up itself",
}
"""What is wrong with a name, behind what it is the name of."""
_ASKED = {
    Action.PUBLISH: (StatusCode.PUBLISH_BAD_NAME, "stream key", "KEY"),
    Action.PLAY: (StatusCode.PLAY_STREAM_NOT_FOUND, "stream name", "NAME"),
}


def as_it_is(_action: Action, key: StreamKey) -> StreamKey:
    """All of it, where names are no secrets."""
    return key


def name_app(app: str, tables: Container[str], limits: Limits) -> StreamKey:
    """What a connect names that calls its app so; raises ``Refused`` when no stream may lie under it."""
    path = clean_path(app)
    if not path:
        text = "The URL names no application: write rtmp://host/live, and the stream key in its own field."
        raise Refused(StatusCode.CONNECT_REJECTED, text, Refusal.NAME_EMPTY)
    _check(path, limits.max_path_bytes, StatusCode.CONNECT_REJECTED, "application")
    # Whichever levels behind it belong to the name, this one does not.
    _check(path.partition("/")[0], limits.max_app_bytes, StatusCode.CONNECT_REJECTED, "application")
    return StreamKey.of_path(path, tables)


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
        raise Refused(code, f"The {what} {NAME_PROBLEMS[problem]}; choose another one.", problem)
