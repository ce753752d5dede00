"""A few threads for what blocks: reading files that may lie on a slow or a lost drive."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from rtmpd.exceptions import RtmpdError

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class Workers:
    """Runs jobs in up to ``most`` threads, in the order in which they come; they hold up no exit.

    Threads are started when they are needed and stay. Who submits jobs bounds how many wait. Belongs to one
    event loop.
    """

    def __init__(self, name: str, most: int) -> None:
        """``name`` is that of the threads, with a number behind it."""
        self._name = name
        self._most = most
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = 0
        self._open = 0
        """Jobs that wait or run."""
        self._closed = False

    def submit(self, job: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Have ``job`` run, and ``done`` called in the event loop with what it returned or raised.

        A job that nobody will run any more, because all of this is closed, has no such end. One for which
        there is no thread to be had has an OSError.
        """
        loop = asyncio.get_running_loop()
        if self._threads < min(self._open + 1, self._most):
            self._begin_another()
        self._open += 1
        if not self._threads:
            error = OSError(errno.EAGAIN, "the process may have no more threads")
            loop.call_soon(self._settle, done, error)
            return

        def run() -> None:
            outcome = _outcome(job)
            with contextlib.suppress(RuntimeError):  # The event loop has ended meanwhile.
                loop.call_soon_threadsafe(self._settle, done, outcome)

        self._jobs.put(run)

    async def run(self, job: Callable[[], T], abandon: Callable[[T], None] | None = None) -> T:
        """What ``job`` returns or raises. Who awaits no more has ``abandon`` called with it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def done(outcome: T | Exception) -> None:
            if future.cancelled():
                if abandon is not None and not isinstance(outcome, Exception):
                    abandon(outcome)
            elif isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(job, done)
        return await future

    def close(self) -> None:
        """The threads end with what they are at."""
        if not self._closed:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _begin_another(self) -> None:
        name = f"{self._name}-{self._threads + 1}"
        # The process may have no more: those that there are do it.
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=self._run, name=name, daemon=True).start()
            self._threads += 1

    def _settle(self, done: Callable[[T | Exception], None], outcome: T | Exception) -> None:
        self._open -= 1
        done(outcome)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _outcome(job: Callable[[], T]) -> T | Exception:
    try:
        return job()
    except (OSError, RtmpdError) as error:
        return error
    except Exception as error:
        _logger.exception("a job of a thread failed")
        return error
