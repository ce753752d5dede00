"""The figures of all streams once a second: made once for all who follow them, and not while nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Final

from rtmpd.control.actor import Actor, Role
from rtmpd.control.control import Server, Streams
from rtmpd.control.figures_answers import Figures
from rtmpd.control.stream_answers import StreamQuery
from rtmpd.control.times import on_wall

_INTERVAL: Final = 1.0
_MOST: Final = 1000
"""Streams in one of them."""


class LocalFigures:
    """``control.Figures`` of this process.

    Everybody who follows is told the newest there is: who is slow misses some, and holds up nobody.
    """

    def __init__(
        self,
        server: Server,
        streams: Streams,
        wall_clock: Callable[[], float],
        interval: float = _INTERVAL,
        looked_at: Callable[[], object] = lambda: None,
    ) -> None:
        """``wall_clock`` reads seconds since 1970; ``interval``: seconds between two of them.

        ``looked_at`` is called when somebody begins to follow.
        """
        self._server = server
        self._streams = streams
        self._wall_clock = wall_clock
        self._interval = interval
        self._looked_at = looked_at
        self._courses: dict[tuple[str, ...], _Course] = {}
        """By the streams that those see who follow."""

    def __len__(self) -> int:
        """How many different ones are made."""
        return len(self._courses)

    async def follow(self, by: Actor) -> AsyncGenerator[bytes, None]:
        self._looked_at()
        scope = by.streams
        course = self._courses.get(scope)
        if course is None:
            actor = Actor(role=Role.READ, streams=scope)
            course = self._courses[scope] = _Course(lambda: self._make(actor), self._interval)
        course.followers += 1
        try:
            if course.last is not None:
                yield course.last
            while True:
                # Shielded, as others wait for the same.
                yield await asyncio.shield(course.next)
        finally:
            course.followers -= 1
            if not course.followers:
                del self._courses[scope]
                course.task.cancel()

    async def _make(self, by: Actor) -> bytes:
        server = None if by.is_scoped else await self._server.info(by)
        page = await self._streams.list(StreamQuery(limit=_MOST), by)
        figures = Figures(
            at=on_wall(self._wall_clock()), server=server, streams=page.items, streams_total=page.total
        )
        return await asyncio.to_thread(lambda: figures.model_dump_json().encode())


class _Course:
    """One after the other, for those who see the same."""

    def __init__(self, make: Callable[[], Coroutine[object, object, bytes]], interval: float) -> None:
        loop = asyncio.get_running_loop()
        self.followers = 0
        self.last: bytes | None = None
        self.next: asyncio.Future[bytes] = loop.create_future()
        self.task = loop.create_task(self._run(make, interval), name="figures")
        self.task.add_done_callback(self._over)

    async def _run(self, make: Callable[[], Coroutine[object, object, bytes]], interval: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self.last = await make()
            made, self.next = self.next, loop.create_future()
            made.set_result(self.last)
            await asyncio.sleep(max(began + interval - loop.time(), 0.0))

    def _over(self, task: asyncio.Task[None]) -> None:
        """Tell those who follow what it failed with."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.next.set_exception(error)
            self.next.exception()  # It may be that all have just left.
