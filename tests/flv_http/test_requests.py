"""Who asks for what, and what is said to browsers, proxies and those who ask for nothing that there is."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress

import pytest
from engine_kit import keyframe
from http_kit import UPGRADE, site
from net_kit import HEADERS, Doorman, eventually

from rtmpd.exceptions import Refused
from rtmpd.http.answers import ANY_ORIGIN, Origins
from rtmpd.http.server import HttpRules
from rtmpd.net.proxies import TrustedProxies
from rtmpd.reasons import Refusal, SessionFailure
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.limits import Limits
from rtmpd.serving.access import AccessRequest, Grant
from rtmpd.serving.server import ConnectionLimits

PATH = "/live/cam.flv"
PAGE = "https://www.example.com"
PROXIES = TrustedProxies([ipaddress.ip_network("127.0.0.1")])


class Refusing:
    def __init__(self, reason: Refusal) -> None:
        self.reason = reason

    def authorize(self, request: AccessRequest) -> Grant:
        raise Refused(StatusCode.PLAY_FAILED, f"No: {request.key}.", self.reason)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/live/cam", "POST", 404),
        ("/.flv", "GET", 404),
        ("/live/.flv", "GET", 404),
        ("/live/a%20b.flv", "GET", 404),
        ("/live/%FF.flv", "GET", 404),
        ("/live/%2e%2e/%2e%2e/cam.flv", "GET", 404),
        ("/live/a@b.flv", "GET", 404),
        (PATH, "PUT", 405),
        (PATH, "DELETE", 405),
        (PATH, "HEAD", 404),
        (PATH, "OPTIONS", 204),
        (f"{PATH}?x={'y' * 3000}", "GET", 400),
    ],
)
async def test_what_there_is_not(path: str, method: str, status: int) -> None:
    async with site() as there:
        browser = await there.get(path, method)
        assert browser.status == status
        assert browser.headers["server"] == "rtmpd"
        if "content-length" in browser.headers and method != "HEAD":
            assert (await browser.body()).endswith(".\n")


async def test_requests_follow_each_other_on_a_connection_until_one_plays() -> None:
    async with site() as there:
        encoder = await (await there.house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        await eventually(lambda: there.house.stream().stats.video.messages_in == 2)
        browser = await there.browser()
        for _ in range(3):
            browser.ask(PATH, "HEAD").ask("/nothing")
        for _ in range(3):
            assert await browser.head() == 200
            assert browser.headers["content-type"] == "video/x-flv"
            assert await browser.head() == 404
            await browser.body()
        browser.ask(PATH)
        assert await browser.head() == 200
        assert (await browser.tag()).type == 8
        assert there.house.stats.plays_total == 1


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Refusal.NOT_PROVEN, 401),
        (Refusal.KEY_WRONG, 403),
        (Refusal.NOT_LOCAL, 403),
        (Refusal.BACKEND_REFUSED, 403),
        (Refusal.PLAY_RATE, 429),
        (Refusal.STREAM_BUSY, 409),
        (Refusal.PLAYERS_PER_STREAM, 503),
        (Refusal.MEMORY, 503),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_refusal_has_a_status_and_its_sentence(reason: Refusal, status: int, method: str) -> None:
    async with site(authorizer=Refusing(reason)) as there:
        browser = await there.get(PATH, method)
        assert browser.status == status
        assert ("retry-after" in browser.headers) == (status in (429, 503))
        if method != "HEAD":
            assert await browser.body() == "No: live/.\n"
        assert there.house.stats.refusals == {reason: 1}


@pytest.mark.parametrize("allowed", [(PAGE,), (ANY_ORIGIN,)])
async def test_web_pages_that_are_named_may_have_streams(allowed: tuple[str, ...]) -> None:
    async with site(HttpRules(origins=Origins(frozenset(allowed)))) as there:
        encoder = await (await there.house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        for method in ("GET", "HEAD", "OPTIONS"):
            browser = await there.get(PATH, method, Origin=PAGE)
            assert browser.headers["access-control-allow-origin"] == (PAGE if PAGE in allowed else "*")
            assert browser.headers.get("vary") == ("Origin" if PAGE in allowed else None)
            # Caches keep an answer for whoever comes next, from any page.
            browser = await there.get(PATH, method)
            assert browser.headers.get("access-control-allow-origin") == (None if PAGE in allowed else "*")
        assert "GET" in browser.headers["access-control-allow-methods"]
        near = await there.get(PATH, "OPTIONS", Origin=PAGE, Access_Control_Request_Private_Network="true")
        assert near.headers["access-control-allow-private-network"] == "true"
        await there.socket(PATH, Origin=PAGE)


async def test_web_pages_of_others_may_not() -> None:
    ours = Origins(frozenset({PAGE}), lambda: frozenset({9090}))
    others = (
        *("https://evil.example", "null", "http://www.example.com", "http://tv.example:8936"),
        *(
            "http://tv.example",
            "http://evil.tv.example:8935",
            "http://[tv.example:8935",
            "http://tv.example:x",
        ),
        *("http://other.example:9090", "tv.example:8935", ""),
    )
    async with site(HttpRules(origins=ours)) as there:
        for origin in others:
            for method in ("GET", "POST", "OPTIONS"):
                browser = await there.get(PATH, method, Origin=origin)
                assert browser.status == 403
                assert "access-control-allow-origin" not in browser.headers
            opened = (await there.browser()).ask_with(PATH, UPGRADE | {"Origin": origin})
            assert await opened.head() == 403
        assert there.house.stats.plays_total == 0


@pytest.mark.parametrize(
    "origin", ["http://tv.example:8935", "https://TV.example:8935", "http://tv.example:9090"]
)
async def test_our_own_pages_and_the_console_may_play_and_not_publish(origin: str) -> None:
    """A page that gives its own name our address may, too: it could as well ask without an origin."""
    ours = Origins(console_ports=lambda: frozenset({9090}))
    async with site(HttpRules(origins=ours)) as there:
        encoder = await (await there.house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        for method in ("GET", "HEAD", "OPTIONS"):
            browser = await there.get(PATH, method, Origin=origin)
            assert browser.status in (200, 204)
            assert browser.headers["access-control-allow-origin"] == origin
        await there.socket(PATH, Origin=origin)
        assert (await there.get("/live/other.flv", "POST", Origin=origin)).status == 403
        # That somebody watches.
        assert (await there.get("/live/cam/beacon", "POST", Origin=origin)).status == 404
        assert (await there.get("/live/cam/beacon", "POST", Origin="https://evil.example")).status == 403


async def test_paths_have_a_prefix() -> None:
    doorman = Doorman()
    async with site(HttpRules(prefix="/video"), authorizer=doorman) as there:
        answer = await there.get(PATH)
        said = "There is nothing at this path. A stream has /video/APP/NAME, which is its page"
        assert (answer.status, (await answer.body()).startswith(said)) == (404, True)
        assert (await there.get("/videolive/cam.flv")).status == 404
        (await there.browser()).ask(f"/video{PATH}")
        await eventually(lambda: doorman.requests)
        assert str(doorman.requests[0].key) == "live/cam"


async def test_names_are_read_as_paths_are() -> None:
    doorman = Doorman()
    async with site(authorizer=doorman, apps=frozenset({"live/sub"})) as there:
        for path in ("/live/sub/a/k%C3%A4se.flv", "//live//x%2520y.flv", "http://a.example/live/z.flv"):
            (await there.browser()).ask(path)
        await eventually(lambda: len(doorman.requests) == 3)
        keys = [request.key for request in doorman.requests]
        assert [(key.app, key.name) for key in keys] == [
            ("live/sub", "a/k\u00e4se"),
            ("live", "x%20y"),
            ("live", "z"),
        ]


async def test_what_a_client_says_of_itself_can_be_written_down() -> None:
    """Bytes that are no UTF-8 would be an error of ours in the log, and in what backends are asked."""
    doorman = Doorman()
    async with site(authorizer=doorman) as there:
        browser = await there.browser()
        said = [b"Host: tv\xff.example", b"User-Agent: a\xfe\tb", "Referer: http://k\u00e4se\u200b/".encode()]
        browser.writer.write(b"\r\n".join([b"GET /live/cam.flv HTTP/1.1", *said, b"", b""]))
        await eventually(lambda: doorman.requests)
        connect = doorman.requests[0].connect
        assert connect.tc_url == "http://tv?.example/live"
        assert (connect.flash_ver, connect.page_url) == ("a?b", "http://k\u00e4se/")


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"X_Forwarded_For": "198.51.100.7"}, "198.51.100.7"),
        ({"X_Forwarded_For": "1.2.3.4, 198.51.100.7"}, "198.51.100.7"),
        ({"Forwarded": 'for="[2001:db8::7]:1234";proto=https'}, "2001:db8::7"),
        ({"Forwarded": "for=198.51.100.7", "X_Forwarded_For": "1.2.3.4"}, "unknown"),
        ({"X_Forwarded_For": "nobody"}, "unknown"),
        ({}, "127.0.0.1"),
    ],
)
async def test_a_trusted_proxy_says_who_asks(headers: dict[str, str], address: str) -> None:
    doorman = Doorman()
    async with site(authorizer=doorman, proxies=PROXIES) as there:
        (await there.browser()).ask(PATH, **headers)
        await eventually(lambda: doorman.requests)
        assert doorman.requests[0].origin.address == address


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "Via", "X_Real_IP"])
async def test_what_came_through_a_proxy_that_nobody_named_is_not_of_here(header: str) -> None:
    """Or whoever it passes on would be on this machine, and may publish."""
    doorman = Doorman()
    async with site(authorizer=doorman) as there:
        (await there.browser()).ask(PATH, **{header: "127.0.0.1"})
        await eventually(lambda: doorman.requests)
        origin = doorman.requests[0].origin
        assert (origin.address, origin.nameless, origin.network) == ("unknown", True, "127.0.0.1")


async def test_each_client_of_a_proxy_has_limits_of_its_own() -> None:
    limits = ConnectionLimits(max_connections_per_address=1)
    async with site(connections=limits, proxies=PROXIES) as there:
        browsers = [await there.browser() for _ in range(3)]
        await eventually(lambda: there.house.open_connections == 3)
        for number, browser in enumerate(browsers):
            browser.ask(PATH, X_Forwarded_For=f"198.51.100.{number}")
        await eventually(lambda: there.house.stats.players == 3)
        second = await there.get(PATH, X_Forwarded_For="198.51.100.1")
        assert (second.status, second.headers["retry-after"]) == (503, "10")
        assert await second.body() == "Your address has had its share: max_connections_per_address.\n"


async def test_limits_of_connections_hold_before_a_byte_is_read() -> None:
    async with site(connections=ConnectionLimits(max_connections_per_address=1)) as there:
        first = await there.browser()
        await eventually(lambda: there.house.open_connections == 1)
        second = await there.browser()
        assert await second.closed() == b""
        assert there.house.stats.refusals == {Refusal.MAX_CONNECTIONS_PER_ADDRESS: 1}
        assert (await first.ask("/").head()) == 404


async def test_who_asks_for_nothing_in_time_is_closed() -> None:
    async with site(limits=Limits(handshake_timeout=0.1)) as there:
        silent, slow = await there.browser(), await there.browser()
        slow.writer.write(b"GET /live/cam.flv HTTP/1.1\r\nX: ")
        for browser in (silent, slow):
            assert await browser.closed() == b""


async def test_who_does_not_finish_the_next_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.http.connection.KEEPALIVE", 0.1)
    async with site(limits=Limits(handshake_timeout=0.1)) as there:
        slow = await there.get("/nothing")
        await slow.body()
        slow.writer.write(b"GET /live/cam.flv HTTP/1.1\r\nX: ")
        assert await slow.closed() == b""


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("OPTIONS", "*", {}, 204),
        ("CONNECT", "tv.example:443", {}, 405),
        ("GET", "/nothing", {"Expect": "nothing"}, 404),
    ],
)
async def test_requests_cost_something(method: str, path: str, headers: dict[str, str], status: int) -> None:
    limits = ConnectionLimits(max_command_cost_per_address=100)
    async with site(connections=limits) as there:
        browser = await there.browser()
        for _ in range(12):
            browser.ask_with(path, headers, method)
        started = asyncio.get_running_loop().time()
        for _ in range(12):
            assert await browser.head() == status
            if status != 204:
                await browser.body()
        assert asyncio.get_running_loop().time() - started > 0.1


async def test_clients_of_a_proxy_do_not_pay_for_each_other() -> None:
    limits = ConnectionLimits(max_command_cost_per_address=10)
    async with site(connections=limits, proxies=PROXIES) as there:
        for _ in range(5):
            (await there.browser()).ask("/nothing", X_Forwarded_For="198.51.100.1")
        await eventually(lambda: [each.is_answered for each in there.house.connections].count(True) == 4)
        other = await there.get("/nothing", X_Forwarded_For="198.51.100.2")
        assert other.status == 404
        assert [each.is_answered for each in there.house.connections].count(True) >= 3


async def test_who_leaves_while_it_waits_for_its_turn_plays_nothing() -> None:
    limits = ConnectionLimits(max_command_cost_per_address=1)
    async with site(connections=limits) as there:
        browser = (await there.browser()).ask(PATH)
        await eventually(lambda: there.house.connections)
        (connection,) = there.house.connections
        await eventually(lambda: connection.is_answered)
        browser.writer.close()
        await eventually(lambda: not there.house.connections)
        await eventually(lambda: not connection.is_answered)
        assert there.house.stats.plays_total == 0


async def test_who_has_left_waits_for_its_turn_no_longer() -> None:
    limits = ConnectionLimits(max_command_cost_per_address=1)
    async with site(connections=limits) as there:
        browsers = [await there.browser() for _ in range(10)]
        for browser in browsers:
            browser.ask("/nothing")
        connections = list(there.house.connections)
        await eventually(lambda: [each.is_answered for each in connections].count(True) >= 9)
        for browser in browsers:
            browser.writer.close()
        await eventually(lambda: not any(each.is_answered for each in connections))


LONG = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 4000) for number in range(20))
ASKED = b"GET /live/cam.flv HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n" + LONG, id="a request that is not whole"),
        pytest.param(ASKED + b"GET / HTTP/1.1\r\nHost: x\r\n" + LONG, id="one behind one that is answered"),
        pytest.param(ASKED + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2500, id="many"),
        pytest.param(
            ASKED.replace(b"GET", b"POST").removesuffix(b"\r\n")
            + b"Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n"
            + LONG,
            id="behind a body",
        ),
    ],
)
async def test_so_much_waits_for_an_answer_and_no_more(said: bytes) -> None:
    async with site(authorizer=Doorman()) as there:
        browser = await there.browser()
        browser.writer.write(said)
        with contextlib.suppress(ConnectionResetError):
            assert await browser.closed() == b""
        assert there.house.stats.sessions_failed == {SessionFailure.REQUESTS_TOO_LONG: 1}
        assert there.house.registry.budget.partial_bytes == 0


async def test_what_waits_for_an_answer_is_charged_to_memory() -> None:
    doorman, budget = Doorman(), None
    async with site(authorizer=doorman) as there:
        budget = there.house.registry.budget
        body = b"FLV" + bytes(100_000)
        browser = await there.browser()
        browser.ask(PATH, "POST", Content_Length="200000").writer.write(body)
        await eventually(lambda: doorman.requests)
        await eventually(lambda: budget.partial_bytes > len(body))
        doorman.fail(Refused(StatusCode.PUBLISH_REJECTED, "No.", Refusal.KEY_WRONG))
        assert await browser.head() == 403
        assert budget.partial_bytes == 0


async def test_who_asks_often_may_ask_for_long() -> None:
    async with site() as there:
        browser = await there.browser()
        for _ in range(20):
            assert await browser.ask("/nothing", X="x" * 4000).head() == 404
            await browser.body()


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000,
        b"NONSENSE\r\n\r\n",
        b"\3" + bytes(1536),
    ],
)
async def test_what_is_no_http_is_told_so_and_closed(said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with site() as there:
        browser = await there.browser()
        browser.writer.write(said)
        browser.writer.write_eof()
        assert b"rtmpd" in (await browser.closed() or b"rtmpd")
    assert not [record for record in caplog.records if record.exc_info]
