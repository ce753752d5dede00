from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from rtmpd import __version__
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import ConfigError, UsageError
from rtmpd.net.relay import RelayStatus
from rtmpd.rtmp.form import form
from rtmpd.web.relays import RelayApi
from rtmpd.web.server import AdminServer


class FixedPage:
    """A metrics page that tells what it was asked for."""

    def snapshot(self) -> FixedPage:
        return self

    def render(self, accept: str) -> tuple[str, bytes]:
        return "text/plain; version=0.0.4; charset=utf-8", f"# accept {accept}\n".encode()


class NoPushes:
    def add(self, key: StreamKey, url: str) -> RelayStatus:
        raise UsageError("no")

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        return False


class Readiness:
    def __init__(self) -> None:
        self.reason: str | None = None

    def __call__(self) -> str | None:
        return self.reason


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
async def client(readiness: Readiness) -> AsyncIterator[aiohttp.ClientSession]:
    server = AdminServer(FixedPage(), readiness, RelayApi(NoPushes(), list), local=True)
    host, port = await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session
    await server.close()


async def test_healthz_answers_even_when_not_ready(
    client: aiohttp.ClientSession, readiness: Readiness
) -> None:
    readiness.reason = "draining"
    async with client.get("/healthz") as response:
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_readyz_follows_the_readiness_and_names_the_reason(
    client: aiohttp.ClientSession, readiness: Readiness
) -> None:
    async with client.get("/readyz") as response:
        assert (response.status, await response.text()) == (200, "ready\n")
    readiness.reason = "draining"
    async with client.get("/readyz") as response:
        assert (response.status, await response.text()) == (503, "draining\n")
        assert response.headers["Cache-Control"] == "no-store"


async def test_metrics_passes_the_accept_header_and_the_content_type(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics", headers={"Accept": "text/plain"}) as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert await response.text() == "# accept text/plain\n"


async def test_index_names_every_page(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as response:
        page = await response.text()
    for path in ("/metrics", "/healthz", "/readyz", "/version", "/api/v1/relays"):
        assert f'href="{path}"' in page
        async with client.get(path) as response:
            assert response.status == 200


async def test_version(client: aiohttp.ClientSession) -> None:
    async with client.get("/version") as response:
        told = await response.json()
        assert (told["rtmpd"], told["form"]) == (__version__, form())


async def test_nothing_can_be_changed_over_http(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/metrics", "/healthz", "/readyz", "/version"):
        async with client.post(path) as response:
            assert response.status == 405


async def test_a_taken_port_is_explained_and_leaves_nothing_open(readiness: Readiness) -> None:
    server = AdminServer(FixedPage(), readiness, RelayApi(NoPushes(), list), local=True)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match="is another server running there"),
    ):
        await server.start("127.0.0.1", taken.getsockname()[1])
    address = await server.start("127.0.0.1", 0)
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_several_addresses_serve_the_same_pages(readiness: Readiness) -> None:
    server = AdminServer(FixedPage(), readiness, RelayApi(NoPushes(), list), local=True)
    addresses = [await server.start("127.0.0.1", 0), await server.start("127.0.0.1", 0)]
    assert addresses[0] != addresses[1]
    async with aiohttp.ClientSession() as session:
        for host, port in addresses:
            async with session.get(f"http://{host}:{port}/healthz") as response:
                assert response.status == 200
    await server.close()
    await server.close()
