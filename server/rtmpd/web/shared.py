"""What is made once for all who ask the same within a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from rtmpd.exceptions import ControlError

T = TypeVar("T")

_MOST: Final = 128
"""Kept at a time: who asks for more different things has them made anew."""


class Shared(Generic[T]):
    """What was asked for of late, none of it older than ``max_age`` seconds by ``clock``.

    Whoever asks while it is made waits for the same.
    """

    def __init__(self, max_age: float, clock: Callable[[], float]) -> None:
        self.max_age = max_age
        """May change at any time, for what is there too."""
        self._clock = clock
        self._made: dict[Hashable, tuple[float, asyncio.Task[T]]] = {}
        """When it was begun, and what comes of it; the oldest first."""

    def __len__(self) -> int:
        """How much is kept."""
        return len(self._made)

    async def get(self, asked: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``make`` gives, or gave to somebody else who had ``asked`` the same."""
        now = self._clock()
        begun_at, task = self._made.get(asked, (now, None))
        if task is None or now - begun_at >= self.max_age:
            self._forget(asked, now)
            task = asyncio.get_running_loop().create_task(make(), name="shared-answer")
            task.add_done_callback(_look)
            self._made[asked] = (now, task)
        # Shielded, as who asked may be gone before the others who wait.
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Something has changed: whoever asks now is to see it."""
        self._made.clear()

    def _forget(self, asked: Hashable, now: float) -> None:
        """What is too old, and the oldest if there is no room."""
        self._made.pop(asked, None)
        for other, (begun_at, _) in list(self._made.items()):
            if now - begun_at < self.max_age and len(self._made) < _MOST:
                break
            del self._made[other]


def _look(task: asyncio.Task[Any]) -> None:
    """Nobody may be left who asks what came of it."""
    if not task.cancelled():
        task.exception()


Writer = Callable[[], bytes]
"""Writes what is known by then, or raises ControlError; fit for any thread."""


class SharedAnswers:
    """Answers to whoever is in charge, written in a thread as the metrics are."""

    def __init__(self, max_age: float, clock: Callable[[], float]) -> None:
        self._answers: Shared[bytes | ControlError] = Shared(max_age, clock)

    async def get(self, asked: Hashable, make: Callable[[], Coroutine[Any, Any, BaseModel]]) -> bytes:
        """The answer as JSON. Raises ControlError as ``make`` does."""

        async def found() -> Writer:
            answer = await make()
            return lambda: answer.model_dump_json().encode()

        return await self.render(asked, found)

    async def render(self, asked: Hashable, make: Callable[[], Coroutine[Any, Any, Writer]]) -> bytes:
        """What the writer writes that ``make`` gives. Raises ControlError as both do."""
        answer = await self._answers.get(asked, lambda: _written(make))
        if isinstance(answer, ControlError):
            raise answer.again()
        return answer

    def forget(self) -> None:
        """Something has changed: whoever asks now is to see it."""
        self._answers.forget()


async def _written(make: Callable[[], Coroutine[Any, Any, Writer]]) -> bytes | ControlError:
    try:
        return await asyncio.to_thread(await make())
    except ControlError as error:
        return error
