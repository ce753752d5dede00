"""The process before this one, which it has taken over from: what that still carries, and what it is asked.

It may be of another version, so what it says is read as far as it can be understood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from rtmpd.control.actor import Actor
from rtmpd.control.stream_answers import StreamSummary
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Conflict, ControlError, NotFound
from rtmpd.reasons import Problem

M = TypeVar("M", bound=BaseModel)

_MENDS: Final = 3
_NOTHING: Final[Mapping[str, object]] = {
    "bool_type": False,
    "int_type": 0,
    "float_type": 0.0,
    "string_type": "",
    "tuple_type": (),
    "dict_type": {},
}
"""What stands for something that is not said, by what pydantic misses."""


class Carried(Protocol):
    """What it said last; ``rtmpd.daemon.predecessor.Carried`` is one. What it has not said is None."""

    @property
    def pid(self) -> int: ...

    @property
    def version(self) -> str: ...

    @property
    def since(self) -> float | None:
        """Clock reading: it was taken over from."""

    @property
    def until(self) -> float | None:
        """Clock reading: it ends then at the latest."""

    @property
    def publishers(self) -> int | None: ...

    @property
    def players(self) -> int | None: ...

    @property
    def live(self) -> Sequence[StreamKey]:
        """What is published there."""

    @property
    def problem(self) -> str:
        """Why it has not said more, in a sentence."""


class Before(Protocol):
    """Asks that process; there may be none."""

    @property
    def carried(self) -> Carried | None:
        """None where there is none."""
        ...

    async def streams(self) -> Mapping[StreamKey, StreamSummary]:
        """All that it has, as it was within the last second; none where it does not say."""
        ...

    async def ask(self, question: str, asked: Mapping[str, object], by: Actor, /) -> Any:
        """Have ``questions.Questions`` answer there. Raises ControlError as that does, NotFound if there is
        no such process, Conflict if it does not answer."""
        ...


class Alone:
    """There is none."""

    @property
    def carried(self) -> None:
        return None

    async def streams(self) -> Mapping[StreamKey, StreamSummary]:
        return {}

    async def ask(self, _question: str, _asked: Mapping[str, object], _by: Actor) -> Any:
        raise NotFound(Problem.SESSION_NOT_FOUND, "it is over, or never was")


ALONE: Final = Alone()


async def ask_if_there(
    before: Before, question: str, asked: Mapping[str, object], by: Actor
) -> dict[str, Any]:
    """The answer; nothing where there is none, for whoever has something without it."""
    if before.carried is None:
        return {}
    with suppress(ControlError):
        answer = await before.ask(question, asked, by)
        return answer if isinstance(answer, dict) else {}
    return {}


def read(model: type[M], said: object) -> M:
    """What that process has said. What we do not know is left out, and what it does not know is nothing.

    ``said`` is ours to change. Raises Conflict where it cannot be understood.
    """
    put: set[tuple[object, ...]] = set()
    for _ in range(_MENDS):
        try:
            return model.model_validate(said)
        except ValidationError as error:
            mended = [_mend(said, each["loc"], each["type"], put) for each in error.errors()]
            if not all(mended):
                break
    text = "the process before this one is of another version, and what it says cannot be understood"
    raise Conflict(Problem.PREDECESSOR, text)


def read_items(model: type[M], page: Mapping[str, Any]) -> Iterator[M]:
    """The items of a page, but for those that cannot be understood."""
    items = page.get("items")
    for each in items if isinstance(items, list) else ():
        with suppress(Conflict):
            yield read(model, each)


def _mend(said: Any, place: tuple[object, ...], kind: str, put: set[tuple[object, ...]]) -> bool:
    """Whether something could be done about one thing that is not as we know it."""
    if not place:
        return False
    *way, last = place
    try:
        for step in way:
            said = said[step]
        if kind == "extra_forbidden":
            del said[last]
        elif kind == "missing":
            said[last] = None
            put.add(place)
        elif place in put and kind in _NOTHING:
            said[last] = _NOTHING[kind]
        else:
            return False
    except (KeyError, IndexError, TypeError):
        return False
    return True
