"""Answers that do not end: server-sent events, for as long as somebody reads them.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html, which browsers know.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from rtmpd.exceptions import NotPossible
from rtmpd.net.http import web
from rtmpd.net.visitors import Visit
from rtmpd.reasons import Problem, Word
from rtmpd.web.door import lift_deadline
from rtmpd.web.operations import Frames

MEDIA_TYPE: Final = "text/event-stream"
_HEARTBEAT: Final = 15.0
"""Seconds without anything to tell after which a comment is sent: proxies cut what is silent for longer."""
_PATIENCE: Final = 20.0
"""Seconds that something may take to be sent, behind the 64 KiB that wait beside the kernel's."""
_AGAIN: Final = 2000
"""Milliseconds after which browsers come again."""
_HEADERS: Final = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-store",
    # nginx gathers answers, and would tell of nothing before it has some KiB.
    "X-Accel-Buffering": "no",
}


class FollowEnd(Word):
    """Why somebody does not follow any more."""

    LEFT = "left", "whoever followed has left"
    SLOW = "slow", "it took too little for 20 seconds, or more than 1000 events waited for it"
    CROWDED = (
        "crowded",
        "all places were taken, by its token most of them, and somebody with fewer wanted one",
    )
    NOT_ALLOWED = "not_allowed", "it may not read any more what it was reading"
    CLOSED = "closed", "its address is closed, as the server ends or the settings have another"
    FAULT = "fault", "an error of the server's own: the log has its traceback"


@dataclass(slots=True)
class FollowStats:
    """How many follow, and what became of those who did."""

    followers: int = 0
    ended: Counter[Word] = field(default_factory=lambda: Counter(dict.fromkeys(FollowEnd, 0)))


def frame(data: bytes, *, place: str = "", name: str = "") -> bytes:
    """One event; ``data`` is JSON, in one line. Browsers call one without a name ``message``."""
    head = (f"id: {place}\n" if place else "") + (f"event: {name}\n" if name else "")
    return head.encode() + b"data: " + data + b"\n\n"


def beat(place: str = "") -> bytes:
    """Nothing but a sign of life, and where to go on."""
    return b": \n" + (f"id: {place}\n".encode() if place else b"") + b"\n"


class _Places:
    """Whose answers do not end: nobody keeps all others out."""

    def __init__(self) -> None:
        self._held: dict[str, dict[asyncio.Task[object], None]] = {}
        """By who asks, the oldest first."""
        self.cut: set[asyncio.Task[object]] = set()
        """Those that had to give their place to somebody."""

    def take(self, who: str, task: asyncio.Task[object]) -> None:
        self._held.setdefault(who, {})[task] = None

    def leave(self, who: str, task: asyncio.Task[object]) -> None:
        held = self._held.get(who, {})
        held.pop(task, None)
        self.cut.discard(task)
        if not held:
            self._held.pop(who, None)

    def make_room(self, who: str) -> bool:
        """Have the oldest go of whoever has most; False unless that are two more than ``who`` has."""
        most = max(self._held.values(), key=len, default={})
        if len(most) < len(self._held.get(who, ())) + 2:
            return False
        oldest = next(iter(most))
        del most[oldest]
        self.cut.add(oldest)
        oldest.cancel()
        return True


class EventStreams:
    """Everybody who follows something, at whatever address.

    Connections of theirs are not counted by ``door.make_room``, and have a bound of their own.
    """

    def __init__(self, heartbeat: float = _HEARTBEAT, patience: float = _PATIENCE) -> None:
        self.stats = FollowStats()
        self.max_followers = 32
        self._heartbeat = heartbeat
        self._patience = patience
        self._closing: dict[web.Application, asyncio.Event] = {}
        self._places = _Places()

    def watch(self, application: web.Application) -> None:
        """End what is followed there in order when it ends."""
        closing = self._closing[application] = asyncio.Event()

        async def close(application: web.Application) -> None:
            closing.set()
            del self._closing[application]

        application.on_shutdown.append(close)

    async def serve(
        self, request: web.Request, follow: Callable[[], Awaitable[Frames]], who: str = ""
    ) -> web.StreamResponse:
        """Send what ``follow`` gives until there is no more, which is for being slow, or nobody reads it.

        ``who`` has asked for it. Raises NotPossible when as many follow as may, and what ``follow`` raises.
        """
        if self.stats.followers >= self.max_followers and not self._places.make_room(who):
            text = f"events.max_followers are {self.max_followers}, and as many follow something already"
            raise NotPossible(Problem.TOO_MANY_FOLLOWERS, text)
        task = asyncio.current_task()
        if task is None:
            raise TypeError("this is for tasks")
        self.stats.followers += 1
        self._places.take(who, task)
        try:
            return await self._follow(request, follow, task)
        finally:
            self._places.leave(who, task)
            self.stats.followers -= 1

    async def _follow(
        self, request: web.Request, follow: Callable[[], Awaitable[Frames]], task: asyncio.Task[object]
    ) -> web.StreamResponse:
        frames = await follow()
        visit, end = request.protocol, FollowEnd.FAULT
        try:
            if isinstance(visit, Visit):
                visit.follow(task)
            lift_deadline(request)
            response = web.StreamResponse(headers=_HEADERS)
            response.force_close()
            await response.prepare(request)
            end = await self._send(request, response, frames)
            if end is FollowEnd.CLOSED:
                await response.write(frame(b'{"reason":"closed"}', name="end"))
        except asyncio.CancelledError:
            gone = request.transport is None or request.transport.is_closing()
            cut = FollowEnd.CROWDED if task in self._places.cut else FollowEnd.NOT_ALLOWED
            end = FollowEnd.LEFT if gone else cut
            raise
        except ConnectionError:
            end = FollowEnd.LEFT
            raise
        else:
            return response
        finally:
            if isinstance(visit, Visit):
                visit.follow(None)
            frames.close()
            self.stats.ended[end] += 1

    async def _send(self, request: web.Request, response: web.StreamResponse, frames: Frames) -> FollowEnd:
        closing = asyncio.ensure_future(self._closing[request.app].wait())
        coming = asyncio.ensure_future(_next(frames.events))
        data: bytes | None = f"retry: {_AGAIN}\n".encode() + frames.heartbeat()
        try:
            while data is not None:
                async with asyncio.timeout(self._patience):
                    await response.write(data)
                await asyncio.wait(
                    (coming, closing), timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if closing.done():
                    return FollowEnd.CLOSED
                if not coming.done():
                    data = frames.heartbeat()
                    continue
                data = coming.result()
                coming = asyncio.ensure_future(_next(frames.events))
        except TimeoutError:
            pass
        finally:
            closing.cancel()
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming
        return FollowEnd.SLOW


async def _next(frames: AsyncIterator[bytes]) -> bytes | None:
    return await anext(frames, None)
