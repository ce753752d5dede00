"""The process before this one: what it still carries, as it tells the next one, and what it is asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from rtmpd.daemon.belongings import rows
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import Conflict, ControlError, HandoverFailed, NotFound, NotPossible
from rtmpd.net.tasks import TaskSet
from rtmpd.reasons import Problem

if TYPE_CHECKING:
    from rtmpd.control.actor import Actor
    from rtmpd.control.questions import Questions
    from rtmpd.control.stream_answers import StreamSummary
    from rtmpd.daemon.ending import Draining
    from rtmpd.daemon.neighbour import Answer, Handler, Neighbour
    from rtmpd.net.messages import Message

_INTERVAL: Final = 1.0
"""Seconds between two looks at what it carries."""
_MAX_AGE: Final = 0.5
"""Seconds for which its streams are told without asking."""
_PART: Final = 500
_MOST: Final = 10_000
"""Of its streams, at once and all in all."""
_LONGEST: Final = 10 * 365 * 86_400.0
_LOOKS: Final = frozenset(
    {"streams", "stream", "sessions", "sessions_at", "session", "network", "relays", "recordings"}
)
"""Questions that change nothing."""
_ERRORS: Final[Mapping[str, type[ControlError]]] = {
    each.__name__: each for each in (NotFound, Conflict, NotPossible)
}


@dataclass(frozen=True, slots=True)
class Carried:
    """What it said last: ``control.before.Carried``."""

    pid: int
    version: str
    since: float | None = None
    until: float | None = None
    publishers: int | None = None
    players: int | None = None
    live: Sequence[StreamKey] = ()
    problem: str = ""


class Predecessor:
    """Asks it, as ``control.before.Before``."""

    def __init__(self, clock: Callable[[], float], interval: float = _INTERVAL) -> None:
        self._clock = clock
        self._interval = interval
        self._neighbour: Neighbour | None = None
        self._carried: Carried | None = None
        self._tasks = TaskSet()
        self._streams: Mapping[StreamKey, StreamSummary] = {}
        self._streams_at: float | None = None
        self._asking = asyncio.Lock()

    def meet(self, neighbour: Neighbour, pid: int, version: str) -> None:
        """There is one."""
        self._neighbour, self._carried = neighbour, Carried(pid, version)
        self._tasks.start(self._look(neighbour), name="predecessor")

    def part(self) -> None:
        """It has ended. Idempotent."""
        self._neighbour = self._carried = None
        self._streams, self._streams_at = {}, None
        self._tasks.cancel()

    # As ``Before``

    @property
    def carried(self) -> Carried | None:
        return self._carried

    async def streams(self) -> Mapping[StreamKey, StreamSummary]:
        if self._neighbour is None:
            return {}
        async with self._asking:
            if self._streams_at is None or self._clock() - self._streams_at >= _MAX_AGE:
                self._streams_at, self._streams = self._clock(), await self._fetch()
        return self._streams if self._neighbour is not None else {}

    async def ask(self, question: str, asked: Mapping[str, object], by: Actor) -> Any:
        from rtmpd.control.questions import spell_actor

        if self._neighbour is None:
            raise NotFound(Problem.SESSION_NOT_FOUND, "it is over, or never was")
        try:
            told, _ = await self._neighbour.ask(
                "control", question=question, asked=dict(asked), by=spell_actor(by)
            )
        except HandoverFailed as error:
            text = f"the process before this one carries it, and does not do it: {error}"
            raise Conflict(Problem.PREDECESSOR, text) from None
        if question not in _LOOKS:
            self._streams_at = None
        if "problem" in told:
            raise _problem(told)
        return told.get("answer")

    # Inside

    async def _look(self, neighbour: Neighbour) -> None:
        while True:
            carried = self._carried
            if carried is None:
                return
            try:
                told, _ = await neighbour.ask("carried")
                self._carried = _read(told, carried, self._clock())
            except HandoverFailed as error:
                self._carried = replace(carried, problem=f"it does not say what it carries: {error}")
            await asyncio.sleep(self._interval)

    async def _fetch(self) -> Mapping[StreamKey, StreamSummary]:
        from rtmpd.control.actor import Actor, Role
        from rtmpd.control.before import read_items
        from rtmpd.control.stream_answers import StreamSummary

        found: dict[StreamKey, StreamSummary] = {}
        asked: dict[str, object] = {"limit": _PART}
        with suppress(ControlError):
            while len(found) < _MOST:
                page = await self.ask("streams", asked, Actor(role=Role.READ))
                if not isinstance(page, dict):
                    break
                for each in read_items(StreamSummary, page):
                    found[StreamKey(each.app, each.name)] = each
                if not isinstance(page.get("next"), str):
                    break
                asked["after"] = page["next"]
        return found


class Legacy:
    """Answers the next process: what is left here, and what it asks about that."""

    def __init__(
        self,
        registry: Registry,
        draining: Callable[[], Draining | None],
        questions: Callable[[], Questions],
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._draining = draining
        self._questions = questions
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"carried": self._carried, "control": self._control}

    async def _carried(self, _message: Message, _files: list[socket.socket]) -> Answer:
        streams = list(self._registry.streams.values())
        own = [each for stream in streams for each in stream.publications if not each.origin.is_borrowed]
        told: Message = {
            "publishers": len(own),
            "players": sum(stream.players for stream in streams),
            "live": [
                [stream.key.app, stream.key.name]
                for stream in streams
                if stream.publication is not None and not stream.publication.origin.is_borrowed
            ],
        }
        draining, now = self._draining(), self._clock()
        if draining is not None:
            told |= {"ago": now - draining.since, "up_to": draining.until - now}
        return told, ()

    async def _control(self, message: Message, _files: list[socket.socket]) -> Answer:
        question, asked = message.get("question"), message.get("asked")
        if not (isinstance(question, str) and isinstance(asked, dict)):
            raise HandoverFailed("a question without words")
        try:
            return {"answer": await self._questions().answer(question, asked, message.get("by"))}, ()
        except ControlError as error:
            kind = type(error).__name__
            return {"problem": str(error.problem), "kind": kind, "detail": error.detail}, ()


def _read(told: Message, before: Carried, now: float) -> Carried:
    ago, up_to = _seconds(told.get("ago")), _seconds(told.get("up_to"))
    return replace(
        before,
        since=None if ago is None else now - ago,
        until=None if up_to is None else now + up_to,
        publishers=_number(told.get("publishers")),
        players=_number(told.get("players")),
        live=tuple(StreamKey(str(app), str(name)) for app, name, *_ in rows(told.get("live"), 2)),
        problem="",
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _seconds(value: object) -> float | None:
    """None for what is no time that somebody may wait."""
    return float(value) if isinstance(value, int | float) and abs(value) < _LONGEST else None


def _problem(told: Message) -> ControlError:
    """As it was raised there; of a problem that we do not know its words."""
    detail = str(told.get("detail"))
    problem = next((each for each in Problem if each == told["problem"]), None)
    if problem is None:
        return Conflict(Problem.PREDECESSOR, detail)
    return _ERRORS.get(str(told.get("kind")), Conflict)(problem, detail)
