"""This server as one of two processes, of which one takes over from the other."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.admin_side import AdminSide
from rtmpd.daemon.belongings import Belongings
from rtmpd.daemon.config import Config
from rtmpd.daemon.doors import Doors, Entrances, Given
from rtmpd.daemon.ending import EX_CUT, STOP_MARGIN, Ending, first_of
from rtmpd.daemon.notify import Notifier
from rtmpd.daemon.predecessor import Legacy
from rtmpd.daemon.relay_side import RelaySide
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import ConfigError, HandoverFailed
from rtmpd.serving.server import RtmpServer

if TYPE_CHECKING:
    from rtmpd.daemon.handover import Arrival, Departure, Meeting
    from rtmpd.daemon.neighbour import Answer, Handler, Neighbour
    from rtmpd.net.messages import Message

logger = logging.getLogger(__name__)

_STREAMS: Final = ("rtmp", "rtmps", "http", "https")
"""Listeners of those who publish and play."""
_LOOK: Final = 2.0
"""Seconds from one look at how much longer the process before takes to the next."""


class HandoverSide:
    """Has another process take over, or takes over from one; what each has is at the hands of the other.

    What makes up a hand-over is imported when there is one: most servers see none.
    """

    def __init__(
        self,
        server: RtmpServer,
        registry: Registry,
        access: AccessSide,
        relays: RelaySide,
        ending: Ending,
        notifier: Notifier,
        doors: Doors,
        changing: asyncio.Lock,
        config: Callable[[], Config],
        entrances: Callable[[bool], Entrances],
        admin: AdminSide,
    ) -> None:
        self._server = server
        self._registry = registry
        self._belongings = Belongings(access.guard, relays.pushes, relays.pulls, access.runtime_keys)
        self._relays = relays
        self._ending = ending
        self._notifier = notifier
        self._doors = doors
        self._changing = changing
        self._config = config
        self._entrances = entrances
        self._clock = relays.clock
        self._alone_by = 0.0
        """Clock reading at which the one before is to have ended."""
        self._predecessor = admin.predecessor
        self._legacy = Legacy(registry, lambda: ending.draining, admin.questions, relays.clock)
        self.serving_since = time.time()
        """When the first process started of those that took over from each other up to this one, in seconds
        since 1970."""
        self._departure: Departure | None = None
        self._arrival: Arrival | None = None
        self._meeting: Meeting | None = None
        self._asked: asyncio.Task[None] | None = None
        self._before: tuple[int, str] | None = None
        """Process and version that this one took over from, while that is there."""
        self._cut_before = False
        """That one has cut off somebody at its end."""

    # To be taken over from

    def open(self) -> None:
        """Be found by a process that wants to take over. Raises ConfigError."""
        folder = runtime_folder(self._config().shutdown.runtime_dir, os.environ)
        if folder:
            from rtmpd.daemon.handover import Meeting

            self._meeting = Meeting(folder, self._met)
            self._meeting.open()

    def close(self) -> None:
        """This process ends."""
        if self._meeting is not None:
            self._meeting.close()
        if self._departure is not None:
            self._departure.abandon("the one before has been told to end")

    def ask(self) -> None:
        """A signal asks for another process."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().create_task(self._replace_quietly(), name="replace")

    async def replace(self) -> tuple[int, str]:
        """Start another process and have it take over; its number and version. Raises HandoverFailed."""
        from rtmpd.daemon.handover import start_successor

        if (obstacle := self.obstacle) is not None:
            raise HandoverFailed(obstacle)
        logger.info("starting another process")
        departure = self._part(await start_successor(sys.orig_argv[1:]))
        return await asyncio.shield(departure.outcome)

    async def _replace_quietly(self) -> None:
        with suppress(HandoverFailed):  # Which has been told.
            await self.replace()

    def _met(self, sock: socket.socket) -> None:
        self._part(sock)

    def _part(self, sock: socket.socket) -> Departure:
        from rtmpd.daemon.handover import Departure

        if self._departure is not None and self._departure.going_on:
            self._departure.abandon("still another one has come")
        self._departure = Departure(sock, self, self._changing)
        return self._departure

    # The server, for the departure

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be handed over now."""
        if self._ending.draining is not None:
            return "this process ends already"
        if os.getpid() == 1:
            return "this is the first process of a container, which ends with it: start another container"
        if self._before is not None:
            pid = self._before[0]
            return f"process {pid} before this one still serves who stayed there: kill {pid} ends it in order"
        return None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        from rtmpd.daemon.borrowing import Lending

        lent = Lending(self._server, self._registry).handlers
        return {**lent, **self._legacy.handlers, "end": self._end, "ended": self._ended}

    def copies(self) -> tuple[Given, Sequence[socket.socket]]:
        return self._doors.copies(), [each.duplicate() for each in self._doors.inherited]

    def stop_accepting(self) -> None:
        if self._meeting is not None:
            self._meeting.close()
        self._doors.leave(_STREAMS)
        for listener in self._doors.inherited:
            self._server.stop_listening(listener)
        self._doors.inherited = []

    async def resume_accepting(self, given: Given, inherited: Sequence[socket.socket]) -> None:
        self._doors.give({place: each for place, each in given.items() if place[0] in _STREAMS})
        self._doors.inherited = [await self._server.listen(sock, inherited=True) for sock in inherited]
        async with self._changing:
            await self._doors.open(self._entrances(bool(self._doors.inherited)))
        self.open()

    def belongings(self) -> Message:
        return self._belongings.handed(self._relays.clock())

    def handed_over(self, neighbour: Neighbour, pid: int) -> None:
        self._notifier.main_process(pid)
        self._doors.leave()
        wait = self._config().shutdown.wait_after_handover
        logger.info("handed over", extra={"fields": {"pid": pid, "up_to": wait}})
        self._relays.meet(neighbour, leaving=True)
        self._ending.move(wait)

    def neighbour_gone(self) -> None:
        draining = self._ending.draining
        leaving = draining is not None
        if draining is not None and self._before is None:
            fields = {"publishers": draining.publishers, "players": draining.players}
            logger.warning("the process that has taken over is gone", extra={"fields": fields})
        self._before = None
        self._predecessor.part()
        self._relays.meet(None, leaving=leaving)

    # To take over

    async def take_over(self, sock: socket.socket) -> list[socket.socket]:
        """Get everything ready that another process has until now; inherited sockets. Raises ConfigError."""
        from rtmpd.daemon.handover import Arrival

        arrival = self._arrival = Arrival(sock, {**self.handlers}, self._left_alone)
        try:
            handed = await arrival.hello()
            self._doors.give(handed.doors)
            self._doors.prepare(self._entrances(bool(handed.inherited)))
            belonging = await arrival.ready()
        except HandoverFailed as error:
            raise ConfigError([f"nothing is taken over: {error}"]) from None
        except ConfigError as error:
            await arrival.failed(error.problems)
            raise
        self._before = handed.pid, handed.version
        self.serving_since = handed.serving_since or self.serving_since
        self._belongings.take(belonging, self._relays.clock())
        return handed.inherited

    async def taken_over(self) -> None:
        """Everybody is let in here. Raises ConfigError."""
        if self._arrival is None or self._before is None:
            return
        try:
            await self._arrival.serving()
        except HandoverFailed as error:
            raise ConfigError([f"nothing is taken over: {error}"]) from None
        self._doors.discard()
        pid, version = self._before
        logger.info("taken over", extra={"fields": {"pid": pid, "version": version}})
        self._relays.meet(self._arrival.neighbour, leaving=False)
        self._predecessor.meet(self._arrival.neighbour, pid, version)

    def give_up(self) -> None:
        """The start has failed: the one before has the sockets, and their files."""
        if self._arrival is not None:
            self._doors.leave()
            self._doors.discard()
            self._arrival.neighbour.close()

    async def end_before(self) -> None:
        """This process ends, so the one before is to, within the same time."""
        if self._before is None or self._arrival is None:
            return
        now, draining, shutdown = self._clock(), self._ending.draining, self._config().shutdown
        wait = shutdown.wait_for_publishers if draining is None else max(draining.until - now, 0.0)
        self._alone_by = now + wait + shutdown.drain_timeout + STOP_MARGIN
        with suppress(HandoverFailed):
            await self._arrival.neighbour.ask("end", wait=wait)

    async def end_last(self, code: int) -> int:
        """Have the one before end before this one, whose exit code was to be ``code``; what it is to be.

        With this one, the service manager ends everything.
        """
        if self._departure is not None:
            await self._departure.say_ended(cut=code != 0)
        if self._before is None or self._arrival is None:
            return code
        neighbour, insisted = self._arrival.neighbour, self._ending.signals.insisted
        pid, told = self._before[0], False
        while not (neighbour.gone.is_set() or insisted.is_set()):
            within = max(self._alone_at() - self._clock(), 0.0)
            self._notifier.stopping(f"waiting for process {pid} before this one", within=within)
            if not told:
                told = True
                fields = {"pid": pid, "up_to": round(within, 3)}
                logger.info("waiting for the process before", extra={"fields": fields})
            if not within:
                break
            await first_of(min(within, _LOOK), neighbour.gone, insisted)
        if not neighbour.gone.is_set():
            with suppress(HandoverFailed):
                await neighbour.ask("end", wait=0.0, at_once=True)
            await first_of(STOP_MARGIN, neighbour.gone)
        neighbour.close()
        self._predecessor.part()
        return code or (EX_CUT if self._cut_before else 0)

    def _alone_at(self) -> float:
        """Clock reading at which the one before is to have ended; somebody may have given it more time."""
        carried, shutdown = self._predecessor.carried, self._config().shutdown
        if carried is None or carried.until is None:
            return self._alone_by
        return max(self._alone_by, carried.until + shutdown.drain_timeout + STOP_MARGIN)

    async def _end(self, message: Message, _files: list[socket.socket]) -> Answer:
        if self._ending.draining is None:
            raise HandoverFailed("this process has not been taken over from")
        wait = message.get("wait")
        if isinstance(wait, int | float):
            self._ending.ask(float(wait), None, None)
        else:
            self._ending.signals.stop.set()
        if message.get("at_once") is True:
            self._ending.signals.insisted.set()
        return {}, ()

    async def _ended(self, message: Message, _files: list[socket.socket]) -> Answer:
        """The one before has, and says whether somebody was cut off."""
        self._cut_before = message.get("cut") is True
        return {}, ()

    def _left_alone(self) -> None:
        logger.info("the process before has ended")
        self.neighbour_gone()


def runtime_folder(setting: str, environment: Mapping[str, str]) -> str:
    """Where the socket is by which another process may take over; empty if nowhere."""
    return setting or environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
