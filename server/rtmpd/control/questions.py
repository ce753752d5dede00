"""What the next process asks this one, whose streams and sessions it shows and changes as its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from rtmpd.control.actor import Actor
from rtmpd.control.control import Control
from rtmpd.control.drain_answers import DrainRequest
from rtmpd.control.local_keys import KeyKeeper
from rtmpd.control.recording_answers import RecordingQuery
from rtmpd.control.redirect_answers import RedirectRequest
from rtmpd.control.relay_answers import PushRequest, RelayQuery
from rtmpd.control.session_answers import KickRequest, SessionQuery
from rtmpd.control.stream_answers import StreamQuery
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import parse_session
from rtmpd.engine.sessions import SessionTable
from rtmpd.exceptions import NotFound, NotPossible
from rtmpd.reasons import Problem

logger = logging.getLogger(__name__)

Asked = Mapping[str, Any]


class Questions:
    """Answers them by ``control`` of this process alone, which notes no changes: who asks does."""

    def __init__(self, control: Control, sessions: SessionTable, keys: KeyKeeper) -> None:
        self._control = control
        self._sessions = sessions
        self._keys = keys

    async def answer(self, question: str, asked: Asked, by: object) -> object:
        """As JSON. ``by`` is what ``spell_actor`` makes. Raises ControlError.

        What is asked in a way that we do not know is refused, as no part of it can be left out.
        """
        answer = _QUESTIONS.get(question)
        if answer is None:
            raise NotPossible(Problem.PREDECESSOR, f"this version of rtmpd cannot be asked {question!r}")
        try:
            told = await answer(self, asked, _actor(by))
        except (ValidationError, KeyError, TypeError, ValueError):
            # Of another version, or a bug of ours: the traceback tells which.
            logger.warning("question not understood", exc_info=True, extra={"fields": {"question": question}})
            text = f"this version of rtmpd does not understand what it was asked by {question!r}"
            raise NotPossible(Problem.PREDECESSOR, text) from None
        return told.model_dump(mode="json") if isinstance(told, BaseModel) else told

    # What there is to ask

    async def streams(self, asked: Asked, by: Actor) -> object:
        return await self._control.streams.list(StreamQuery.model_validate(asked), by)

    async def stream(self, asked: Asked, by: Actor) -> object:
        return await self._control.streams.get(_stream(asked), by)

    async def end_hold(self, asked: Asked, by: Actor) -> object:
        await self._control.streams.end_hold(_stream(asked), by)
        return None

    async def redirect_players(self, asked: Asked, by: Actor) -> object:
        request = RedirectRequest.model_validate(asked["request"])
        return await self._control.streams.redirect(_stream(asked), request, by)

    async def sessions(self, asked: Asked, by: Actor) -> object:
        return await self._control.sessions.list(SessionQuery.model_validate(asked), by)

    async def sessions_at(self, asked: Asked, by: Actor) -> object:
        found = await self._control.sessions.at_address(str(asked["address"]), by)
        return {"items": [each.model_dump(mode="json") for each in found]}

    async def session(self, asked: Asked, by: Actor) -> object:
        return await self._control.sessions.get(parse_session(asked["session"]), by)

    async def network(self, asked: Asked, by: Actor) -> object:
        """Of a session, for a ban: the next process has the door."""
        number = parse_session(asked["session"])
        handle = self._sessions.find(number)
        if handle is None or by.is_scoped:
            raise NotFound(Problem.SESSION_NOT_FOUND, f"session {asked['session']} is over, or never was")
        return handle.origin.network

    async def kick(self, asked: Asked, by: Actor) -> object:
        await self._control.sessions.kick(parse_session(asked["session"]), KickRequest(), by)
        return None

    async def redirect_session(self, asked: Asked, by: Actor) -> object:
        request = RedirectRequest.model_validate(asked["request"])
        return await self._control.sessions.redirect(parse_session(asked["session"]), request, by)

    async def revoke(self, asked: Asked, _by: Actor) -> object:
        """A stream key, by its digest; who asks has seen to who may."""
        self._keys.revoke(bytes.fromhex(str(asked["digest"])))
        return None

    async def drain(self, asked: Asked, by: Actor) -> object:
        """As the next process ends: this one with it."""
        return await self._control.server.drain(DrainRequest.model_validate(asked), by)

    async def relays(self, asked: Asked, by: Actor) -> object:
        return await self._control.relays.list(RelayQuery.model_validate(asked), by)

    async def push(self, asked: Asked, by: Actor) -> object:
        pushes = self._control.pushes
        if asked["change"] == "add":
            return await pushes.add(_stream(asked), PushRequest.model_validate(asked["request"]), by)
        changes: Mapping[str, Callable[[StreamKey, str, Actor], Awaitable[object]]] = {
            "off": pushes.switch_off,
            "on": pushes.switch_on,
            "restart": pushes.restart,
            "remove": pushes.remove,
        }
        return await changes[asked["change"]](_stream(asked), str(asked["relay"]), by)

    async def pull(self, asked: Asked, by: Actor) -> object:
        pulls = self._control.pulls
        changes = {"off": pulls.switch_off, "on": pulls.switch_on, "restart": pulls.restart}
        return await changes[asked["change"]](_stream(asked), by)

    async def recordings(self, asked: Asked, by: Actor) -> object:
        return await self._control.recordings.list(RecordingQuery.model_validate(asked), by)

    async def recording(self, asked: Asked, by: Actor) -> object:
        recordings = self._control.recordings
        changes = {"start": recordings.start, "stop": recordings.stop, "split": recordings.split}
        return await changes[asked["change"]](_stream(asked), by)


_Answer = Callable[[Questions, Asked, Actor], Awaitable[object]]
_QUESTIONS: Final[Mapping[str, _Answer]] = {
    answer.__name__: answer
    for answer in (
        Questions.streams,
        Questions.stream,
        Questions.end_hold,
        Questions.redirect_players,
        Questions.sessions,
        Questions.sessions_at,
        Questions.session,
        Questions.network,
        Questions.kick,
        Questions.redirect_session,
        Questions.relays,
        Questions.push,
        Questions.pull,
        Questions.recordings,
        Questions.recording,
        Questions.revoke,
        Questions.drain,
    )
}
_ACTOR: Final = TypeAdapter(Actor)


def _actor(said: object) -> Actor:
    """Raises ValueError where more is said of them than we know: they may be allowed less than we think."""
    if not isinstance(said, dict) or said.keys() - {each.name for each in fields(Actor)}:
        raise ValueError
    return _ACTOR.validate_python(said)


def spell_actor(by: Actor) -> dict[str, object]:
    """Whoever asks, for another process."""
    told: dict[str, object] = _ACTOR.dump_python(by, mode="json")
    return told


def spell_stream(key: StreamKey) -> dict[str, object]:
    """The same of a stream."""
    return {"app": key.app, "name": key.name}


def _stream(asked: Asked) -> StreamKey:
    return StreamKey(str(asked["app"]), str(asked["name"]))
