"""Ending, over HTTP, a stream that is kept for an encoder that was lost."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from metrics_sources import FakeServer
from yarl import URL

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.relay.status import RelayStatus
from rtmpd.web.page import SharedPage
from rtmpd.web.relays import RelayApi
from rtmpd.web.server import AdminServer
from rtmpd.web.streams import StreamApi

HELD = StreamKey("live", "church-7/cam")


class NoPushes:
    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        raise UsageError("none here")

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        return False


@asynccontextmanager
async def client(ended: list[StreamKey], *, local: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
    def end_hold(key: StreamKey) -> bool:
        ended.append(key)
        return key == HELD

    server = AdminServer(
        SharedPage(FakeServer().page(), 0.0, time.monotonic),
        lambda: None,
        RelayApi(NoPushes(), list),
        local=local,
        stream_api=StreamApi(end_hold),
    )
    address = (await server.start(open_listener(Address("127.0.0.1", 0)))).address
    async with aiohttp.ClientSession(f"http://{address}") as session:
        yield session
    await server.close()


def path(name: str) -> URL:
    return URL(f"/api/v1/streams/live/{name}/end", encoded=True)


async def test_a_stream_that_is_held_ends() -> None:
    ended: list[StreamKey] = []
    async with client(ended) as session, session.post(path("church-7%2Fcam")) as answer:
        assert (answer.status, await answer.read(), ended) == (204, b"", [HELD])


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("cam", 404, "live/cam is not held: it has an encoder, or nobody waits for one"),
        ("a%20b", 400, "this cannot be the name of an app and a stream"),
    ],
)
async def test_one_that_is_not_is_said_to_be_none(name: str, status: int, text: str) -> None:
    async with client([]) as session, session.post(path(name)) as answer:
        assert (answer.status, await answer.json()) == (status, {"error": text})


async def test_it_is_for_nobody_from_elsewhere_and_for_no_web_page() -> None:
    ended: list[StreamKey] = []
    async with client(ended, local=False) as session, session.post(path("cam")) as answer:
        assert answer.status == 403
    async with (
        client(ended) as session,
        session.post(path("cam"), headers={"Origin": "https://example.com"}) as answer,
    ):
        assert answer.status == 403
    async with client(ended) as session, session.get(path("cam")) as answer:
        assert answer.status == 405
    assert ended == []
