"""One process of one stream: started when it is due, and again when it ends, until the stream is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.net.backoff import Backoff
from rtmpd.processes.child import Child
from rtmpd.processes.command import environment
from rtmpd.processes.output import Output
from rtmpd.processes.rules import Restart, RunRule, Start
from rtmpd.processes.words import ProcessCounts, ProcessEnd, ProcessState, ProcessStatus, explain_start
from rtmpd.rtmp.scrubbing import Scrubber

logger = logging.getLogger(__name__)

_TICK: Final = 0.25
"""Seconds between looks at what nobody tells: who watches, and for how long nobody has."""
_SELDOM: Final = 5.0
"""Seconds between looks where every change is told."""
_PARTING: Final = 1.0
"""Seconds to end by itself when its stream has: players are told so, and it may have files to finish."""
_STEADY: Final = 10.0
"""Seconds after which an end is no reason to wait any longer than after the first one."""
_GOOD_ENDS: Final = frozenset({ProcessEnd.FINISHED, ProcessEnd.STOPPED})


@dataclass(frozen=True, slots=True)
class Life:
    """What a process is given from its start to its end."""

    values: Mapping[str, str]
    """What placeholders stand for, and in capitals the ``RTMPD_`` variables."""
    token: str


class House(Protocol):
    """What a run asks of whoever has all of them."""

    clock: Callable[[], float]
    counts: ProcessCounts
    inherited: Mapping[str, str]
    """Our own environment."""

    @property
    def lines_per_minute(self) -> int: ...

    def due(self, run: Run) -> bool:
        """Whether its process is to run now, if there is room for it."""
        ...

    def over(self, run: Run) -> bool:
        """Whether it never will be, unless the stream begins anew."""
        ...

    def full(self, run: Run) -> str:
        """The limit that leaves no room for its process, until it is woken; empty if none does."""
        ...

    def step_out(self, run: Run) -> None:
        """It needs no room now."""
        ...

    def life(self, run: Run) -> AbstractContextManager[Life]:
        """What its process is given: a place, and a token that is good within. Raises UsageError."""
        ...

    def forget(self, run: Run) -> None:
        """It has ended."""
        ...


class Run:
    """Nothing that its process does holds up the stream, its players or another process."""

    def __init__(self, house: House, key: StreamKey, name: str, rule: RunRule) -> None:
        """Raises UsageError when the process cannot publish what the rule says."""
        self.key = key
        self.name = name
        self.rule = rule
        self.published = rule.published(key, name)
        """Streams that the process may publish."""
        self.child: Child | None = None
        self.alive = False
        """There is a process, or will be in a moment: within ``House.life``."""
        self.watched_until = -1.0
        """Clock reading up to which somebody counts as watching."""
        self._house = house
        self._state = ProcessState.WAITING
        self._starts = 0
        self._backoff = Backoff(random.random)
        self._changed = asyncio.Event()
        self.removed = False
        """Asked to end, and not to come back."""
        self._patience: float | None = None

    @property
    def status(self) -> ProcessStatus:
        """How it gets on now."""
        pid = None if self.child is None else self.child.pid
        return ProcessStatus(self.key, self.name, self._state, pid, self._starts)

    def wake(self) -> None:
        """Something has changed: look again."""
        self._changed.set()

    def follow(self, rule: RunRule) -> None:
        """Go on by another rule. Raises UsageError as the constructor does, and nothing has changed then."""
        if rule != self.rule:
            self.published = rule.published(self.key, self.name)
            self.rule = rule
            self._backoff.reset()
            self._changed.set()

    def remove(self, patience: float | None = None) -> None:
        """End, and do not come back. Called again with less ``patience`` (seconds) it ends sooner."""
        self.removed = True
        self._patience = patience
        self._changed.set()
        if patience == 0.0 and self.child is not None:
            self.child.kill()

    async def run(self) -> None:
        """Until the stream is over, or it is removed."""
        try:
            while not self._over():
                self._changed.clear()
                if not self._house.due(self):
                    self._house.step_out(self)
                    self._state = ProcessState.WAITING
                    # Of what it publishes the first viewer is told.
                    await self._pause(_SELDOM if self.published else self._tick)
                elif self._house.full(self):
                    self._state = ProcessState.FULL
                    await self._pause(_SELDOM)
                else:
                    await self._live()
        finally:
            if self.child is not None:
                self.child.kill()
            self._house.forget(self)

    async def _live(self) -> None:
        """From a start to what follows the end."""
        rule, began = self.rule, self._house.clock()
        try:
            with self._house.life(self) as life:
                child = await self._start(life)
                end = await self._attend(child, rule)
        except (UsageError, OSError) as error:
            self._house.counts.count_end(ProcessEnd.NOT_STARTED)
            await self._recover(ProcessState.FAILED, rule, explain_start(error, rule.command.arguments[0]))
            return
        lasted = self._house.clock() - began
        self._house.counts.count_end(end)
        level = logging.INFO if end in _GOOD_ENDS else logging.WARNING
        fields = self._fields() | {"reason": end, "status": child.status, "duration": round(lasted, 3)}
        logger.log(level, "process ended", extra={"fields": fields})
        self.child = None
        if end in (ProcessEnd.STOPPED, ProcessEnd.KILLED):
            return
        if lasted >= _STEADY:
            self._backoff.reset()
        await self._follow_end(end, rule)

    async def _start(self, life: Life) -> Child:
        """Raises OSError, and UsageError where the stream's name does not fit into the command."""
        rule, house = self.rule, self._house
        arguments = rule.command.fill(life.values)
        scrubber = Scrubber((life.token, *rule.command.secrets))

        def output() -> Output:
            return Output(scrubber, house.clock, house.lines_per_minute, self._tell, self._tell_left_out)

        child = self.child = await Child.start(arguments, environment(house.inherited, life.values), output)
        self._starts += 1
        self._state = ProcessState.RUNNING
        logger.info("process started", extra={"fields": self._fields()})
        return child

    async def _attend(self, child: Child, rule: RunRule) -> ProcessEnd:
        """Wait until it has ended, or is to; how it ends."""
        child.ended.add_done_callback(lambda _ended: self._changed.set())
        while not child.ended.done() and self._needed(rule):
            self._changed.clear()
            await self._pause(self._tick)
        if not child.ended.done():
            self._state = ProcessState.STOPPING
            if self._house.over(self) and not self.removed:
                await asyncio.wait([child.ended], timeout=_PARTING)
        if child.ended.done():
            return child.ended.result()
        patience = rule.stop_timeout if self._patience is None else min(self._patience, rule.stop_timeout)
        return await child.stop(patience)

    async def _follow_end(self, end: ProcessEnd, rule: RunRule) -> None:
        """What to do when it has ended by itself: wait, and be it for the end of the stream."""
        once = rule.restart is Restart.NEVER or (
            rule.restart is Restart.FAILURE and end is ProcessEnd.FINISHED
        )
        if not once:
            await self._recover(ProcessState.BACKOFF, rule)
        self._state = ProcessState.DONE if once else self._state
        while once and self._needed(rule):
            self._changed.clear()
            await self._pause(self._tick)

    async def _recover(self, state: ProcessState, rule: RunRule, problem: str = "") -> None:
        """Wait before the next start, as long as there is to be one."""
        if self._over():  # Its end came before we heard of the stream's.
            return
        self._state = state
        delay = self._backoff.next_delay()
        if problem:
            fields = self._fields() | {"problem": problem, "retry_in": round(delay, 1)}
            logger.warning("process not started", extra={"fields": fields})
        until = self._house.clock() + delay
        while self._needed(rule) and (left := until - self._house.clock()) > 0:
            self._changed.clear()
            await self._pause(min(left, self._tick))

    @property
    def _tick(self) -> float:
        return _TICK if self.rule.start is Start.VIEWER else _SELDOM

    def _over(self) -> bool:
        return self.removed or self._house.over(self)

    def _needed(self, rule: RunRule) -> bool:
        return self.rule is rule and not self._over() and self._house.due(self)

    async def _pause(self, seconds: float) -> None:
        """Until something changes, ``seconds`` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _tell(self, line: str) -> None:
        logger.info("process output", extra={"fields": self._fields() | {"line": line}})
        self._house.counts.lines_logged += 1

    def _tell_left_out(self, lines: int) -> None:
        logger.info("process output left out", extra={"fields": self._fields() | {"lines": lines}})
        self._house.counts.lines_left_out += lines

    def _fields(self) -> dict[str, object]:
        pid = None if self.child is None else self.child.pid
        return {"app": self.key.app, "stream": self.key.name, "process": self.name, "pid": pid}
