"""One receiver of notifications: a queue, one connection, and patience."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rtmpd.engine.budget import MemoryBudget
from rtmpd.events.delivery import NotifyFailure, NotifyLoss, NotifyStats, NotifyStatus, NotTaken, judge
from rtmpd.events.formats import request_of
from rtmpd.events.model import Event
from rtmpd.events.outbox import Outbox, Waiting
from rtmpd.events.settings import TargetSettings
from rtmpd.exceptions import HttpFailed
from rtmpd.net.backoff import Backoff

if TYPE_CHECKING:
    from rtmpd.net.http_caller import HttpCaller

logger = logging.getLogger(__name__)

FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 60.0
"""Seconds, see ``Backoff``."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all targets share. ``clock()`` is monotonic, ``wall_clock()`` seconds since 1970."""

    budget: MemoryBudget
    server: str
    """See ``Delivery``."""
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    new_caller: Callable[[], HttpCaller]
    """Called in the running event loop; makes one with a connection of its own."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    dice: Callable[[], float] = random.random


class Target:
    """Sends what it is told, in order, one at a time; what fails is tried again, and nobody waits for it."""

    def __init__(self, name: str, settings: TargetSettings, around: Surroundings) -> None:
        self.name = name
        self.settings = settings
        self.stats = NotifyStats()
        self._around = around
        self._box = Outbox(around.budget, around.server, self._lose)
        self._backoff = Backoff(around.dice, initial=FIRST_RETRY, maximum=LAST_RETRY)
        self._changed = asyncio.Event()
        """There is something to send, or something to try otherwise."""
        self._closing = False
        self._resigned = False
        """It failed when the end came: nobody waits for more than one attempt."""
        self._over = False
        self._not_before = 0.0
        """Clock reading up to which the target has asked to be left alone."""
        self._failing_since: float | None = None
        self._lost_meanwhile = 0

    @property
    def status(self) -> NotifyStatus:
        """How it gets on now."""
        oldest = self._around.clock() - self._box.first.since if len(self._box) else 0.0
        stats = self.stats
        return NotifyStatus(self.name, stats.sent, stats.failures, stats.lost, len(self._box), oldest)

    def hear(self, event: Event) -> None:
        """Queue ``event``; costs no more than that."""
        was_empty = not len(self._box)
        self._box.put(event, self.settings.max_queued, self._around.clock())
        if was_empty:
            self._changed.set()

    def apply(self, settings: TargetSettings) -> None:
        """Other settings; what waits is sent by these, and tried at once."""
        if settings != self.settings:
            self.settings = settings
            self._not_before = 0.0
            self._backoff.reset()
            self._changed.set()

    def close(self) -> None:
        """Send what waits, with an attempt at once, and then end: if it has failed so far, with the first
        that fails again.
        """
        self._closing = True
        self._resigned = self._failing_since is not None
        self._backoff.reset()
        self._changed.set()

    async def run(self) -> None:
        """Send until ``close``, or until it is cancelled: what waits then is ``abandon``'s."""
        caller = self._around.new_caller()
        try:
            while not self._over and (len(self._box) or not self._closing):
                self._changed.clear()
                if len(self._box):
                    await self._send_first(caller)
                else:
                    await self._changed.wait()
        finally:
            await caller.close()

    def abandon(self, reason: NotifyLoss) -> None:
        """Give up all that waits."""
        while len(self._box):
            self._box.drop(reason)
        if self._lost_meanwhile:
            self._tell_lost()

    async def _send_first(self, caller: HttpCaller) -> None:
        waiting, settings = self._box.first, self.settings
        now = self._around.clock()
        if now - waiting.since > settings.keep:
            self._box.drop(NotifyLoss.EXPIRED)
            return
        if now < self._not_before:
            await self._pause(self._not_before - now)
            return
        failure = await self._attempt(caller, waiting, settings)
        if failure is None:
            self._box.pop()
            self.stats.sent += 1
            self._recovered()
            return
        self.stats.failures[failure.reason] += 1
        if failure.loss is not None:
            self._box.drop(failure.loss)
            self._tell_failure(failure, None)
            return
        now = self._around.clock()
        self._not_before = now + failure.retry_after
        delay = max(self._backoff.next_delay(), failure.retry_after)
        if self._failing_since is None:
            self._failing_since = now
            self._tell_failure(failure, delay)
        await self._pause(delay)

    async def _attempt(
        self, caller: HttpCaller, waiting: Waiting, settings: TargetSettings
    ) -> NotTaken | None:
        """Try once; why it failed, or None."""
        try:
            request = request_of(waiting.delivery, settings.address, self._around.wall_clock())
            answer = await caller.call(request, within=settings.timeout, ca_file=settings.ca_file)
            return judge(answer, self._around.wall_clock(), heeded=settings.address.format.heeds)
        except HttpFailed as error:
            return NotTaken(error.reason, str(error))
        except Exception:  # It costs this notification, and none of those behind it.
            logger.exception("notification cannot be made", extra={"fields": {"target": self.name}})
            return NotTaken(NotifyFailure.FAULT, "an error of the server's own", loss=NotifyLoss.FAULT)

    async def _pause(self, delay: float) -> None:
        """Wait for ``delay`` seconds, or until something is otherwise than it was at the last attempt."""
        if self._resigned:
            self._over = True
            return
        ways = [
            asyncio.ensure_future(self._around.sleep(delay)),
            asyncio.ensure_future(self._changed.wait()),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()

    # What is told of it

    def _lose(self, reason: NotifyLoss) -> None:
        self.stats.lost[reason] += 1
        self._lost_meanwhile += 1

    def _tell_failure(self, failure: NotTaken, delay: float | None) -> None:
        fields = {
            "target": self.name,
            "reason": str(failure.reason),
            "error": failure.text,
            "retry_in": None if delay is None else round(delay, 1),
        }
        logger.warning("notification failed", extra={"fields": fields})

    def _recovered(self) -> None:
        self._backoff.reset()
        if self._failing_since is not None:
            fields = {"target": self.name, "after": round(self._around.clock() - self._failing_since, 1)}
            logger.info("notifications arrive again", extra={"fields": fields})
            self._failing_since = None
        if self._lost_meanwhile:
            self._tell_lost()

    def _tell_lost(self) -> None:
        fields = {"target": self.name, "number": self._lost_meanwhile}
        logger.warning("notifications lost", extra={"fields": fields})
        self._lost_meanwhile = 0
