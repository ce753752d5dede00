"""What clients send first is kept, of so many of them, and handed on when they are gone."""

from __future__ import annotations

import asyncio

import pytest
from net_kit import HEADERS, eventually, serve

from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.sessions import SessionEnd
from rtmpd.engine.sink import CloseReason
from rtmpd.serving import listening
from rtmpd.serving.listening import KEPT_BYTES, InputKeeper


class Witness:
    def __init__(self) -> None:
        self.ends: list[SessionEnd] = []

    def session_ended(self, end: SessionEnd) -> None:
        self.ends.append(end)


async def test_what_came_first_is_there_when_the_connection_is_gone() -> None:
    keeper = InputKeeper(MemoryBudget(1 << 30, lambda: None))
    async with serve(input_keeper=keeper) as house:
        witness = house.registry.sessions.observer = Witness()
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, b"\x17\x01\0\0\0" + b"v" * 200_000))
        await eventually(lambda: house.stats.bytes_in > 200_000)
        assert keeper.stats.kept == 1
        encoder.writer.write(b"\xff" * 100)
        await eventually(lambda: witness.ends)
        (end,) = witness.ends
        assert (end.reason, len(end.input), end.introduced) == (CloseReason.PROTOCOL_ERROR, KEPT_BYTES, True)
        assert end.input[:1] == b"\x03"
        assert b"publish" in end.input
        assert end.last_command == "publish"
        assert keeper.stats.kept == 0


async def test_nobody_is_listened_in_on_once_all_that_is_kept_has_come() -> None:
    keeper = InputKeeper(MemoryBudget(1 << 30, lambda: None))
    async with serve(input_keeper=keeper) as house:
        encoder = await (await house.client()).publish()
        (connection,) = house.connections
        assert type(connection.session).__name__ == "_StandIn"
        encoder.send(*HEADERS, (0, b"\x17\x01\0\0\0" + b"v" * KEPT_BYTES))
        await eventually(lambda: type(connection.session).__name__ == "ServerSession")


async def test_so_many_are_kept_and_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_MOST", 2)
    budget = MemoryBudget(1 << 30, lambda: None)
    keeper = InputKeeper(budget)
    async with serve(input_keeper=keeper) as house:
        for _ in range(3):
            await house.client()
        assert (keeper.stats.kept, keeper.stats.given_up) == (2, 1)
        assert budget.queue_bytes == 2 * KEPT_BYTES
        budget.ceiling_bytes = 1
        await house.client()
        assert (keeper.stats.kept, keeper.stats.given_up) == (2, 2)
    await asyncio.sleep(0)
    assert (keeper.stats.kept, budget.queue_bytes) == (0, 0)
