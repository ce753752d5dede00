"""What a backend has allowed, as long as it lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from rtmpd.access.backend import Backend
from rtmpd.engine.key import StreamKey
from rtmpd.hooks.model import Progress, Visit
from rtmpd.hooks.rules import Moment
from rtmpd.serving.access import Action, Figures

_logger = logging.getLogger(__name__)


class FollowedVisit:
    """Asks again while it goes on, and tells that it is over, as ``serving.access.Follower``."""

    def __init__(
        self,
        backend: Backend,
        visit: Visit,
        key: StreamKey,
        session: int,
        push: tuple[str, ...],
    ) -> None:
        """``visit`` is called in all that is told what it was called when it was asked."""
        self._backend = backend
        self._visit = visit
        self._key = key
        self._session = session
        self._push = push
        self._begun_at = backend.around.clock()
        self._figures: Callable[[], Figures] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self._over = False

    def began(self, figures: Callable[[], Figures], /) -> None:
        """It has come about: what is pushed is pushed from now on."""
        self._figures = figures
        self._begun_at = self._backend.around.clock()
        if self._visit.action == Action.PUBLISH:
            if self._push:
                self._backend.around.push(self._key, self, self._push)
            if self._backend.asks(Moment.FORWARD):
                self._start(self._forward(), "forward")
        if self._visit.action != Action.CONNECT:
            self._plan_update()

    def ended(self, figures: Figures, /) -> None:
        """It is over: say so, and ask no more."""
        self._over = True
        self._figures = None
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()
        if self._visit.action == Action.PUBLISH:
            self._backend.around.push(self._key, self, ())
        self._backend.tell_ended(self._visit, self._progress(figures))

    # Inside

    def _plan_update(self) -> None:
        """Asks whether it is to be asked each time: settings may change meanwhile."""
        interval = self._backend.rules.update_interval
        self._timer = asyncio.get_running_loop().call_later(interval, self._update)

    def _update(self) -> None:
        self._plan_update()
        if self._backend.asks(Moment.UPDATE) and (self._asking is None or self._asking.done()):
            self._start(self._ask_again(), "update")

    def _start(self, asking: Coroutine[Any, Any, None], what: str) -> None:
        self._asking = self._backend.asking.start(asking, name=f"hook-{what}-{self._visit.origin.connection}")

    async def _ask_again(self) -> None:
        if self._figures is None:
            return
        verdict = await self._backend.decide(Moment.UPDATE, self._visit, self._progress(self._figures()))
        if verdict is not None and not verdict.allow and not self._over:
            fields = {
                "backend": self._backend.table,
                "session": self._visit.origin.session_id,
                "action": self._visit.action,
            }
            _logger.info("backend took back what it allowed", extra={"fields": fields})
            self._backend.around.dismiss(self._session)

    async def _forward(self) -> None:
        verdict = await self._backend.decide(Moment.FORWARD, self._visit)
        if verdict is not None and verdict.push and not self._over:
            self._backend.around.push(self._key, self, (*self._push, *verdict.push))

    def _progress(self, figures: Figures) -> Progress:
        seconds = self._backend.around.clock() - self._begun_at
        return Progress(seconds, figures.timestamp, figures.bytes_in, figures.bytes_out)
