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
from rtmpd.reasons import Problem, Word
from rtmpd.web.door import lift_deadline
from rtmpd.web.operations import Frames
from rtmpd.web.visitors import Visit

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

    def watch(self, application: web.Application) -> None:
        """End what is followed there in order when it ends."""
        closing = self._closing[application] = asyncio.Event()

        async def close(application: web.Application) -> None:
            closing.set()
            del self._closing[application]

        application.on_shutdown.append(close)

    async def serve(
        self, request: web.Request, follow: Callable[[], Awaitable[Frames]]
    ) -> web.StreamResponse:
        """Send what ``follow`` gives until there is no more, which is for being slow, or nobody reads it.

        Raises NotPossible when as many follow as may, and what ``follow`` raises.
        """
        if self.stats.followers >= self.max_followers:
            text = f"events.max_followers are {self.max_followers}, and as many follow something already"
            raise NotPossible(Problem.TOO_MANY_FOLLOWERS, text)
        self.stats.followers += 1
        try:
            frames = await follow()
        except BaseException:
            self.stats.followers -= 1
            raise
        visit, end = request.protocol, FollowEnd.FAULT
        try:
            if isinstance(visit, Visit):
                visit.follow(asyncio.current_task())
            lift_deadline(request)
            response = web.StreamResponse(headers=_HEADERS)
            response.force_close()
            await response.prepare(request)
            end = await self._send(request, response, frames)
            if end is FollowEnd.CLOSED:
                await response.write(frame(b'{"reason":"closed"}', name="end"))
        except asyncio.CancelledError:
            gone = request.transport is None or request.transport.is_closing()
            end = FollowEnd.LEFT if gone else FollowEnd.NOT_ALLOWED
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
            self.stats.followers -= 1
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
