"""What strangers, and web pages in browsers of people who are none, get out of the admin port: nothing."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_network

import aiohttp
import pytest
from control_kit import Desk, token
from net_kit import eventually

from rtmpd.control.actor import Actor
from rtmpd.control.server_answers import ServerInfo
from rtmpd.net.proxies import TrustedProxies
from rtmpd.web.limits import AdminLimits

API = "/api/v1"


def place(client: aiohttp.ClientSession) -> tuple[str, int]:
    host, port = str(client._base_url).removeprefix("http://").rstrip("/").split(":")
    return host, int(port)


async def test_who_leaves_in_the_middle_of_a_request_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk = Desk()
    async with desk.client(local=False) as client:
        http = desk.server._runner.server
        assert http is not None
        _, writer = await asyncio.open_connection(*place(client))
        head = ("Host: x", "Content-Type: application/json", "Content-Length: 9", "", "{")
        writer.write("\r\n".join((f"POST {API}/login HTTP/1.1", *head)).encode())
        await eventually(lambda: any(each._current_request for each in http.connections))
        writer.transport.abort()
        await eventually(lambda: not http.connections)
    assert [record.msg for record in caplog.records if record.exc_info] == []


async def test_a_bug_is_logged_without_the_address_of_whoever_met_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()

    def broken(_folder: object) -> None:
        raise RuntimeError("a bug")

    async with desk.client() as client:
        monkeypatch.setattr("rtmpd.net.static_files._read", broken)
        monkeypatch.setattr("rtmpd.web.console_files._OWN._files", None)
        async with client.get("/") as answer:
            assert answer.status == 500
    (record,) = caplog.records
    assert (record.msg, "127.0.0.1" in caplog.text, "a bug" in caplog.text) == (
        "api request failed",
        False,
        True,
    )


@pytest.mark.parametrize("path", ["/events", "/figures"])
async def test_what_does_not_end_has_no_head(path: str) -> None:
    desk = Desk()
    async with desk.client() as client, client.head(API + path) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert desk.streams.stats.followers == 0


async def test_nobody_is_told_what_the_server_is_made_of() -> None:
    async with Desk().client(local=False) as client:
        for path in ("/", f"{API}/streams", "/nothing"):
            async with client.get(path) as answer:
                assert answer.headers["Server"] == "rtmpd"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        reader, writer = await asyncio.open_connection(*place(client))
        writer.write(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")
        said = await reader.read()
        assert b"400" in said.partition(b"\r\n")[0]
        assert b"\r\nServer: rtmpd\r\n" in said
        writer.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Forwarded-For": "127.0.0.1"}, 200),
        ({"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"}, 200),
        # What the proxy adds is one of them, and the client has sent the other.
        ({"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "203.0.113.7"}, 401),
        ({"Forwarded": "for=127.0.0.1", "CF-Connecting-IP": "203.0.113.7"}, 401),
        ({"Forwarded": "for=127.0.0.1", "X-Real-IP": "nonsense"}, 401),
        ({"Forwarded": "nonsense", "Via": "1.1 proxy"}, 401),
        ({"Forwarded": "proto=https", "X-Real-IP": "127.0.0.1"}, 401),
    ],
)
async def test_a_client_does_not_say_in_place_of_its_proxy_that_it_is_here(
    headers: dict[str, str], status: int
) -> None:
    desk = Desk(proxies=TrustedProxies([ip_network("127.0.0.0/8")]))
    async with desk.client() as client, client.get(f"{API}/actor", headers=headers) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("cross-site", "no-cors", 403),
        ("same-site", "cors", 403),
        ("cross-site", "navigate", 200),
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
    ],
)
async def test_a_page_of_another_site_learns_not_even_what_there_is(
    site: str, mode: str, status: int
) -> None:
    desk = Desk()
    text, ann = token("ann")
    desk.admission.tokens(ann)
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    async with desk.client() as client:
        async with client.get(f"{API}/streams", headers=headers) as answer:
            assert answer.status == status
        # Whoever shows a token has it, and no other site's page does.
        async with client.get(
            f"{API}/streams", headers=headers | {"Authorization": f"Bearer {text}"}
        ) as answer:
            assert answer.status == 200


async def test_a_crowd_of_strangers_cuts_nobody_off_who_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(limits=AdminLimits(max_connections=4))
    text, ann = token("ann")
    desk.admission.tokens(ann)
    began, go = asyncio.Event(), asyncio.Event()
    info = desk.control.server.info

    async def slow(by: Actor) -> ServerInfo:
        began.set()
        await go.wait()
        return await info(by)

    async with desk.client(local=False) as client:
        monkeypatch.setattr(desk.control.server, "info", slow)
        headers = {"Authorization": f"Bearer {text}"}
        asked = asyncio.ensure_future(client.get(f"{API}/server", headers=headers))
        await began.wait()
        crowd = [await asyncio.open_connection(*place(client)) for _ in range(12)]
        async with asyncio.timeout(5.0):
            assert [await reader.read() for reader, _ in crowd[:8]] == [b""] * 8
        go.set()
        async with await asked as answer:
            assert answer.status == 200
        for _, writer in crowd:
            writer.close()
