"""Events by hand, time that passes when somebody sleeps, and the receiver that the documentation shows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin, SessionIds, spell_session
from rtmpd.events.model import Event, EventKind, Fact
from rtmpd.events.notifications import Notifications
from rtmpd.events.settings import Address, TargetSettings
from rtmpd.events.target import Surroundings
from rtmpd.net.http_caller import HttpCaller

DOCUMENT = Path(__file__).parent.parent / "docs" / "notifications.md"
NOON = 1_700_000_000.0
ENCODER = Origin(
    session=0x018BCFE5_6800_7000_8000_000000000001,
    address="192.0.2.1",
    connection=1,
    listener="0.0.0.0:1935",
    agent="FMLE/3.0 (compatible; FMSc/1.0)",
    account="Studio 2",
)
CAM = StreamKey("live", "cam")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

_ids = SessionIds(lambda: NOON, bytes)


def made(
    kind: EventKind = EventKind.PUBLISHED, key: StreamKey = CAM, sequence: int = 1, **facts: Fact
) -> Event:
    """An event of the encoder's."""
    return Event(kind, spell_session(_ids()), NOON, key, ENCODER, sequence, facts)


class FakeTime:
    """Passes as fast as somebody sleeps, and not otherwise; what was slept is written down."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def wall_clock(self) -> float:
        return NOON + self.now

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(0)
        self.slept.append(delay)
        self.now += delay


def around(time: FakeTime, budget: MemoryBudget | None = None) -> Surroundings:
    """What targets share, with delays that are their longest."""
    return Surroundings(
        budget=budget or MemoryBudget(1 << 30, lambda: None),
        server="5f0c1e",
        clock=time.clock,
        wall_clock=time.wall_clock,
        new_caller=lambda: HttpCaller(max_connections=1),
        sleep=time.sleep,
        dice=lambda: 1.0,
    )


def to(url: str, **settings: Any) -> TargetSettings:
    """A target that wants all there is."""
    return TargetSettings(Address(url), frozenset(EventKind), **settings)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


def idle(notifications: Notifications) -> bool:
    """Nothing waits any more."""
    return all(status.queued == 0 for status in notifications.statuses())


def block(language: str) -> str:
    """The only block of the documentation in that language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return str(code)


def verified(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
    """Whether the receiver that the documentation shows in Python takes it."""
    names: dict[str, Any] = {}
    exec(compile(block("python"), DOCUMENT.name, "exec"), names)
    return bool(names["verified"](headers, body, secret, now))
