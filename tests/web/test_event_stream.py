"""Server-sent events over HTTP: who may follow, how long, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from control_kit import Desk, token
from events_kit import made
from net_kit import eventually

from rtmpd.engine.key import StreamKey
from rtmpd.events.model import EventKind
from rtmpd.web.event_stream import EventStreams, FollowEnd, beat, frame
from rtmpd.web.limits import AdminLimits

PATH = "/api/v1/events"
SOON = 0.05


def happen(desk: Desk, name: str) -> None:
    desk.ring.hear(made(EventKind.PUBLISHED, StreamKey("live", name)))


async def blocks(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    lines: list[str] = []
    async for line in response.content:
        if line == b"\n":
            yield "".join(lines)
            lines = []
        else:
            lines.append(line.decode())


def names(block: str) -> str:
    return str(json.loads(block.partition("data: ")[2])["name"])


def desk_of(**limits: float) -> Desk:
    return Desk(streams=EventStreams(**limits))


async def test_it_goes_on_beyond_every_deadline_and_connections_that_only_wait_are_cut_first() -> None:
    desk = desk_of(heartbeat=SOON)
    desk.limits = AdminLimits(max_connections=2, request_timeout=SOON)
    async with desk.client() as client, client.get(PATH) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        told = blocks(response)
        assert await anext(told) == "retry: 2000\n: \nid: 5f0c1e-0\n"
        async with asyncio.timeout(5.0):
            for _ in range(3):  # Three times as long as a request may take.
                assert await anext(told) == ": \nid: 5f0c1e-0\n"
        host, port = str(client._base_url).removeprefix("http://").rstrip("/").split(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(4)]
        async with asyncio.timeout(5.0):  # As many may not, so the oldest of those who only wait goes.
            assert await idle[0][0].read() == b""
        happen(desk, "a")
        async with asyncio.timeout(5.0):
            while not (block := await anext(told)).startswith("id: 5f0c1e-1\ndata: "):
                assert block == ": \nid: 5f0c1e-0\n"
        assert names(block) == "a"
        assert desk.streams.stats.followers == 1
        for _, writer in idle:
            writer.close()


async def test_the_header_of_a_browser_that_comes_again_is_worth_more_than_its_url() -> None:
    desk = desk_of()
    happen(desk, "a")
    happen(desk, "b")
    async with (
        desk.client() as client,
        client.get(f"{PATH}?after=0", headers={"Last-Event-ID": "5f0c1e-1"}) as response,
    ):
        told = blocks(response)
        await anext(told)
        assert names(await anext(told)) == "b"
    assert desk.streams.stats.followers == 0


async def test_what_cannot_be_followed_is_a_problem() -> None:
    desk = desk_of()
    desk.streams.max_followers = 1
    async with desk.client() as client:
        async with client.get(f"{PATH}?kinds=nothing") as response:
            problem = await response.json()
            assert (response.status, "there is no such event" in problem["detail"]) == (400, True)
        async with client.get(PATH), client.get(PATH) as response:
            problem = await response.json()
            assert (response.status, problem["type"]) == (503, "urn:rtmpd:problem:too_many_followers")
            assert len(desk.ring._followers) == 1
        # Nobody waits for the heartbeat to find out that somebody has left.
        await eventually(lambda: desk.streams.stats.ended[FollowEnd.LEFT] == 1)
        async with client.get(PATH) as response:
            assert response.status == 200


async def test_nobody_has_all_places() -> None:
    desk = desk_of()
    desk.streams.max_followers = 3
    (greedy, ann), (modest, bob) = token("ann"), token("bob")
    desk.admission.tokens(ann, bob)

    async def follow(shown: str) -> int:
        headers = {"Authorization": f"Bearer {shown}"}
        answers.append(await client.get(PATH, headers=headers))
        return answers[-1].status

    answers: list[aiohttp.ClientResponse] = []
    async with desk.client() as client:
        assert [await follow(shown) for shown in (greedy, greedy, greedy, modest)] == [200] * 4
        with contextlib.suppress(aiohttp.ClientError):  # The oldest gives way to who has fewer.
            await answers[0].read()
        assert desk.streams.stats.ended[FollowEnd.CROWDED] == 1
        # That is enough: one more, and bob would have more than ann.
        assert [await follow(shown) for shown in (greedy, modest)] == [503, 503]
        answers[1].close()
        await eventually(lambda: desk.streams.stats.followers == 2)
        assert await follow(greedy) == 200
        for each in answers:
            each.close()


async def test_the_end_of_the_server_is_said() -> None:
    desk = desk_of()
    async with aiohttp.ClientSession() as session:
        async with desk.client() as client:
            response = await session.get(f"{client._base_url}/api/v1/events")
            told = blocks(response)
            await anext(told)
        async with asyncio.timeout(5.0):
            assert [each async for each in told] == ['event: end\ndata: {"reason":"closed"}\n']
        response.close()
    assert desk.streams.stats.ended[FollowEnd.CLOSED] == 1


@pytest.mark.parametrize("reads", [True, False])
async def test_who_reads_too_little_is_cut_and_holds_up_nobody(reads: bool) -> None:
    desk = desk_of(patience=SOON)
    async with desk.client() as client:
        url = f"{client._base_url}".removeprefix("http://").rstrip("/")
        host, port = url.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: {url}\r\n\r\n".encode())
        await reader.readuntil(b"retry: 2000\n")
        big = made(EventKind.PUBLISHED, StreamKey("live", "x" * 200_000))
        for _ in range(60):
            desk.ring.hear(big)
            if reads:
                await reader.readexactly(400_000)  # Its name is in the title, too.
            else:
                await asyncio.sleep(0)
        if reads:
            assert desk.streams.stats.followers == 1
        else:
            await eventually(lambda: desk.streams.stats.ended[FollowEnd.SLOW] == 1)
        writer.close()


def test_frames_are_of_the_standard() -> None:
    assert frame(b"{}", place="a-1", name="missed") == b"id: a-1\nevent: missed\ndata: {}\n\n"
    assert frame(b"{}") == b"data: {}\n\n"
    assert beat() == b": \n\n"
