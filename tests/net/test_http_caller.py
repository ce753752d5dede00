"""Requests to real servers on loopback: right, slow, hanging, gone, garbled, endless, not to be trusted."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import Mock

import pytest
import trustme
from backend_kit import HANG, OK, RESET, answer, backend, unused_port
from net_kit import eventually

from rtmpd.exceptions import ConnectFailed, HttpFailed, UsageError
from rtmpd.net.answer_guard import AnswerGuard
from rtmpd.net.http import ResponseHandler
from rtmpd.net.http_caller import MAX_ANSWER_BYTES, HttpCaller
from rtmpd.net.http_message import HttpAnswer, HttpRequest, check_http_url, shown_url
from rtmpd.net.resolver import AddressInfo, Resolver
from rtmpd.net.trust import Trust

SECRET = "q7secret"


@pytest.fixture
async def caller() -> AsyncIterator[HttpCaller]:
    made = HttpCaller()
    yield made
    await made.close()


def request(url: str) -> HttpRequest:
    return HttpRequest(f"{url}?token={SECRET}", SECRET.encode(), (("Authorization", SECRET),))


async def failure(caller: HttpCaller, url: str, within: float = 5.0, ca_file: str = "") -> HttpFailed:
    with pytest.raises(HttpFailed) as caught:
        await caller.call(request(url), within=within, ca_file=ca_file)
    assert SECRET not in f"{caught.value} {caught.value!r}"
    return caught.value


async def test_what_is_asked_and_answered(caller: HttpCaller) -> None:
    async with backend(answer("302 Found", "moved", "Location: other name")) as server:
        said = await caller.call(request(server.url), within=5.0)
        assert said == HttpAnswer(302, b"moved", "other name")
        (asked,) = server.asked
        assert asked.line == f"POST /hook?token={SECRET} HTTP/1.1"
        assert (asked.body, asked.headers["authorization"]) == (SECRET.encode(), SECRET)
        assert asked.headers["accept-encoding"] == "identity"


async def test_when_to_ask_again_is_told_as_it_was_written(caller: HttpCaller) -> None:
    async with backend(answer("503 Service Unavailable", "", "Retry-After: 120")) as server:
        said = await caller.call(request(server.url), within=5.0)
    assert (said.status, said.retry_after) == (503, "120")


async def test_a_get_has_no_body(caller: HttpCaller) -> None:
    async with backend() as server:
        await caller.call(HttpRequest(server.url, method="GET"), within=5.0)
        assert (server.asked[0].line, server.asked[0].body) == ("GET /hook HTTP/1.1", b"")


async def test_a_connection_is_kept_for_the_next(caller: HttpCaller) -> None:
    async with backend() as server:
        for _ in range(3):
            await caller.call(request(server.url), within=5.0)
        assert (len(server.asked), server.connections) == (3, 1)


async def test_a_connection_that_closed_meanwhile_costs_no_answer(caller: HttpCaller) -> None:
    async with backend() as server:
        server.once = True
        for _ in range(3):
            assert (await caller.call(request(server.url), within=5.0)).status == 200
        assert server.connections == 3


async def test_what_breaks_on_a_kept_connection_is_asked_once_more(caller: HttpCaller) -> None:
    said = iter([OK, RESET, OK])
    async with backend(lambda _asked: next(said)) as server:
        await caller.call(request(server.url), within=5.0)
        assert (await caller.call(request(server.url), within=5.0)).status == 200
        assert (len(server.asked), server.connections) == (3, 2)


async def test_what_breaks_on_a_fresh_connection_has_failed(caller: HttpCaller) -> None:
    async with backend(RESET) as server:
        assert (await failure(caller, server.url)).reason == "broken"
        assert len(server.asked) == 1


async def test_no_more_connections_than_are_allowed() -> None:
    caller = HttpCaller(max_connections=2)
    async with backend(HANG) as server:
        begun = time.monotonic()
        asking = [asyncio.ensure_future(failure(caller, server.url, within=0.3)) for _ in range(6)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        assert server.connections == 2
        assert {(await each).reason for each in asking} == {"timeout"}
        assert time.monotonic() - begun < 2.0  # To wait for a connection counts.
    await caller.close()


async def test_what_comes_unasked_is_no_answer_to_the_next(caller: HttpCaller) -> None:
    """A second answer, late: the question that finds it may be somebody else's."""
    said = iter([(answer(body="first"), answer(body="late")), (answer(body="second"),)])
    async with backend(lambda _asked: next(said)) as server:
        server.pause = 0.02
        assert (await caller.call(request(server.url), within=5.0)).body == b"first"
        await eventually(lambda: not server.open_connections)
        assert (await caller.call(request(server.url), within=5.0)).body == b"second"
        assert server.connections == 2


def test_who_is_done_with_a_connection_says_nothing_of_the_next_who_has_it() -> None:
    heard: list[bytes] = []
    transport, inner = Mock(spec=asyncio.Transport), Mock(spec=ResponseHandler)
    inner.data_received = heard.append
    guard = AnswerGuard(transport, inner)
    first, second = guard.expect(10), guard.expect(10)
    first()
    guard.data_received(b"12345")
    second()
    guard.data_received(b"6")
    assert heard == [b"12345"]
    assert guard.overrun
    transport.abort.assert_called_once_with()


# -- what goes wrong


async def test_a_hang_ends_with_the_time(caller: HttpCaller) -> None:
    async with backend(HANG) as server:
        found = await failure(caller, server.url, within=0.1)
        assert (found.reason, str(found)) == (
            "timeout",
            f"http://127.0.0.1:{server.port}/*** gave no whole answer within 0.1 s",
        )


async def test_a_body_that_drips_ends_with_the_time(caller: HttpCaller) -> None:
    async with backend(lambda _asked: (answer(body="x" * 20)[:-15], *[b"x"] * 15)) as server:
        server.pause = 0.05
        assert (await failure(caller, server.url, within=0.2)).reason == "timeout"


async def test_nobody_listens(caller: HttpCaller) -> None:
    port = unused_port()
    found = await failure(caller, f"http://127.0.0.1:{port}/hook")
    assert (found.reason, str(found)) == (
        "unreachable",
        f"cannot connect to http://127.0.0.1:{port}/***: Connection refused",
    )


async def test_a_name_that_nobody_knows() -> None:
    def look_up(_host: str) -> list[AddressInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    caller = HttpCaller(resolver=Resolver(look_up))
    found = await failure(caller, "http://backend.invalid/hook")
    assert (found.reason, str(found)) == (
        "unreachable",
        "cannot look up backend.invalid: Name or service not known",
    )
    await caller.close()


async def test_names_are_looked_up_by_our_resolver() -> None:
    asked: list[str] = []

    def look_up(host: str) -> list[AddressInfo]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    caller = HttpCaller(resolver=Resolver(look_up))
    async with backend() as server:
        server.once = True
        for _ in range(2):
            await caller.call(HttpRequest(f"http://backend.test:{server.port}/hook"), within=5.0)
    assert asked == ["backend.test"]
    await caller.close()


@pytest.mark.parametrize(
    "garbage", [b"\0\1\2\3\r\n\r\n", b"220 mail.example.com ESMTP\r\n", b"HTTP/1.1 banana\r\n\r\n"]
)
async def test_garbage_is_no_answer(caller: HttpCaller, garbage: bytes) -> None:
    async with backend(garbage) as server:
        server.once = True
        assert (await failure(caller, server.url)).reason == "broken"


async def test_half_an_answer_is_none(caller: HttpCaller) -> None:
    async with backend(answer(body="0123456789")[:-3]) as server:
        server.once = True
        assert (await failure(caller, server.url)).reason == "broken"


async def test_a_head_without_end_is_no_answer(caller: HttpCaller) -> None:
    async with backend(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n") as server:
        assert (await failure(caller, server.url)).reason == "broken"


@pytest.mark.parametrize("extra", [0, 1])
async def test_only_so_much_is_read(caller: HttpCaller, extra: int) -> None:
    async with backend(answer(body=b"x" * (MAX_ANSWER_BYTES + extra))) as server:
        if extra:
            assert (await failure(caller, server.url)).reason == "too_long"
        else:
            assert len((await caller.call(request(server.url), within=5.0)).body) == MAX_ANSWER_BYTES


async def test_a_body_without_end_is_left(caller: HttpCaller) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    async with backend(head + chunk * 100) as server:
        assert (await failure(caller, server.url)).reason == "too_long"


@pytest.mark.parametrize("endless", [b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n"], ids=["interim", "blank"])
async def test_an_answer_that_does_not_begin_is_left(caller: HttpCaller, endless: bytes) -> None:
    async with backend(lambda _asked: (endless * (200_000 // len(endless)), OK)) as server:
        assert (await failure(caller, server.url)).reason == "too_long"


async def test_who_is_cancelled_leaves_nothing_open(caller: HttpCaller) -> None:
    async with backend(HANG) as server:
        asking = asyncio.ensure_future(caller.call(request(server.url), within=5.0))
        await server.wait_for(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await eventually(lambda: not server.open_connections)


# -- TLS


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    made, path = trustme.CA(), tmp_path / "authority.pem"
    made.cert_pem.write_to_path(str(path))
    return made, str(path)


def proving(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_server_that_proves_itself(caller: HttpCaller, authority: tuple[trustme.CA, str]) -> None:
    async with backend(tls=proving(authority[0])) as server:
        for _ in range(2):
            said = await caller.call(request(server.url), within=5.0, ca_file=authority[1])
            assert said.status == 200
        assert server.connections == 1


async def test_who_is_not_trusted_is_told_nothing(
    caller: HttpCaller, authority: tuple[trustme.CA, str]
) -> None:
    async with backend(tls=proving(trustme.CA())) as server:
        for ca_file in ("", authority[1]):
            found = await failure(caller, server.url, ca_file=ca_file)
            assert found.reason == "tls"
            assert str(found).startswith(f"127.0.0.1 port {server.port} cannot be trusted: ")
        assert server.asked == []


async def test_a_certificate_of_somebody_else(caller: HttpCaller, authority: tuple[trustme.CA, str]) -> None:
    async with backend(tls=proving(authority[0], "example.com")) as server:
        assert (await failure(caller, server.url, ca_file=authority[1])).reason == "tls"
        assert server.asked == []


async def test_a_server_without_tls(caller: HttpCaller) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await failure(caller, f"https://127.0.0.1:{port}/hook")).reason == "tls"


async def test_authorities_that_cannot_be_read(caller: HttpCaller, tmp_path: Path) -> None:
    found = await failure(caller, "https://127.0.0.1:1/hook", ca_file=str(tmp_path / "none.pem"))
    assert (found.reason, str(found)) == (
        "tls",
        f"cannot use the authorities in {tmp_path}/none.pem: No such file or directory",
    )
    (tmp_path / "bad.pem").write_text("no PEM")
    with pytest.raises(ConnectFailed, match=r"bad\.pem"):
        Trust().load(str(tmp_path / "bad.pem"))


async def test_authorities_are_read_again_when_their_file_changes(authority: tuple[trustme.CA, str]) -> None:
    trust = Trust()
    before = await trust.context(authority[1])
    assert await trust.context(authority[1]) is before
    trustme.CA().cert_pem.write_to_path(authority[1])

    os.utime(authority[1], ns=(1, 1))
    assert await trust.context(authority[1]) is not before


async def test_who_waits_for_authorities_shares_one_reading_and_holds_up_nobody(
    caller: HttpCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtmpd.net.http_caller.TRUST", trust := Trust())
    may_read, readers = threading.Event(), []

    def read(**_named: object) -> ssl.SSLContext:
        readers.append(threading.current_thread())
        may_read.wait(10.0)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(ssl, "create_default_context", read)
    asking = [asyncio.ensure_future(failure(caller, "https://127.0.0.1:1/")) for _ in range(3)]
    async with backend() as server:  # Without TLS nobody waits.
        assert (await caller.call(request(server.url), within=5.0)).status == 200
    assert not any(each.done() for each in asking)
    may_read.set()
    assert {(await each).reason for each in asking} == {"unreachable"}
    assert await trust.context("") is await trust.context("")
    assert [each.name for each in readers] == ["authorities"]


# -- URLs


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://127.0.0.1/", "http://127.0.0.1"),
        ("https://user:q7secret@example.com:8443/a", "https://example.com:8443/***"),
        ("https://example.com/api/webhooks/1/q7secret", "https://example.com/***"),
        ("http://[::1]:80?key=q7secret", "http://[::1]:80/***"),
    ],
)
def test_of_a_url_the_server_is_shown(url: str, shown: str) -> None:
    assert shown_url(check_http_url(url)) == shown
    assert SECRET not in repr(HttpRequest(url, SECRET.encode()))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "q7secret",
        "ftp://host/q7secret",
        "http:///q7secret",
        "http://host:q7secret/",
        "http://a b/q7secret",
    ],
)
def test_what_is_no_url_is_said_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_http_url(url)
    assert SECRET not in str(caught.value)


def test_what_was_asked_is_not_printed() -> None:
    assert "secret" not in repr(HttpAnswer(200, b"secret", "secret"))


async def test_what_breaks_in_the_middle_of_an_answer_is_not_asked_again(caller: HttpCaller) -> None:
    said = iter([OK, answer(body="0123456789")[:-3], OK])
    async with backend(lambda _asked: next(said)) as server:
        await caller.call(request(server.url), within=5.0)
        server.once = True
        assert (await failure(caller, server.url)).reason == "broken"
        assert len(server.asked) == 2
