"""Commands that are run once for an event: ``[apps.NAME.exec.HOOK]``."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.events.hook_rules import HookLimits, HookRule
from rtmpd.events.model import Event, EventKind
from rtmpd.exceptions import UsageError
from rtmpd.net.tasks import TaskSet
from rtmpd.processes.child import Child
from rtmpd.processes.command import environment, facts_of
from rtmpd.processes.output import Output
from rtmpd.processes.rules import LAST_LOOK
from rtmpd.processes.words import HookCounts, HookEnd, ProcessEnd, explain_start
from rtmpd.rtmp.scrubbing import Scrubber

logger = logging.getLogger(__name__)

_STOP_TIMEOUT: Final = 5.0
"""Seconds from SIGTERM to SIGKILL."""
_QUIET: Final = 10.0
"""Seconds from one line about a hook that was lost, or not started, to the next that says the same."""
_ENDS: Final = {
    ProcessEnd.FINISHED: HookEnd.FINISHED,
    ProcessEnd.ERROR: HookEnd.ERROR,
    ProcessEnd.SIGNAL: HookEnd.SIGNAL,
}


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    rule: HookRule
    event: Event

    def fields(self, child: Child | None = None) -> dict[str, object]:
        key, pid = self.event.key, None if child is None else child.pid
        return {"app": key.app, "stream": key.name, "hook": self.name, "on": self.event.kind, "pid": pid}


class ExecHooks:
    """Listens to events and runs commands: those of one stream one after another, in order.

    ``rules_of(key)`` says which there are, by their names. Nobody waits for them, and one that hangs holds up
    the hooks of its stream alone.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        rules_of: Callable[[StreamKey], Mapping[str, HookRule]],
        inherited: Mapping[str, str],
        counts: HookCounts,
    ) -> None:
        """``inherited`` is our own environment."""
        self.counts = counts
        self._clock = clock
        self._rules_of = rules_of
        self._inherited = inherited
        self._limits = HookLimits()
        self._waiting: deque[_Job] = deque()
        self._running: dict[StreamKey, Child | None] = {}
        self._quiet_until: dict[tuple[str, ...], float] = {}
        """By what was said."""
        self._tasks = TaskSet()
        self._closing = False

    def apply(self, limits: HookLimits) -> None:
        """Other limits from now on."""
        self._limits = limits
        self._go_on()

    def wants(self, kind: EventKind, key: StreamKey) -> bool:
        """Whether there is a command for such events of that stream."""
        return any(kind in rule.kinds for rule in self._rules_of(key).values())

    def hear(self, event: Event) -> None:
        """Have its commands run, as soon as there is room."""
        for name, rule in self._rules_of(event.key).items():
            if event.kind in rule.kinds:
                self._add(_Job(name, rule, event))
        self._go_on()

    async def close(self, grace: float) -> None:
        """Run what waits within ``grace`` seconds; the rest is lost, and what still runs is ended."""
        await self._tasks.drain(grace)
        self._closing = True
        while self._waiting:
            self._lose(self._waiting.popleft())
        children = [child for child in self._running.values() if child is not None]
        for child in children:
            child.kill()
        await self._tasks.drain(LAST_LOOK)
        await self._tasks.wait_closed()

    # Inside

    def _add(self, job: _Job) -> None:
        if not self._closing and len(self._waiting) >= self._limits.max_waiting:
            self._make_room(job.event.key)
        if self._closing or len(self._waiting) >= self._limits.max_waiting:
            self._lose(job)
        else:
            self._waiting.append(job)
            self.counts.waiting = len(self._waiting)

    def _make_room(self, key: StreamKey) -> None:
        """Lose the newest of the stream that has most waiting, if that is more than ``key`` has with another.

        So no stream, however it comes and goes, has the hooks of others lost.
        """
        numbers = Counter(job.event.key for job in self._waiting)
        most, number = numbers.most_common(1)[0]
        if number > numbers[key] + 1:
            newest = max(at for at, job in enumerate(self._waiting) if job.event.key == most)
            lost = self._waiting[newest]
            del self._waiting[newest]
            self._lose(lost)

    def _lose(self, job: _Job) -> None:
        if self._is_news("hook lost"):
            logger.warning("hook lost", extra={"fields": job.fields()})
        self.counts.count_end(HookEnd.LOST)

    def _is_news(self, *said: str) -> bool:
        """Whether that has not been said a moment ago: of a flood one line is enough, as all are counted."""
        now = self._clock()
        self._quiet_until = {each: end for each, end in self._quiet_until.items() if end > now}
        if said in self._quiet_until:
            return False
        self._quiet_until[said] = now + _QUIET
        return True

    def _go_on(self) -> None:
        """Start what may be: of no stream two at a time."""
        while len(self._running) < self._limits.max_at_once:
            job = next((job for job in self._waiting if job.event.key not in self._running), None)
            if job is None:
                break
            self._waiting.remove(job)
            self._running[job.event.key] = None
            self._tasks.start(self._run(job), name=f"hook-{job.name}")
        self.counts.waiting, self.counts.running = len(self._waiting), len(self._running)

    async def _run(self, job: _Job) -> None:
        try:
            await self._run_one(job)
        finally:
            child = self._running.pop(job.event.key, None)
            if child is not None:
                child.kill()
            self._go_on()

    async def _run_one(self, job: _Job) -> None:
        began = self._clock()
        try:
            child = await self._start(job)
        except (UsageError, OSError) as error:
            self.counts.count_end(HookEnd.NOT_STARTED)
            problem = explain_start(error, job.rule.command.arguments[0])
            if self._is_news("hook not started", job.name, problem):
                logger.warning("hook not started", extra={"fields": job.fields() | {"problem": problem}})
            return
        self._running[job.event.key] = child
        await asyncio.wait([child.ended], timeout=job.rule.timeout)
        late = not child.ended.done()
        end = await child.stop(_STOP_TIMEOUT) if late else child.ended.result()
        outcome = HookEnd.TIMEOUT if late else _ENDS.get(end, HookEnd.STOPPED)
        self._running[job.event.key] = None
        self.counts.count_end(outcome)
        level = logging.INFO if outcome is HookEnd.FINISHED else logging.WARNING
        lasted = round(self._clock() - began, 3)
        fields = job.fields(child) | {"reason": outcome, "status": child.status, "duration": lasted}
        logger.log(level, "hook ended", extra={"fields": fields})

    async def _start(self, job: _Job) -> Child:
        """Raises OSError, and UsageError where the stream's name does not fit into the command."""
        values, command = _values(job), job.rule.command

        def tell(line: str) -> None:
            logger.info("hook output", extra={"fields": job.fields() | {"line": line}})

        def tell_left_out(lines: int) -> None:
            logger.info("hook output left out", extra={"fields": job.fields() | {"lines": lines}})

        def output() -> Output:
            lines = self._limits.lines_per_minute
            return Output(Scrubber(command.secrets), self._clock, lines, tell, tell_left_out)

        return await Child.start(command.fill(values), environment(self._inherited, values), output)


def _values(job: _Job) -> dict[str, str]:
    """What placeholders stand for, and in capitals the ``RTMPD_`` variables."""
    event = job.event
    return facts_of(event.origin) | {
        "app": event.key.app,
        "name": event.key.name,
        "path": str(event.key),
        "hook": job.name,
        "event": str(event.kind),
        "json": json.dumps(event.as_json(), separators=(",", ":")),
        **_file(event),
    }


def _file(event: Event) -> dict[str, str]:
    """Of a recording: as nginx-rtmp calls it, but that ``path`` is the stream's here."""
    path = event.facts.get("path")
    if not isinstance(path, str):
        return {}
    pure = PurePath(path)
    values = {"file": path, "filename": pure.name, "basename": pure.stem, "dirname": str(pure.parent)}
    said = {"duration": event.facts.get("duration"), "size": event.facts.get("bytes")}
    return values | {name: str(value) for name, value in said.items() if value is not None}
