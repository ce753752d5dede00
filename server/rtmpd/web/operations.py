"""Every operation of the API: of this table its routes are made, and its document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import BaseModel

from rtmpd.control.actor import Actor, Role
from rtmpd.control.answers import PageQuery
from rtmpd.control.ban_answers import Ban, BanPage, BanRequest
from rtmpd.control.control import Control
from rtmpd.control.relay_answers import PushRequest, Relay, RelayPage, RelayQuery
from rtmpd.control.server_answers import ServerInfo
from rtmpd.control.session_answers import KickRequest, Session, SessionPage, SessionQuery
from rtmpd.control.settings_answers import Reload, ReloadRequest
from rtmpd.control.stream_answers import Stream, StreamPage, StreamQuery
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session
from rtmpd.exceptions import NotFound
from rtmpd.reasons import Problem
from rtmpd.rtmp.url import clean_path, validate_name
from rtmpd.web.problems import bad_request

M = TypeVar("M", bound=BaseModel)

_MAX_NAME_BYTES: Final = 256
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


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked for, by whom, and what comes of it."""

    id: str
    """Names it for those who make programs of the document."""
    method: str
    path: str
    """Below /api/v1."""
    role: Role
    summary: str
    run: Callable[[Control, Asked], Awaitable[BaseModel | None]]
    answer: type[BaseModel] | None = None
    """None says nothing but that it is done."""
    status: int = 200
    """Of the answer."""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    optional_body: bool = False
    problems: tuple[Problem, ...] = ()
    """Of its own, beside those that every operation has."""


def _as(model: type[M], given: BaseModel | None) -> M:
    """What the table says it is."""
    if not isinstance(given, model):
        raise TypeError(f"{type(given).__name__} is no {model.__name__}")
    return given


async def _server(control: Control, _asked: Asked) -> ServerInfo:
    return await control.server()


async def _streams(control: Control, asked: Asked) -> StreamPage:
    return await control.streams(_as(StreamQuery, asked.query))


async def _stream(control: Control, asked: Asked) -> Stream:
    return await control.stream(asked.stream)


async def _end_hold(control: Control, asked: Asked) -> None:
    await control.end_hold(asked.stream, asked.actor)


async def _sessions(control: Control, asked: Asked) -> SessionPage:
    return await control.sessions(_as(SessionQuery, asked.query))


async def _session(control: Control, asked: Asked) -> Session:
    return await control.session(asked.session)


async def _kick(control: Control, asked: Asked) -> None:
    await control.kick(asked.session, _as(KickRequest, asked.body), asked.actor)


async def _bans(control: Control, asked: Asked) -> BanPage:
    return await control.bans(_as(PageQuery, asked.query))


async def _ban(control: Control, asked: Asked) -> Ban:
    return await control.ban(_as(BanRequest, asked.body), asked.actor)


async def _unban(control: Control, asked: Asked) -> None:
    await control.unban(asked.path["network"], asked.actor)


async def _relays(control: Control, asked: Asked) -> RelayPage:
    return await control.relays(_as(RelayQuery, asked.query))


async def _add_push(control: Control, asked: Asked) -> Relay:
    return await control.add_push(asked.stream, _as(PushRequest, asked.body), asked.actor)


async def _remove_push(control: Control, asked: Asked) -> None:
    await control.remove_push(asked.stream, asked.path["id"], asked.actor)


async def _reload(control: Control, asked: Asked) -> Reload:
    return await control.reload(_as(ReloadRequest, asked.body), asked.actor)


_STREAM: Final = "/streams/{app}/{name}"
OPERATIONS: Final = (
    Operation("getServer", "GET", "/server", Role.READ, "The server as a whole", _server, ServerInfo),
    Operation(
        "listStreams",
        "GET",
        "/streams",
        Role.READ,
        "Streams that are published, waited for or held",
        _streams,
        StreamPage,
        query=StreamQuery,
    ),
    Operation(
        "getStream",
        "GET",
        _STREAM,
        Role.READ,
        "A stream, with all that is known of it",
        _stream,
        Stream,
        problems=(Problem.BAD_REQUEST, Problem.STREAM_NOT_FOUND),
    ),
    Operation(
        "endStream",
        "POST",
        f"{_STREAM}/end",
        Role.OPERATE,
        "Tell the players of a stream that is held for an encoder that it is over",
        _end_hold,
        status=204,
        problems=(Problem.BAD_REQUEST, Problem.STREAM_NOT_FOUND, Problem.NOT_HELD),
    ),
    Operation(
        "listSessions",
        "GET",
        "/sessions",
        Role.READ,
        "Whoever is connected, and to whom this server is",
        _sessions,
        SessionPage,
        query=SessionQuery,
    ),
    Operation(
        "getSession",
        "GET",
        "/sessions/{id}",
        Role.READ,
        "A session",
        _session,
        Session,
        problems=(Problem.SESSION_NOT_FOUND,),
    ),
    Operation(
        "kickSession",
        "POST",
        "/sessions/{id}/kick",
        Role.OPERATE,
        "End a session, and ban its address if that is wanted; a relay comes back, a client may",
        _kick,
        status=204,
        body=KickRequest,
        optional_body=True,
        problems=(Problem.SESSION_NOT_FOUND, Problem.NETWORK_REFUSED),
    ),
    Operation(
        "listBans",
        "GET",
        "/bans",
        Role.READ,
        "Networks from which nobody is let in",
        _bans,
        BanPage,
        query=PageQuery,
    ),
    Operation(
        "addBan",
        "POST",
        "/bans",
        Role.OPERATE,
        "Let nobody in from an address or a network, for a time; who is connected stays",
        _ban,
        Ban,
        status=201,
        body=BanRequest,
        problems=(Problem.NETWORK_REFUSED,),
    ),
    Operation(
        "liftBan",
        "DELETE",
        "/bans/{network}",
        Role.OPERATE,
        "Lift a ban, whoever made it",
        _unban,
        status=204,
        problems=(Problem.BAN_NOT_FOUND,),
    ),
    Operation(
        "listRelays",
        "GET",
        "/relays",
        Role.READ,
        "What is pushed to other servers, and fetched from them",
        _relays,
        RelayPage,
        query=RelayQuery,
    ),
    Operation(
        "addPushTarget",
        "POST",
        f"{_STREAM}/push",
        Role.OPERATE,
        "Push a stream to one more address, whenever it is published, until that is removed",
        _add_push,
        Relay,
        status=201,
        body=PushRequest,
        problems=(Problem.BAD_REQUEST, Problem.TARGET_REFUSED),
    ),
    Operation(
        "removePushTarget",
        "DELETE",
        f"{_STREAM}/push/{{id}}",
        Role.OPERATE,
        "End a push target; one of the configuration comes back with the next publish",
        _remove_push,
        status=204,
        problems=(Problem.BAD_REQUEST, Problem.TARGET_NOT_FOUND),
    ),
    Operation(
        "reload",
        "POST",
        "/reload",
        Role.OPERATE,
        "Read the settings again and put them in place, or say what that would change",
        _reload,
        Reload,
        body=ReloadRequest,
        optional_body=True,
        problems=(Problem.SETTINGS_REFUSED,),
    ),
)
