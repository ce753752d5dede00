"""Tasks that belong to something and end with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")
logger = logging.getLogger(__name__)


@contextmanager
def awaiting_others() -> Iterator[None]:
    """What is awaited within may be cancelled without us: for who waits for it that is a failure, and no end.

    Of a question that several share, the one who asked first may leave. Raises ConnectionAbortedError then.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionAbortedError("what was waited for was cancelled") from error


class TaskSet:
    """Starts tasks, keeps them from being collected, and cancels what is left at the end.

    An exception that leaves a task is our own bug: it is logged with its traceback.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, coroutine: Coroutine[object, object, T], *, name: str) -> asyncio.Task[T]:
        """Run ``coroutine`` beside the caller."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def cancel(self) -> None:
        """Cancel every task that still runs."""
        for task in self._tasks:
            task.cancel()

    async def drain(self, grace: float) -> None:
        """Wait until all have ended by themselves, those too that they start, ``grace`` seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._tasks:
                    await asyncio.wait(self._tasks)

    async def wait_closed(self) -> None:
        """Cancel every task and wait until all have ended."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task failed", exc_info=error, extra={"fields": {"task": task.get_name()}})
