"""What blocks whoever finds it out: a thread for each question, shared by all who ask it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Inquiries(Generic[T]):
    """Asks in threads that end with their answer and hold up no exit of the process.

    May be used by several event loops. Nothing is remembered: who asks later has it found out anew.
    """

    def __init__(
        self,
        find: Callable[[str], T],
        failures: tuple[type[Exception], ...],
        thread_name: str,
        *,
        most: int | None = None,
    ) -> None:
        """``find(question)`` is called in a thread, whose name is ``thread_name`` with the question in place
        of ``{}``; what it raises of ``failures`` is an answer, anything else a bug. ``most``: questions at
        once; more are refused, as each is a thread.
        """
        self._find = find
        self._failures = failures
        self._thread_name = thread_name
        self._most = most
        self._lock = threading.Lock()
        self._waiting: dict[str, set[asyncio.Future[T | Exception]]] = {}

    async def ask(self, question: str) -> T | Exception:
        """What ``find`` returns or raises; RuntimeError where there is no thread for it, or that has failed.

        Raises OverflowError if too many others are under way.
        """
        answer: asyncio.Future[T | Exception] = asyncio.get_running_loop().create_future()
        with self._lock:
            is_under_way = question in self._waiting
            if not is_under_way and self._most is not None and len(self._waiting) >= self._most:
                raise OverflowError
            self._waiting.setdefault(question, set()).add(answer)
        if not is_under_way:
            name = self._thread_name.format(question)
            try:
                threading.Thread(target=self._run, args=(question,), name=name, daemon=True).start()
            except RuntimeError as error:  # The process may have no more threads.
                self._tell(question, error)
        try:
            return await answer
        finally:
            with self._lock:
                self._waiting.get(question, set()).discard(answer)

    def _run(self, question: str) -> None:
        answer: T | Exception = RuntimeError("an error of the server's own")
        try:
            answer = self._find(question)
        except self._failures as error:
            answer = error
        finally:
            self._tell(question, answer)

    def _tell(self, question: str, answer: T | Exception) -> None:
        with self._lock:
            waiting = self._waiting.pop(question)
        for future in waiting:
            with contextlib.suppress(RuntimeError):  # Its event loop has ended meanwhile.
                future.get_loop().call_soon_threadsafe(_settle, future, answer)


def _settle(future: asyncio.Future[T], answer: T) -> None:
    if not future.done():
        future.set_result(answer)
