"""What is told once a second to whoever follows: made once for all of them, and for nobody not at all."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest
from control_kit import Desk

from rtmpd.control.actor import Actor
from rtmpd.control.figures_answers import Figures
from rtmpd.control.local_figures import LocalFigures
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.net.addresses import Address
from rtmpd.web.limits import AdminLimits

FIGURES = "/api/v1/figures"


class Nobody:
    def close(self, _reason: object) -> None:
        raise AssertionError


class Watched:
    """A server with two streams, and how often it was asked for them."""

    def __init__(self) -> None:
        self.desk = Desk()
        for name in ("a", "b"):
            self.desk.registry.claim(StreamKey("live", name), Nobody(), Origin(), 0.0)
        self.asked = 0
        self.error: Exception | None = None
        streams = self.desk.control.streams
        self.feed = LocalFigures(self.desk.control.server, streams, time.time, 0.01)
        listing = streams.list

        async def counting(query: object, by: Actor) -> object:
            self.asked += 1
            if self.error is not None:
                raise self.error
            return await listing(query, by)

        streams.list = counting


async def test_all_are_told_the_same_and_it_is_made_once() -> None:
    watched = Watched()
    async with aclosing(watched.feed.follow(Actor())) as one, aclosing(watched.feed.follow(Actor())) as other:
        first = await anext(one)
        assert await anext(other) == first
        second, the_same = await asyncio.gather(anext(one), anext(other))
        assert second == the_same != first
        assert watched.asked < 4, "made for each of them"
        assert len(watched.feed) == 1
        told = Figures.model_validate_json(second)
        assert [stream.name for stream in told.streams] == ["a", "b"]
        assert (told.streams_total, told.server is not None) == (2, True)
    assert len(watched.feed) == 0
    asked = watched.asked
    await asyncio.sleep(0.05)
    assert watched.asked == asked, "nobody follows any more"


async def test_who_is_slow_misses_some_and_holds_up_nobody() -> None:
    watched = Watched()
    async with (
        aclosing(watched.feed.follow(Actor())) as slow,
        aclosing(watched.feed.follow(Actor())) as quick,
    ):
        await anext(slow)
        for _ in range(5):
            newest = await anext(quick)
        assert json.loads(await anext(slow))["at"] >= json.loads(newest)["at"]


async def test_who_sees_some_streams_only_is_told_of_those() -> None:
    watched = Watched()
    scoped = Actor(name="ann", streams=("live/b",))
    async with aclosing(watched.feed.follow(scoped)) as some, aclosing(watched.feed.follow(Actor())) as every:
        assert Figures.model_validate_json(await anext(every)).streams_total == 2
        told = Figures.model_validate_json(await anext(some))
        assert len(watched.feed) == 2
    assert (told.server, [stream.name for stream in told.streams], told.streams_total) == (None, ["b"], 1)


async def test_what_goes_wrong_ends_it_for_all_and_the_next_begin_anew() -> None:
    watched = Watched()
    async with aclosing(watched.feed.follow(Actor())) as one, aclosing(watched.feed.follow(Actor())) as other:
        await anext(one)
        watched.error = ValueError("a bug")
        for each in (one, other):
            with pytest.raises(ValueError, match="a bug"):
                _ = [body async for body in each]
    watched.error = None
    async with aclosing(watched.feed.follow(Actor())) as again:
        assert await anext(again)


@asynccontextmanager
async def listening(interval: float, limits: AdminLimits) -> AsyncIterator[Address]:
    """Where an admin server tells figures every so many seconds."""
    desk = Desk()
    figures = LocalFigures(desk.control.server, desk.control.streams, time.time, interval)
    desk.control = replace(desk.control, figures=figures)
    desk.limits = limits
    async with desk.client() as client:
        url = client._base_url
        assert url is not None
        yield Address(url.host or "", url.port or 0)


async def told(reader: asyncio.StreamReader) -> Figures:
    """The next event."""
    kind = await reader.readuntil(b"\n")
    while kind != b"event: figures\n":  # The headers, and sizes of chunks.
        kind = await reader.readuntil(b"\n")
    data = await reader.readuntil(b"\n")
    return Figures.model_validate_json(data.removeprefix(b"data: "))


async def test_they_go_on_behind_the_deadline_of_requests_and_others_make_room_first() -> None:
    limits = AdminLimits(max_connections=3, request_timeout=0.2)
    async with listening(0.05, limits) as address, asyncio.timeout(10.0):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"GET {FIGURES} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await told(reader)
        idle = [await asyncio.open_connection(address.host, address.port) for _ in range(6)]
        for _ in range(10):
            assert (await told(reader)).streams_total == 0
        for each in (writer, *[other for _, other in idle]):
            each.close()


async def test_it_is_asked_for_like_everything_else() -> None:
    desk = Desk()
    async with desk.client() as client:
        async with client.get(f"{FIGURES}?x=1") as answer:
            assert (answer.status, (await answer.json(content_type=None))["type"]) == (
                400,
                "urn:rtmpd:problem:bad_request",
            )
        async with client.get(FIGURES) as answer:
            headers = answer.headers
            assert (headers["Content-Type"], headers["Cache-Control"]) == (
                "text/event-stream",
                "no-store",
            )
            while await answer.content.readline() != b"event: figures\n":
                pass
