from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from metrics_sources import FakeServer, fake_relay, series, value
from yarl import URL

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.relay.status import RelayState, RelayStatus
from rtmpd.web.page import SharedPage
from rtmpd.web.relays import RelayApi
from rtmpd.web.server import AdminServer

PUSH = "/api/v1/streams/live/cam/push"
BODY = {"url": "rtmp://elsewhere/live/s3cret"}


class FakePushes:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.relays: list[RelayStatus] = []

    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        self.calls.append(("add", key, url, track))
        if "bad" in url:
            raise UsageError("that is no URL")
        self.relays.append(fake_relay("push"))
        return self.relays[-1]

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        self.calls.append(("remove", key, relay_id))
        return relay_id == "api-1"


@pytest.fixture
def pushes() -> FakePushes:
    return FakePushes()


async def open_client(pushes: FakePushes, *, local: bool) -> tuple[AdminServer, aiohttp.ClientSession]:
    api = RelayApi(pushes, lambda: pushes.relays)
    server = AdminServer(SharedPage(FakeServer().page(), 0.0, time.monotonic), lambda: None, api, local=local)
    address = (await server.start(open_listener(Address("127.0.0.1", 0)))).address
    return server, aiohttp.ClientSession(f"http://{address}")


@pytest.fixture
async def client(pushes: FakePushes) -> AsyncIterator[aiohttp.ClientSession]:
    server, session = await open_client(pushes, local=True)
    async with session:
        yield session
    await server.close()


async def test_relays_are_listed_and_added(client: aiohttp.ClientSession, pushes: FakePushes) -> None:
    async with client.get("/api/v1/relays") as response:
        assert await response.json() == {"relays": []}
    async with client.post(PUSH, json=BODY) as response:
        assert response.status == 201
        added = await response.json()
    assert added == {
        "kind": "push",
        "id": "api-1",
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
        "retry_in": None,
    }
    async with client.get("/api/v1/relays") as response:
        assert await response.json() == {"relays": [added]}
        assert response.headers["Cache-Control"] == "no-store"
    assert pushes.calls == [("add", StreamKey("live", "cam"), BODY["url"], None)]


async def test_tracks_are_chosen(client: aiohttp.ClientSession, pushes: FakePushes) -> None:
    async with client.post(PUSH, json=BODY | {"track": "all"}) as response:
        assert response.status == 201
    assert pushes.calls == [("add", StreamKey("live", "cam"), BODY["url"], "all")]


async def test_a_target_is_removed(client: aiohttp.ClientSession, pushes: FakePushes) -> None:
    async with client.delete(f"{PUSH}/api-1") as response:
        assert (response.status, await response.text()) == (204, "")
    async with client.delete(f"{PUSH}/api-2") as response:
        assert (response.status, await response.json()) == (404, {"error": "there is no such push target"})


async def test_names_with_slashes(client: aiohttp.ClientSession, pushes: FakePushes) -> None:
    base = client._base_url
    assert base is not None
    for path, status in (("a%2Fb/c%2Fd", 201), ("..%2Fb/x", 400), ("a%20b/x", 400)):
        url = URL(f"{base.scheme}://{base.authority}/api/v1/streams/{path}/push", encoded=True)
        async with client.post(url, json=BODY) as response:
            assert response.status == status
    assert pushes.calls[-1] == ("add", StreamKey("a", "b/c/d"), BODY["url"], None)


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
        (b'{"url": "bad"}', 400),
        (b'{"url": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
async def test_bodies_that_are_refused(client: aiohttp.ClientSession, body: bytes, status: int) -> None:
    async with client.post(PUSH, data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status == status
        if status == 400:
            assert set(await response.json()) == {"error"}


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


async def test_web_pages_cannot_change_anything(client: aiohttp.ClientSession, pushes: FakePushes) -> None:
    headers = {"Origin": "http://evil.example"}
    async with client.post(PUSH, json=BODY, headers=headers) as response:
        assert response.status == 403
    async with client.delete(f"{PUSH}/api-1", headers=headers) as response:
        assert response.status == 403
    # What a page may send without asking first.
    async with client.post(PUSH, data=b'{"url": "x"}', headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 415
    assert pushes.calls == []


async def test_other_machines_may_look_but_not_change(pushes: FakePushes) -> None:
    server, session = await open_client(pushes, local=False)
    async with session:
        async with session.get("/api/v1/relays") as response:
            assert response.status == 200
        async with session.post(PUSH, json=BODY) as response:
            assert response.status == 403
            assert "loopback" in (await response.json())["error"]
        async with session.delete(f"{PUSH}/api-1") as response:
            assert response.status == 403
    await server.close()
    assert pushes.calls == []


# -- metrics


def test_every_relay_has_series() -> None:
    server = FakeServer(relays=[fake_relay("push"), fake_relay("pull")])
    labels = {"app": "live", "stream": "cam", "remote": "rtmp://elsewhere/live", "relay": "api-1"}
    page = server.page()
    for kind in ("push", "pull"):
        assert value(page, "rtmpd_relays", kind=kind, state="stalled") == 1
        assert value(page, "rtmpd_relays", kind=kind, state="live") == 0
        assert value(page, "rtmpd_relay_bytes_total", kind=kind, **labels) == 5000
        assert value(page, "rtmpd_relay_retries_total", kind=kind, **labels) == 2
        assert value(page, "rtmpd_relay_lag_bytes", kind=kind, **labels) == 300
        assert value(page, "rtmpd_relay_lag_seconds", kind=kind, **labels) == 1.5
        assert value(page, "rtmpd_relay_unannounced_codecs", kind=kind, **labels) == 1
        states = {
            state: value(page, "rtmpd_relay_state", kind=kind, state=state, **labels) for state in RelayState
        }
        assert states == dict.fromkeys(RelayState, 0) | {"stalled": 1}


def test_the_number_of_series_is_bounded_but_all_are_counted() -> None:
    relays = [fake_relay("push", f"api-{number}") for number in range(5)]
    page = FakeServer(relays=relays).page(2)
    assert value(page, "rtmpd_relays", kind="push", state="stalled") == 5
    assert len([key for key in series(page) if key[0] == "rtmpd_relay_bytes_total"]) == 2
