"""The end of a server: who is asked to leave, whom it waits for, and how it went."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from rtmpd.daemon.events_side import EventsSide
from rtmpd.daemon.hook_side import HookSide
from rtmpd.daemon.notify import Notifier
from rtmpd.daemon.outputs_side import OutputsSide
from rtmpd.daemon.programs import Programs
from rtmpd.daemon.relay_side import RelaySide
from rtmpd.daemon.shutdown_config import ShutdownConfig
from rtmpd.daemon.signals import Signals
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import UsageError
from rtmpd.processes.rules import LAST_LOOK
from rtmpd.rtmp.url import check_server
from rtmpd.serving.guest import Guest
from rtmpd.serving.server import RtmpServer

logger = logging.getLogger(__name__)

EX_CUT: Final = os.EX_TEMPFAIL
"""Exit code of an end that somebody was cut off at."""
_PATIENCE: Final = 1.0
"""Seconds of an orderly end after which somebody may wonder what is waited for."""
ADMIN_PATIENCE: Final = 5.0
"""Seconds until requests of the admin port that do not end are left to the end of the process."""
_LAST_WORDS: Final = 1.0
"""Seconds that notifications have at least to go out, if anything has time to end in order."""
_LAST_WRITES: Final = 1.0
"""Seconds that files have at least to be finished."""
STOP_MARGIN: Final = LAST_LOOK + _LAST_WRITES + _LAST_WORDS + LAST_LOOK + ADMIN_PATIENCE + 1.0
"""Seconds that the end takes at most beyond ``shutdown.drain_timeout``: for processes that were killed, for
files, for notifications, for hooks that were killed, for the admin port, and for what is closed in between.
"""
_WHY: Final = "The server is about to end: connect anew."
_TICK: Final = 0.5
"""Seconds between looks at who is still there."""
_TELL: Final = 30.0
"""Seconds from one line about whom is waited for to the next."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How an end is to go. Times in seconds."""

    wait: float
    """For publishers, and who plays what they send."""
    grace: float
    """For everybody else, and then for who is told that it is over."""
    server: str
    """Where clients are asked to go; empty is the address that they know."""
    moving: bool = False
    """Another process of this server takes over: players wait for encoders that go there."""

    @classmethod
    def of(cls, settings: ShutdownConfig) -> Terms:
        return cls(settings.wait_for_publishers, settings.drain_timeout, settings.reconnect_to)


@dataclass(frozen=True, slots=True)
class Parts:
    """What ends, one after the other."""

    server: RtmpServer
    registry: Registry
    relays: RelaySide
    programs: Programs
    outputs: OutputsSide
    hooks: HookSide
    events: EventsSide
    clock: Callable[[], float]

    def awaited(self) -> dict[str, int]:
        """Whom the end has to wait for."""
        open_now = self.registry.stats.connections
        return {
            "publishers": open_now.get("publishing", 0),
            "players": open_now.get("playing", 0),
            "others": open_now.get("pending", 0),
            "pushes": self.relays.pushes.running,
            "notifications": sum(status.queued for status in self.events.statuses()),
            "processes": self.programs.running,
        }

    def goes_on(self, connection: Guest) -> bool:
        """Whether it publishes, or plays what somebody publishes or is awaited to."""
        streams = self.registry.streams
        for use in connection.uses:
            stream = streams.get(use.key)
            if use.publishes or (stream is not None and (stream.holder or stream.lost) is not None):
                return True
        return False

    def end_holds(self) -> None:
        """Who is kept for an encoder that was lost is told so: it cannot come back here."""
        for key in list(self.registry.streams):
            self.registry.end_hold(key)

    async def end(self, grace: float) -> int:
        """In order within ``grace`` seconds, then at once; how many connections were cut off.

        A second call beside the first shortens it.
        """
        started = self.clock()
        cut, *_ = await asyncio.gather(
            self.server.close(grace), self.relays.pulls.close(), self.programs.close_processes(grace)
        )
        # Every publisher is gone, so what is left of the pushes is what is not sent yet.
        left = max(grace - (self.clock() - started), 0.0)
        # Files are to be complete, whoever had to be cut off.
        last = max(left, _LAST_WRITES)
        await asyncio.gather(self.relays.pushes.close(left), self.outputs.close(last))
        # Nothing happens any more, and all files are whole: what is left is to be told.
        left = max(grace - (self.clock() - started), min(grace, _LAST_WORDS))
        closing = self.hooks.close(left), self.events.close(left), self.programs.close_hooks(left)
        await asyncio.gather(*closing)
        return cut


@dataclass(frozen=True, slots=True)
class Draining:
    """An end that is under way. Clock readings."""

    since: float
    until: float
    """When who is waited for now is told that it is over, at the latest."""
    publishers: int
    """Connections that publish, or have."""
    players: int


class Ending:
    """Ends a server in order, when a signal asks for it or somebody who is in charge.

    ``settings()`` are those in force.
    """

    def __init__(self, parts: Parts, notifier: Notifier, settings: Callable[[], ShutdownConfig]) -> None:
        self.signals = Signals()
        self._parts = parts
        self._notifier = notifier
        self._clock = parts.clock
        self._settings = settings
        self._terms: Terms | None = None
        """As somebody in charge wants them."""
        self._asked = asyncio.Event()
        self._since = self._until = 0.0
        self._begun = self._waiting = False
        self._signalled = False
        """The signal that has come is part of ``_until``."""
        self._cut = 0
        """Connections that were not ended in order, and publishers that were waited for in vain."""
        self._tell_at = 0.0

    @property
    def draining(self) -> Draining | None:
        """Whom it waits for now; None while the server does not end."""
        return self._draining() if self._begun else None

    @property
    def reason(self) -> str | None:
        """Why nobody new should be sent here; None while the server does not end."""
        if not self._begun:
            return None
        return self._waited_for() if self._waiting else "shutting down"

    def ask(self, wait: float | None, grace: float | None, server: str | None) -> Draining:
        """End the server, by the settings where something is None.

        Asked again, it waits for ``wait`` seconds from now on, if it waits still. Raises UsageError.
        """
        terms = Terms.of(self._settings())
        try:
            terms = Terms(
                terms.wait if wait is None else wait,
                terms.grace if grace is None else grace,
                terms.server if server is None else check_server(server),
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        now = self._clock()
        if self._begun:
            self._until = now + terms.wait
        else:
            self._terms, self._begun = terms, True
            self._since, self._until = now, now + terms.wait
        self._asked.set()
        return self._draining()

    def move(self, wait: float) -> None:
        """Another process takes over: end once nobody is left who plays or publishes here, or in time."""
        now = self._clock()
        self._terms = replace(Terms.of(self._settings()), wait=wait, server="", moving=True)
        self._begun = True
        self._since, self._until = now, now + wait
        self._asked.set()

    async def wanted(self) -> None:
        """Wait until somebody wants the end."""
        await first_of(None, self.signals.stop, self._asked)

    async def run(self) -> int:
        """End everything; the exit code."""
        terms = self._terms or Terms.of(self._settings())
        now = self._clock()
        if not self._begun:
            self._begun = True
            self._since, self._until = now, now + terms.wait
            self._signalled = self.signals.stop.is_set()
            if self._signalled:
                self._parts.events.ended_by_signal()
        self._notify("ending connections", terms.grace)
        logger.info("stopping", extra={"fields": self._parts.awaited()})
        server = self._parts.server
        server.stop_accepting()
        asked = server.request_reconnect(terms.server, _WHY)
        if asked:
            fields = {"connections": asked, "server": terms.server or None}
            logger.info("asked to reconnect", extra={"fields": fields})
        await self._wait_for_publishers(terms)
        await self._end(terms.grace)
        logger.info("stopped", extra={"fields": {"duration": round(self._clock() - self._since, 3)}})
        return EX_CUT if self._cut else 0

    # Inside

    def _draining(self) -> Draining:
        awaited = self._parts.awaited()
        return Draining(self._since, self._until, awaited["publishers"], awaited["players"])

    async def _wait_for_publishers(self, terms: Terms) -> None:
        parts, signals = self._parts, self.signals
        self._waiting = True
        while self._clock() < self._until and not signals.insisted.is_set():
            if not terms.moving:
                parts.end_holds()
            if self._clock() >= self._since + terms.grace:
                parts.server.end_all_but(parts.goes_on, terms.grace)
            if not parts.server.open_connections:
                break
            self._tell(terms.grace)
            await first_of(_TICK, signals.insisted)
            if signals.stop.is_set() and not self._signalled:
                self._signalled = True
                self._until = min(self._until, self._clock() + self._settings().wait_for_publishers)
        else:
            if self._until > self._since:
                self._cut = parts.awaited()["publishers"]
        self._waiting = False

    async def _end(self, grace: float) -> None:
        insisted = self.signals.insisted
        ending = asyncio.ensure_future(self._parts.end(grace))
        impatience = asyncio.ensure_future(insisted.wait())
        either = (ending, impatience)
        await asyncio.wait(either, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done() and not insisted.is_set():
            fields = self._parts.awaited() | {"up_to": round(max(grace - _PATIENCE, 0.0), 3)}
            logger.info("waiting; once more ends at once", extra={"fields": fields})
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            self._cut += await self._parts.end(0.0)
        impatience.cancel()
        self._cut += await ending

    def _tell(self, grace: float) -> None:
        now = self._clock()
        if now < self._tell_at:
            return
        self._tell_at = now + _TELL
        fields = self._parts.awaited() | {"up_to": round(max(self._until - now, 0.0), 3)}
        logger.info("draining; once more ends at once", extra={"fields": fields})
        self._notify(self._waited_for(), grace)

    def _notify(self, status: str, grace: float) -> None:
        left = max(self._until - self._clock(), 0.0)
        self._notifier.stopping(status, within=left + grace + STOP_MARGIN)

    def _waited_for(self) -> str:
        awaited = self._parts.awaited()
        left = round(max(self._until - self._clock(), 0.0))
        return (
            f"draining for up to {left} s: publishers {awaited['publishers']}, players {awaited['players']}"
        )


async def first_of(seconds: float | None, *events: asyncio.Event) -> None:
    """Wait for one of ``events``, so many seconds at most."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
