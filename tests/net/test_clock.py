from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from net_kit import HEADERS, eventually, serve

from rtmpd.engine.limits import EngineLimits
from rtmpd.net.clock import LONGEST_STEP, LoopClock
from rtmpd.rtmp.limits import Limits


class Hands:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_goes_as_the_other_while_it_is_read() -> None:
    hands = Hands()
    clock = LoopClock(hands)
    for _ in range(100):
        hands.now += LONGEST_STEP
        assert clock() == hands.now


def test_it_stands_still_while_nobody_reads_it() -> None:
    hands = Hands()
    clock = LoopClock(hands)
    hands.now += 3600.0
    assert clock() == 100.0 + LONGEST_STEP
    hands.now += 0.25
    assert clock() == 100.0 + LONGEST_STEP + 0.25


@given(st.lists(st.floats(0.0, 1e6), max_size=30))
def test_it_never_goes_backwards(steps: list[float]) -> None:
    hands = Hands()
    clock = LoopClock(hands)
    last = clock()
    for step in steps:
        hands.now += step
        now = clock()
        assert last <= now <= last + LONGEST_STEP + 1e-6
        last = now


async def test_nobody_is_silent_while_the_server_is_stopped() -> None:
    hands = Hands()
    engine = EngineLimits(first_media_timeout=2.0, idle_publisher_timeout=2.0)
    limits = Limits(ping_interval=2.0, ping_timeout=2.0)
    async with serve(clock=LoopClock(hands), limits=limits, engine=engine, sample_every=0.05) as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS)
        await (await house.client()).play()
        await eventually(lambda: house.stream().stats.audio.messages_in)
        hands.now += 3600.0
        # Deadlines are looked at several times a second.
        await asyncio.sleep(0.5)
        assert (house.stats.publishers, house.stats.players) == (1, 1)
        # The rest of them counts when it is over.
        for _ in range(5):
            hands.now += 0.45
            await asyncio.sleep(0.25)
        await eventually(lambda: house.stats.publishers == 0)
