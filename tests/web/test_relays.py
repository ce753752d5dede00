"""Relays over HTTP: what they do, and push targets added and removed at run time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from control_kit import Desk
from yarl import URL

from rtmpd.engine.key import StreamKey

PUSH = "/api/v1/streams/live/cam/push"
BODY = {"url": "rtmp://elsewhere/live/s3cret"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[aiohttp.ClientSession]:
    async with desk.client() as session:
        yield session


async def test_relays_are_listed_and_added(client: aiohttp.ClientSession, desk: Desk) -> None:
    async with client.get("/api/v1/relays") as response:
        assert await response.json() == {"items": [], "next": None, "total": 0}
    async with client.post(PUSH, json=BODY) as response:
        assert response.status == 201
        added = await response.json()
    assert added.pop("kept") is False  # There is no place for what outlives a restart.
    desk.stored.kept = True
    async with client.post("/api/v1/keys", json={"app": "live", "name": "cam"}) as response:
        assert (await response.json())["kept"] is True
    assert added == {
        "kind": "push",
        "id": "api-1",
        "carried_by": "this",
        "app": "live",
        "name": "cam",
        "remote": "rtmp://elsewhere/live",
        "state": "stalled",
        "bytes": 5000,
        "retries": 2,
        "lag_bytes": 300,
        "lag_seconds": 1.5,
        "unannounced": ["av01"],
        "status": "NetStream.Publish.Start Go.",
        "reason": "the server takes nothing more",
        "retry_in_seconds": None,
        "slate": None,
    }
    async with client.get("/api/v1/relays") as response:
        assert await response.json() == {"items": [added], "next": None, "total": 1}
        assert response.headers["Cache-Control"] == "no-store"
    assert desk.pushes.calls == [("add", StreamKey("live", "cam"), BODY["url"], None)]


async def test_tracks_are_chosen(client: aiohttp.ClientSession, desk: Desk) -> None:
    async with client.post(PUSH, json=BODY | {"track": "all"}) as response:
        assert response.status == 201
    assert desk.pushes.calls == [("add", StreamKey("live", "cam"), BODY["url"], "all")]


async def test_a_target_is_removed(client: aiohttp.ClientSession, desk: Desk) -> None:
    async with client.delete(f"{PUSH}/api-1") as response:
        assert (response.status, await response.text()) == (204, "")
    async with client.delete(f"{PUSH}/api-2") as response:
        assert response.status == 404
        assert (await response.json())["detail"] == "live/cam is pushed to no target api-2"


async def test_names_with_slashes(client: aiohttp.ClientSession, desk: Desk) -> None:
    base = client._base_url
    assert base is not None
    for path, status in (("a%2Fb/c%2Fd", 201), ("..%2Fb/x", 400), ("a%20b/x", 400)):
        url = URL(f"{base.scheme}://{base.authority}/api/v1/streams/{path}/push", encoded=True)
        async with client.post(url, json=BODY) as response:
            assert response.status == status
    assert desk.pushes.calls[-1] == ("add", StreamKey("a", "b/c/d"), BODY["url"], None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 20_000, 400),
        (b"[]", 400),
        (b'{"url": 5}', 400),
        pytest.param(b'{"url": ' + b"9" * 60_000 + b"}", 400, id="60,000 digits"),
        (b'{"url": "rtmp://a/b/c", "more": 1}', 400),
        (b'{"url": "bad"}', 422),
        (b'{"url": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
async def test_bodies_that_are_refused(client: aiohttp.ClientSession, body: bytes, status: int) -> None:
    async with client.post(PUSH, data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        told = await response.json()
        assert told.keys() == {"type", "title", "status", "detail"}
        assert (told["status"], "xxx" in told["detail"], "999" in told["detail"]) == (status, False, False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=nope"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "deflate"},
    ],
    ids=lambda headers: "; ".join(headers.values()),
)
async def test_bodies_in_odd_encodings_are_refused(
    client: aiohttp.ClientSession, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    # Sent by hand: this client would compress what it is told is compressed.
    assert client._base_url is not None
    reader, writer = await asyncio.open_connection(client._base_url.host, client._base_url.port)
    lines = [f"POST {PUSH} HTTP/1.1", "Host: localhost", "Content-Length: 9"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", '{"url":1}']).encode())
    status = await reader.readline()
    writer.close()
    assert status.startswith(b"HTTP/1.1 400 ")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_web_pages_cannot_change_anything(client: aiohttp.ClientSession, desk: Desk) -> None:
    headers = {"Origin": "http://evil.example"}
    async with client.post(PUSH, json=BODY, headers=headers) as response:
        assert response.status == 403
    async with client.delete(f"{PUSH}/api-1", headers=headers) as response:
        assert response.status == 403
    # What a page may send without asking first.
    async with client.post(PUSH, data=b'{"url": "x"}', headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 415
    assert desk.pushes.calls == []
