"""What the table of operations is made of: what can be asked for, and what was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from pydantic import BaseModel

from rtmpd.control.actor import Actor, Role
from rtmpd.control.clip_answers import HeldFile
from rtmpd.control.control import Control
from rtmpd.control.recording_answers import OpenedFile
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session
from rtmpd.exceptions import NotFound
from rtmpd.reasons import Problem
from rtmpd.rtmp.url import clean_path, validate_name
from rtmpd.web.problems import bad_request

M = TypeVar("M", bound=BaseModel)

_MAX_NAME_BYTES: Final = 256
STREAM: Final = "/streams/{app}/{name}"
"""Path of one stream."""
PARAMETERS: Final = {
    "app": "App of the stream. Slashes are written %2F.",
    "name": "Name of the stream. Slashes are written %2F.",
    "id": "As the list of them names it.",
    "network": "An address or a network, its slash written %2F.",
}
"""Of paths; all are text."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as far as its operation needs it."""

    path: dict[str, str]
    """The parameters of the path."""
    query: BaseModel | None
    body: BaseModel | None
    actor: Actor
    last_event_id: str = ""
    """Of the event that whoever comes again has seen last."""

    @property
    def stream(self) -> StreamKey:
        """That the path names."""
        key = StreamKey.of_path(clean_path(self.path["app"], self.path["name"]))
        if any(validate_name(text, _MAX_NAME_BYTES) is not None for text in (key.app, key.name)):
            raise bad_request("this cannot be the name of an app and a stream")
        return key

    @property
    def session(self) -> int:
        """That the path names, by its number."""
        try:
            return parse_session(self.path["id"])
        except ValueError as error:
            raise NotFound(Problem.SESSION_NOT_FOUND, str(error)) from None

    def query_as(self, model: type[M]) -> M:
        """The parameters of the query: of the model that the table says."""
        return _as(model, self.query)

    def body_as(self, model: type[M]) -> M:
        """The body, likewise."""
        return _as(model, self.body)


Run: TypeAlias = Callable[[Control, Asked], Awaitable[BaseModel | None]]


@dataclass(frozen=True, slots=True)
class Frames:
    """An answer that does not end, as server-sent events: ``web.event_stream`` has their format."""

    events: AsyncIterator[bytes]
    heartbeat: Callable[[], bytes]
    """What is sent where there is nothing to tell for a while."""
    close: Callable[[], object] = lambda: None
    """To be called when nobody reads them, any more or at all."""


Follow: TypeAlias = Callable[[Control, Asked], Awaitable[Frames]]


Download: TypeAlias = Callable[[Control, Asked], Awaitable[HeldFile]]


OpenFile: TypeAlias = Callable[[Control, Asked], Awaitable[OpenedFile]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked for, by whom, and what comes of it."""

    id: str
    """Names it for those who make programs of the document."""
    method: str
    path: str
    """Below /api/v1."""
    role: Role | None
    """None: it is for whoever comes."""
    summary: str
    run: Run | None
    """None: ``follow`` is it, or ``web`` itself does it, as it is about HTTP."""
    answer: type[BaseModel] | None = None
    """None says nothing but that it is done."""
    status: int = 200
    """Of the answer."""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    optional_body: bool = False
    whole_server: bool = False
    """It concerns all streams: nothing for whoever has to do with some only."""
    follow: Follow | None = None
    """The answer does not end: ``answer`` is the data of each event."""
    download: Download | None = None
    """The answer is a file."""
    file: OpenFile | None = None
    """The same of one that lies on a disk, of which parts may be asked for."""
    problems: tuple[Problem, ...] = ()
    """Of its own, beside those that every operation has."""


def _as(model: type[M], given: BaseModel | None) -> M:
    if not isinstance(given, model):
        raise TypeError(f"{type(given).__name__} is no {model.__name__}")
    return given
