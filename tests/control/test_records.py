"""Sessions that are over, as somebody in charge is told of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from control_kit import Desk
from engine_kit import keyframe
from net_kit import HEADERS, House, eventually, serve

from rtmpd.control.actor import Actor
from rtmpd.control.record_answers import Record, RecordQuery
from rtmpd.events.records import Recorder
from rtmpd.exceptions import NotFound, NotPossible
from rtmpd.reasons import Problem

ALL = Actor()


@asynccontextmanager
async def recorded() -> AsyncIterator[tuple[House, Desk]]:
    async with serve() as house:
        desk = Desk(house.registry, house.context.clock)
        clock, budget = house.context.clock, house.registry.budget
        recorder = Recorder(asyncio.get_running_loop().call_soon, clock, lambda: 1.8e9, budget)
        house.registry.observe(recorder)
        house.registry.sessions.observer = recorder
        recorder.add_listener(desk.records)
        yield house, desk
        desk.records.apply(0)  # The house looks whether all memory was given back.


async def listed(desk: Desk, by: Actor = ALL, **query: object) -> list[Record]:
    return list((await desk.control.records.list(RecordQuery.model_validate(query), by)).items)


async def test_what_became_of_sessions_is_told_the_youngest_first() -> None:
    async with recorded() as (house, desk):
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("A" * 1000)))
        player = await (await house.client()).play()
        await player.until(f"1: {'A' * 1000}@0")
        encoder.reset()
        await eventually(lambda: len(desk.records) == 1)
        await player.close()
        await eventually(lambda: len(desk.records) == 2)
        played, published = await listed(desk)
        assert (published.kind, published.reason, published.address) == (
            "publisher",
            "connection_lost",
            "127.0.0.1",
        )
        (use,) = published.uses
        assert (use.app, use.name, use.action, use.video, use.audio) == (
            "live",
            "cam",
            "publish",
            "avc1",
            "mp4a",
        )
        assert published.bytes_in == encoder.bytes_said
        assert published.last_command == "publish"
        assert (played.kind, played.last_command) == ("player", "play")
        assert played.bytes_out >= player.bytes_heard
        assert played.uses[0].bytes > 1000
        assert played.tcp is not None
        for query, number in (
            ({"app": "live"}, 2),
            ({"stream": "live/ca"}, 0),
            ({"stream": "live/cam", "kind": "player"}, 1),
            ({"address": "127.0.0.0/8"}, 2),
            ({"address": "127.0.0.2"}, 0),
            ({"account": "ann"}, 0),
            ({"reason": "connection_lost"}, 1),
        ):
            assert len(await listed(desk, **query)) == number, query
        page = await desk.control.records.list(RecordQuery(limit=1), ALL)
        assert (page.items[0].id, page.total) == (played.id, 2)
        assert [each.id for each in await listed(desk, after=page.next)] == [published.id]
        assert await desk.control.records.get(uuid.UUID(played.id).int, ALL) == played


async def test_what_is_not_kept_or_of_other_streams_is_not_found() -> None:
    async with recorded() as (house, desk):
        encoder = await (await house.client()).publish()
        await encoder.close()
        await eventually(lambda: len(desk.records) == 1)
        (record,) = await listed(desk)
        number, stranger = uuid.UUID(record.id).int, Actor(streams=("other",))
        assert await listed(desk, stranger) == []
        assert len(await listed(desk, Actor(streams=("live",)))) == 1
        for asked, by in ((number + 1, ALL), (number, stranger)):
            with pytest.raises(NotFound) as caught:
                await desk.control.records.get(asked, by)
            assert caught.value.problem is Problem.RECORD_NOT_FOUND
        with pytest.raises(NotPossible):
            await listed(desk, after="nonsense")
        client = await house.client()
        for on, name in enumerate(("mine", "yours"), 1):
            await client.publish(name, on=on)
        await client.close()
        await eventually(lambda: len(desk.records) == 2)
        assert await listed(desk, Actor(streams=("live/mine",))) == []
        assert len(await listed(desk, Actor(streams=("live/mine", "live/yours")))) == 1


async def test_a_scanner_is_no_client() -> None:
    async with recorded() as (house, desk):
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await eventually(lambda: len(desk.records) == 1)
        writer.close()
        (record,) = await listed(desk)
        assert (record.kind, record.reason, record.detail) == ("pending", "protocol_error", "http")
        assert record.last_command == ""
