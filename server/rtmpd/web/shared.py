"""Answers that everybody is given who asks the same within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final

from pydantic import BaseModel

from rtmpd.exceptions import ControlError

_MAX_ANSWERS: Final = 128
"""Kept at a time: who asks for more different things has them made anew."""


class SharedAnswers:
    """What was asked for of late, written once for all who ask, none older than ``max_age`` seconds.

    Whoever asks meanwhile waits for the same one. Writing is done in a thread, as of the metrics.
    """

    def __init__(self, max_age: float, clock: Callable[[], float]) -> None:
        self._max_age = max_age
        self._clock = clock
        self._answers: dict[Hashable, tuple[float, asyncio.Task[bytes | ControlError]]] = {}
        """When it was begun, and what comes of it; the oldest first."""

    async def get(self, asked: Hashable, make: Callable[[], Coroutine[Any, Any, BaseModel]]) -> bytes:
        """The answer as JSON. Raises ControlError as ``make`` does."""
        now = self._clock()
        made_at, task = self._answers.get(asked, (-self._max_age, None))
        if task is None or now - made_at >= self._max_age:
            self._forget(asked, now)
            task = asyncio.get_running_loop().create_task(_written(make), name="api-answer")
            task.add_done_callback(_look)
            self._answers[asked] = (now, task)
        # Shielded, as who asked may be gone before the others who wait.
        answer = await asyncio.shield(task)
        if isinstance(answer, ControlError):
            raise answer.again()
        return answer

    def forget(self) -> None:
        """Something has changed: whoever asks now is to see it."""
        self._answers.clear()

    def _forget(self, asked: Hashable, now: float) -> None:
        """What is too old, and the oldest if there is no room."""
        self._answers.pop(asked, None)
        for other, (made_at, _) in list(self._answers.items()):
            if now - made_at < self._max_age and len(self._answers) < _MAX_ANSWERS:
                break
            del self._answers[other]


async def _written(make: Callable[[], Coroutine[Any, Any, BaseModel]]) -> bytes | ControlError:
    try:
        answer = await make()
    except ControlError as error:
        return error
    return await asyncio.to_thread(lambda: answer.model_dump_json().encode())


def _look(task: asyncio.Task[bytes | ControlError]) -> None:
    """Nobody may be left who asks what came of it."""
    if not task.cancelled():
        task.exception()
