from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network

import aiohttp
import pytest
from control_kit import Desk

from rtmpd import __version__
from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.listeners import open_listener
from rtmpd.net.proxies import NO_PROXIES, TrustedProxies
from rtmpd.rtmp.form import form
from rtmpd.web.limits import AdminLimits
from rtmpd.web.page import SharedPage
from rtmpd.web.server import AdminServer, OpenPages

API = tuple(f"/api/v1/{page}" for page in ("server", "streams", "sessions", "bans", "relays", "openapi.json"))


class Readiness:
    def __init__(self) -> None:
        self.reason: str | None = None

    def __call__(self) -> str | None:
        return self.reason


def admin(readiness: Readiness, limits: AdminLimits | None = None, *, local: bool = True) -> AdminServer:
    desk = Desk()
    pages = OpenPages(SharedPage(desk.control.metrics, 0.0, time.monotonic), readiness)
    desk.admission.open = ("metrics", "health")
    return AdminServer(pages, desk.guarded(), limits, local=local)


@asynccontextmanager
async def listening(
    limits: AdminLimits | None = None, *, local: bool = True
) -> AsyncIterator[Callable[[bytes], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]]:
    """An admin server, and a way to say something to it over a connection of its own."""
    server = admin(Readiness(), limits, local=local)
    address = (await server.start(open_listener(Address("127.0.0.1", 0)))).address
    writers = []

    async def say(data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writers.append(writer)
        writer.write(data)
        return reader, writer

    yield say
    for writer in writers:
        writer.close()
    await server.close()


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
async def client(readiness: Readiness) -> AsyncIterator[aiohttp.ClientSession]:
    server = admin(readiness)
    address = (await server.start(open_listener(Address("127.0.0.1", 0)))).address
    async with aiohttp.ClientSession(f"http://{address}") as session:
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


async def test_metrics_come_in_the_format_that_is_asked_for(client: aiohttp.ClientSession) -> None:
    for accept, end in (("text/plain", "\n"), ("application/openmetrics-text", "# EOF\n")):
        async with client.get("/metrics", headers={"Accept": accept}) as response:
            page = await response.text()
        assert response.headers["Content-Type"].startswith(accept)
        assert page.endswith(end)
        assert "rtmpd_streams{" in page


async def test_index_names_every_page(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as response:
        page = await response.text()
    for path in ("/metrics", "/healthz", "/readyz", "/version", *API):
        # Without the slash at the start: a proxy may have the page below a path.
        assert f'href="{path[1:]}"' in page
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
    server = admin(readiness)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match="is another server running there"),
    ):
        await server.start(open_listener(Address("127.0.0.1", taken.getsockname()[1])))
    address = (await server.start(open_listener(Address("127.0.0.1", 0)))).address
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))


async def test_several_addresses_serve_the_same_pages(readiness: Readiness) -> None:
    servers = [admin(readiness) for _ in range(2)]
    addresses = [(await server.start(open_listener(Address("127.0.0.1", 0)))).address for server in servers]
    assert addresses[0] != addresses[1]
    async with aiohttp.ClientSession() as session:
        for address in addresses:
            async with session.get(f"http://{address}/metrics") as response:
                assert response.status == 200
    for server in (*servers, *servers):
        await server.close()


# Who is listened to, and for how long

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = (
    b"POST /api/v1/streams/live/cam/push HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{"
)


@pytest.mark.parametrize("begun", [b"", b"G", GET], ids=["nothing", "a byte", "headers without an end"])
async def test_headers_have_a_deadline(begun: bytes) -> None:
    async with listening(AdminLimits(request_timeout=0.2)) as say, asyncio.timeout(5.0):
        reader, _ = await say(begun)
        assert await reader.read() == b""


async def test_headers_that_come_a_byte_at_a_time_have_the_same_deadline() -> None:
    async with listening(AdminLimits(request_timeout=0.3)) as say, asyncio.timeout(5.0):
        reader, writer = await say(GET)
        # A connection that is reset never comes to its end, and nothing more waits for anything there.
        while not reader.at_eof() and reader.exception() is None:
            with suppress(ConnectionError):
                writer.write(b"X: y\r\n")
                await writer.drain()
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.02):
                    assert await reader.read() == b""


async def test_headers_of_a_second_request_have_a_deadline_too() -> None:
    async with listening(AdminLimits(request_timeout=0.3)) as say, asyncio.timeout(5.0):
        reader, writer = await say(GET + b"\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.write(GET)
        answer = await reader.read()
        assert b"HTTP/1.1 200 OK" not in answer


async def test_the_rest_of_a_request_has_a_deadline() -> None:
    async with listening(AdminLimits(request_timeout=0.2)) as say, asyncio.timeout(5.0):
        reader, _ = await say(POST)
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")


async def test_nobody_is_cut_while_there_is_room() -> None:
    async with listening(AdminLimits(max_connections=4)) as say, asyncio.timeout(5.0):
        everybody = [await say(GET) for _ in range(4)]
        for reader, writer in everybody:
            writer.write(b"\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


async def test_idle_connections_keep_nobody_out() -> None:
    async with listening(AdminLimits(max_connections=4)) as say, asyncio.timeout(5.0):
        idle = [await say(GET) for _ in range(20)]
        reader, _ = await say(GET + b"\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        for reader, _ in idle[:16]:
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        reader, writer = idle[-1]
        writer.write(b"\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9935", "127.0.0.1:1", "[::1]:9935", "x.localhost", ""]
)
async def test_names_of_this_machine_are_answered(host: str) -> None:
    async with listening() as say, asyncio.timeout(5.0):
        reader, _ = await say(b"GET /metrics HTTP/1.1\r\nHost: " + host.encode() + b"\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "host",
    ["rebound.example", "rebound.example:9935", "192.0.2.1", "localhost.example", "[::2]", "[", "127.1"],
)
async def test_a_name_that_anybody_could_point_here_is_refused_on_loopback(host: str) -> None:
    request = b"GET /metrics HTTP/1.1\r\nHost: " + host.encode() + b"\r\n\r\n"
    async with listening() as say, asyncio.timeout(5.0):
        reader, _ = await say(request)
        assert (await reader.readline()).startswith(b"HTTP/1.1 421 ")
    async with listening(local=False) as say, asyncio.timeout(5.0):
        reader, _ = await say(request)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


SCRAPE = (
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n"
    b"Accept: application/openmetrics-text; version=x\r\n\r\n"
)
CHUNKED = (
    b"POST /api/v1/streams/a/b/push HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: application/json; charset=utf-7\r\nContent-Encoding: br\r\n\r\n3\r\n{}}\r\n0\r\n\r\n"
)
SEEDS = [
    GET + b"\r\n",
    SCRAPE,
    b"GET /api/v1/relays?x=%00 HTTP/1.0\r\n\r\n",
    POST + b'"url": "rtmp://user:pass@[::1]:1935/live/cam?x=1"' + b" " * 51 + b"}",
    b"DELETE /api/v1/streams/a%2Fb/c%20d/push/api-1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    CHUNKED,
]


def mutated(dice: random.Random) -> bytes:
    data = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(0, 6)):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randint(1, 8)]
            case 2:
                data[at:at] = dice.choice(
                    [b"%", b"%C3", b"\xff", b"\r\n", b"\0", b"9" * 5000, b";", b"//", b".."]
                )
            case _:
                other = dice.choice(SEEDS)
                data[at:at] = other[dice.randrange(len(other)) :][: dice.randint(1, 40)]
        data = data or bytearray(b"G")
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
async def test_no_request_is_an_error_of_ours(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(seed)
    async with listening(AdminLimits(request_timeout=2.0), local=False) as say:
        for _ in range(100):
            data = mutated(dice)
            reader, writer = await say(data)
            writer.write_eof()
            heard = b""
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(0.05):
                    heard = await reader.readline()
            writer.close()
            assert not heard.startswith(b"HTTP/1.1 5"), data
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


# -- Behind proxies

V1 = "PROXY TCP4 {} 192.0.2.1 40000 9935\r\n"
TRUSTED = TrustedProxies([ip_network("127.0.0.0/8"), ip_network("192.0.2.128/25")])
PUSH = "POST /api/v1/streams/live/cam/push HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 0\r\n\r\n"
MAY = b"HTTP/1.1 415"
"""What a change is answered that says nothing, of who may change things."""


@asynccontextmanager
async def behind(
    proxy: ProxyUse = ProxyUse.OFF,
    proxies: TrustedProxies = TRUSTED,
    limits: AdminLimits | None = None,
) -> AsyncIterator[Callable[..., Awaitable[bytes]]]:
    """An admin server, and a way to hear its first answer to something."""
    desk = Desk()
    pages = OpenPages(SharedPage(desk.control.metrics, 0.0, time.monotonic), Readiness())
    server = AdminServer(pages, desk.guarded(), limits, lambda: proxies, local=True)
    address = (await server.start(open_listener(Address("127.0.0.1", 0)), proxy)).address

    async def ask(*said: str) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            async with asyncio.timeout(5):
                for part in said:
                    writer.write(part.encode())
                    await asyncio.sleep(0.002)
                return await reader.read(2000)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    yield ask
    await server.close()


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ("", True),
        ("X-Forwarded-For: 127.0.0.1\r\n", True),
        ("X-Forwarded-For: 203.0.113.7\r\n", False),
        ("X-Forwarded-For: 127.0.0.1, 203.0.113.7\r\n", False),
        ("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.7\r\n", False),
        ("X-Forwarded-For: 203.0.113.7, 192.0.2.129\r\n", False),
        ("X-Forwarded-For: 127.0.0.1, 192.0.2.129\r\n", True),
        ("X-Forwarded-For: 127.0.0.1:4711\r\n", True),
        ("X-Forwarded-For: ::1\r\n", True),
        ("X-Forwarded-For: nonsense\r\n", False),
        ("X-Forwarded-For: ,\r\n", False),
        ("Forwarded: for=127.0.0.1\r\n", True),
        ('Forwarded: for="[2001:db8::7]:4711";proto=https\r\n', False),
        ('Forwarded: for="[::1]:4711"\r\n', True),
        ("Forwarded: for=_hidden\r\n", False),
        ("Forwarded: by=127.0.0.1\r\n", False),
        ("Forwarded: for=127.0.0.1\r\nX-Forwarded-For: 203.0.113.7\r\n", False),
        ("Forwarded: for=203.0.113.7\r\nX-Forwarded-For: 203.0.113.7\r\n", False),
    ],
)
async def test_changes_are_for_who_is_here_however_many_proxies_are_between(headers: str, may: bool) -> None:
    async with behind() as ask:
        answer = await ask(PUSH.format(headers))
        assert answer.startswith(MAY if may else b"HTTP/1.1 401"), answer


async def test_a_proxy_that_nobody_trusts_changes_nothing() -> None:
    async with behind(proxies=NO_PROXIES) as ask:
        answer = await ask(PUSH.format("X-Forwarded-For: 127.0.0.1\r\n"))
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"a proxy, 127.0.0.1, which network.trusted_proxies does not name" in answer
        assert (await ask(PUSH.format(""))).startswith(MAY)


@pytest.mark.parametrize(("address", "may"), [("127.0.0.1", True), ("203.0.113.7", False)])
async def test_a_proxy_header_says_who_asks(address: str, may: bool) -> None:
    async with behind(ProxyUse.REQUIRE) as ask:
        for said in ([V1.format(address) + PUSH.format("")], [*V1.format(address), PUSH.format("")]):
            assert (await ask(*said)).startswith(MAY if may else b"HTTP/1.1 401")


async def test_whom_nobody_knows_changes_nothing() -> None:
    async with behind(ProxyUse.REQUIRE) as ask:
        assert (await ask("PROXY UNKNOWN\r\n" + PUSH.format(""))).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("proxy", "proxies", "said", "detail"),
    [
        (ProxyUse.REQUIRE, TRUSTED, PUSH.format(""), "it begins without a PROXY header"),
        (ProxyUse.REQUIRE, TRUSTED, "PROXY TCP4 x\r\n", "a line of version 1 that cannot be read"),
        (ProxyUse.REQUIRE, NO_PROXIES, V1.format("::1"), "if this is a proxy of yours, name its"),
        (ProxyUse.ACCEPT, NO_PROXIES, V1.format("127.0.0.1"), "if this is a proxy of yours"),
    ],
)
async def test_headers_that_are_not_believed_are_told_and_hung_up_on(
    proxy: ProxyUse,
    proxies: TrustedProxies,
    said: str,
    detail: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "rtmpd")
    async with behind(proxy, proxies) as ask:
        assert await ask(said) == b""
    (line,) = [each for each in caplog.records if each.name.startswith("rtmpd")]
    assert line.getMessage() == "PROXY header refused"
    assert str(vars(line)["fields"]["detail"]).startswith(detail)


async def test_where_proxy_headers_may_be_left_out_a_post_is_no_header() -> None:
    async with behind(ProxyUse.ACCEPT) as ask:
        for said in ([PUSH.format("")], [*PUSH.format("")[:6], PUSH.format("")[6:]]):
            assert (await ask(*said)).startswith(MAY)


async def test_half_proxy_headers_have_a_deadline_and_so_many_places() -> None:
    async with behind(ProxyUse.REQUIRE, limits=AdminLimits(2, 0.3)) as ask:
        began = time.monotonic()
        assert await asyncio.gather(*(ask("PROXY ") for _ in range(3))) == [b""] * 3
        assert time.monotonic() - began < 3
    async with behind(ProxyUse.REQUIRE, limits=AdminLimits(2, 60)) as ask:
        halves = [asyncio.ensure_future(ask("PROXY ")) for _ in range(2)]
        await asyncio.sleep(0.05)
        third = asyncio.ensure_future(ask("PROXY "))
        assert await halves[0] == b""
        assert (await ask(V1.format("127.0.0.1") + PUSH.format(""))).startswith(MAY)
        assert await halves[1] == b""
        third.cancel()
