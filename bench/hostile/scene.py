"""What an attack is, and what it is given: a target, a crowd, an end, and bounds to hold the server to."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hostile.stranger import AVC_HEADER, Crowd, Stranger, frame, keyframe, message
from hostile.target import Target
from rtmpd.rtmp.constants import MessageType

_MEGABYTE: Final = 1_000_000
_GOP_FRAMES: Final = 150
CANARIES: Final = 10
"""That take their stream apart."""
_TRICKLE: Final = 0.2
"""Seconds between the frames that keep a stream alive."""
_numbers = itertools.count(1)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure and the bound that it must keep."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def kept(self) -> bool:
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        bound = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"
        return f"{self.what} {self.value:.4g} ({bound})" + ("" if self.kept else " FAILED")


@dataclass(slots=True)
class Scene:
    """One performance of an attack."""

    target: Target
    crowd: Crowd
    seconds: float
    findings: list[Finding] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        return self.left > 0

    @property
    def left(self) -> float:
        """Seconds to the end."""
        return self.began + self.seconds - time.monotonic()

    def expect(
        self, what: str, value: float, *, least: float | None = None, most: float | None = None
    ) -> None:
        """Hold the server to a bound."""
        self.findings.append(Finding(what, value, least, most))

    def name(self, prefix: str) -> str:
        """A stream name that was never used before."""
        return f"{prefix}{next(_numbers)}"

    async def paced(self, rate: float) -> AsyncIterator[int]:
        """Count from 0, ``rate`` times a second, to the end of the attack."""
        number = 0
        while self.goes_on:
            yield number
            number += 1
            # Not faster, if it was held up, than twice that.
            behind = self.began + number / rate - time.monotonic()
            await asyncio.sleep(max(behind, 0.5 / rate))

    async def ask(self, question: Callable[[], _T]) -> _T:
        """Something of the target that takes a while, in a thread."""
        return await asyncio.to_thread(question)

    async def metric(self, name: str) -> float:
        """The sum of all samples of a name on the metrics page."""
        return await self.ask(lambda: self.target.metric(name))

    async def publish_gop(self, megabytes: float, source: str = "127.0.0.1") -> str:
        """The name of a new stream whose GOP cache holds that much, and that lives on in small frames."""
        name = self.name("gop")
        publisher = await self.crowd.join(source)
        if not await publisher.publish(name):
            raise RuntimeError("the server refused an honest publisher")
        size = int(megabytes * _MEGABYTE / _GOP_FRAMES)
        await publisher.send(message(MessageType.VIDEO, AVC_HEADER) + keyframe(size))
        for number in range(1, _GOP_FRAMES):
            await publisher.send(frame(size, number))
        self.start(_trickle(publisher))
        return name

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Do something beside the attack, until its end."""
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def close(self) -> None:
        """End what was started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


Perform = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """A named attack; its documentation is the function's."""

    name: str
    perform: Perform
    seconds: float
    """Of the performance beside the canary; 0 for an attack that is performed in rounds only."""
    connections: int
    """How many the run without the attack has as well."""
    settings: tuple[str, ...]
    files: int
    """Limit of open files of the server; 0 is the system's."""
    most_growth_mb: float
    """Of resident memory beside the canary, at its peak."""
    most_cpu: float | None
    """Share of a core for the attacker; None where the attacker asks for what is rightly his."""
    rounds: float
    """Seconds of each of ten rounds; 0 for an attack that is performed beside the canary only."""
    quick: bool
    """Part of the short selection."""
    canaries: int
    """Players of the canary stream."""

    @property
    def about(self) -> str:
        return (self.perform.__doc__ or "").strip().splitlines()[0]


ATTACKS: Final[dict[str, Attack]] = {}


def attack(
    *,
    seconds: float = 0.0,
    connections: int = 0,
    settings: tuple[str, ...] = (),
    files: int = 0,
    most_growth_mb: float = 20.0,
    most_cpu: float | None = 0.2,
    rounds: float = 0.0,
    quick: bool = False,
    canaries: int = CANARIES,
) -> Callable[[Perform], Perform]:
    """Enter a function into the list of attacks, under its own name."""

    def enter(perform: Perform) -> Perform:
        name = perform.__name__
        ATTACKS[name] = Attack(
            name,
            perform,
            seconds,
            connections,
            settings,
            files,
            most_growth_mb,
            most_cpu,
            rounds,
            quick,
            canaries,
        )
        return perform

    return enter


async def _trickle(publisher: Stranger) -> None:
    timestamp = _GOP_FRAMES
    while not publisher.closed.is_set():
        publisher.say(frame(100, timestamp))
        timestamp += int(_TRICKLE * 1000)
        await asyncio.sleep(_TRICKLE)
