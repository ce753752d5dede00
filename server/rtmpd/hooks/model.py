"""What there is to ask and to tell, and what a backend may answer, in no particular dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.exceptions import HttpFailed
from rtmpd.hooks.rules import Moment
from rtmpd.net.http_message import HttpAnswer, HttpRequest
from rtmpd.reasons import HttpFailure

MAX_REASON: Final = 200
"""Characters of a sentence that an encoder is told."""
QUESTIONS: Final = frozenset({Moment.CONNECT, Moment.PUBLISH, Moment.PLAY, Moment.UPDATE, Moment.FORWARD})
"""Moments at which something hangs on the answer. Of the others it is told, and does not matter."""


ENDS: Final = {
    "connect": (Moment.DISCONNECT,),
    "publish": (Moment.PUBLISH_DONE, Moment.DONE),
    "play": (Moment.PLAY_DONE, Moment.DONE),
}
"""What is told when an action is over."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who does what. URLs and queries may hold secrets, and so may a name that nobody has granted."""

    action: str
    """``connect``, ``publish`` or ``play``."""
    app: str
    name: str = field(repr=False)
    query: str = field(default="", repr=False)
    """What followed ``?`` in the stream name, or in the app of a connect."""
    mode: str = "live"
    """Of a publish: ``live``, ``record``, ``append`` or ``appendWithGap``."""
    start: float = -2.0
    """Of a play: ``PlayRequested.start``, as the two next ones."""
    duration: float = -1.0
    reset: bool = True
    origin: Origin = NOBODY
    """Who it is, as far as that was found out by now."""
    tc_url: str = field(default="", repr=False)
    page_url: str = field(default="", repr=False)
    swf_url: str = field(default="", repr=False)
    connect_query: str = field(default="", repr=False)
    """What followed ``?`` in the app."""

    @property
    def proven(self) -> bool:
        """The client has proven to have a right to it: by a key, a password, a token."""
        return bool(self.origin.identity)

    @property
    def path(self) -> str:
        return f"{self.app}/{self.name}" if self.name else self.app

    @property
    def fact(self) -> tuple[object, ...]:
        """All that an answer may depend on: who asks the same again may be given the same answer."""
        origin = self.origin
        return (
            *(self.action, self.app, self.name, self.query, self.mode, self.start, self.duration, self.reset),
            *(self.proven, origin.account, origin.address, origin.listener, origin.tls, origin.agent),
            *(self.tc_url, self.page_url, self.swf_url, self.connect_query),
        )


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file of a recording that is finished."""

    path: str
    """Absolute."""
    size: int
    """Bytes."""

    @property
    def folder(self) -> str:
        """Which it lies in."""
        return self.path.rpartition("/")[0] or "/"


@dataclass(frozen=True, slots=True)
class Progress:
    """How a visit gets on, or got on."""

    seconds: float = 0.0
    """Since it began."""
    timestamp: int = 0
    """Of the last media, in milliseconds of the publisher's clock."""
    bytes_in: int = 0
    bytes_out: int = 0
    file: RecordedFile | None = None
    """What has come of it, of ``Moment.RECORD_DONE``; ``seconds`` are those of its media then."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a backend has decided."""

    allow: bool
    reason: str = ""
    """A sentence for the person at the encoder."""
    name: str = field(default="", repr=False)
    """The stream that it is led to instead; of a connect the app."""
    push: tuple[str, ...] = field(default=(), repr=False)
    """URLs of servers that the stream is to be pushed to."""
    max_kbps: int | None = None
    max_players: int | None = None
    record: bool | None = None
    """Whether it is to be recorded."""
    takeover: bool | None = None
    """Whether it may have a name that another has."""
    ttl: float | None = None
    """Seconds for which the same question need not be asked again; None leaves it to the settings."""
    unknown: tuple[str, ...] = ()
    """Words of the answer that mean nothing here."""


def unreadable(why: str) -> HttpFailed:
    """An answer that is none in its dialect. The text is for people, and holds nothing of the answer."""
    return HttpFailed(HttpFailure.UNREADABLE, f"an answer that is none: {why}")


def server_failed(answer: HttpAnswer) -> HttpFailed:
    """An answer that says that the backend itself has failed."""
    return HttpFailed(HttpFailure.SERVER_ERROR, f"status {answer.status}")


class Dialect(Protocol):
    """How a question becomes a request, and an answer a decision."""

    moments: frozenset[Moment]
    """At which it has something to say."""

    def write(self, url: str, moment: Moment, visit: Visit, progress: Progress, /) -> HttpRequest:
        """The request to ``url``."""
        ...

    def read(self, moment: Moment, answer: HttpAnswer, /) -> Verdict:
        """What the answer to one of ``QUESTIONS`` decides. Raises HttpFailed."""
        ...


def check_status(answer: HttpAnswer) -> None:
    """Raise HttpFailed if the backend, or a proxy before it, says that it is broken."""
    if answer.status >= 500:
        raise server_failed(answer)


def clip(reason: str) -> str:
    """A backend's sentence as an encoder may be told it: one line, not for ever."""
    return "".join(filter(str.isprintable, " ".join(reason.split())))[:MAX_REASON]
