"""The fast way: the same answers as by aiohttp, in the same order, and no more than may wait."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random

import pytest
from hls_kit import HlsSite, hls_site, key
from net_kit import eventually
from packaging_kit import rendition_of

from rtmpd.http import hls
from rtmpd.http.answers import Origins
from rtmpd.http.connection import HttpConnection
from rtmpd.http.hls_waits import MOST_PER_NETWORK
from rtmpd.http.server import HttpRules
from rtmpd.http.visit import HttpVisit
from rtmpd.net.proxies import TrustedProxies
from rtmpd.reasons import Refusal
from rtmpd.serving.server import ConnectionLimits

PAGE = "https://www.example.com"


def read_by_aiohttp(there: HlsSite) -> int:
    """Requests of all connections that are open."""
    visits = [each._visit for each in there.house.connections if isinstance(each, HttpConnection)]
    return sum(visit.whole for visit in visits if visit is not None)


def without(headers: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


async def test_what_comes_again_is_answered_without_aiohttp_and_all_the_same() -> None:
    rules = HttpRules(origins=Origins(frozenset({PAGE})))
    async with hls_site(rules) as there:
        await there.encoder()
        watcher = await there.viewer(Origin=PAGE, Accept_Encoding="gzip, br", User_Agent="hls.js")
        watcher.browser = await there.site.browser()
        answers = [(await watcher.get(watcher.uri), dict(watcher.browser.headers)) for _ in range(3)]
        assert watcher.browser.headers["content-encoding"] == "gzip"
        watcher.text = answers[0][0].decode()
        name = watcher.files[1]
        answers += [(await watcher.get(name), dict(watcher.browser.headers)) for _ in range(3)]
        # The first playlists of either connection, and nothing behind those.
        assert read_by_aiohttp(there) == 2
        for (body, headers), (quick, others) in ((answers[0], answers[1]), (answers[0], answers[2])):
            assert quick == body
            assert without(others, "date", "vary") == without(headers, "date", "vary")
        assert answers[1][1]["access-control-allow-origin"] == PAGE
        assert answers[3][0] == answers[4][0] == answers[5][0]
        assert answers[5][1]["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("taken", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("xgzip", False),
    ],
)
async def test_playlists_are_packed_for_those_who_take_it(taken: str, packed: bool) -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer(Accept_Encoding=taken)
        for _ in range(3):  # By aiohttp, and by the fast way.
            await watcher.playlist()
            assert ("content-encoding" in watcher.browser.headers) is packed


async def test_what_is_too_long_is_so_on_the_fast_way_too() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        for status in (400, 200, 400, 200):
            await watcher.playlist("x=" + "x" * (2048 if status == 400 else 500))
            assert watcher.status == status


async def test_spellings_of_a_stream_are_charged_and_not_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls, "_MOST_FOLDERS", 4)
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        held = there.house.registry.budget.partial_bytes
        for slashes in (1, 2, 3, 4, 5, 1016, 1017, 3000):
            watcher.browser = await there.site.browser()
            watcher.folder = "/" * slashes + "live/cam"
            await watcher.playlist()
            assert watcher.status == 200
        assert {len(folder) for folder in there.hls._folders} == {11, 12, 13, 1024}
        assert there.house.registry.budget.partial_bytes > held + 1024


@pytest.mark.parametrize(("turns", "by_aiohttp"), [(2, 0), (1000, 1)])
async def test_who_asks_while_aiohttp_still_writes_is_waited_for_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch, turns: int, by_aiohttp: int
) -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        text = await watcher.playlist()
        await watcher.playlist()
        before = read_by_aiohttp(there)
        busy = iter(range(turns))
        monkeypatch.setattr(HttpVisit, "is_idle", property(lambda _: next(busy, None) is None))
        assert await watcher.playlist() == text
        assert read_by_aiohttp(there) - before == by_aiohttp


async def test_what_is_asked_first_while_aiohttp_still_writes_is_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        before = read_by_aiohttp(there)
        watcher.browser = await there.site.browser()
        busy = iter(range(2))
        monkeypatch.setattr(HttpVisit, "is_idle", property(lambda _: next(busy, None) is None))
        for _ in range(3):
            await watcher.playlist()
        assert read_by_aiohttp(there) - before == 1


async def test_another_page_gets_nothing_by_what_is_known_of_one_that_may() -> None:
    rules = HttpRules(origins=Origins(frozenset({PAGE})))
    async with hls_site(rules) as there:
        await there.encoder()
        watcher = await there.viewer(Origin=PAGE)
        await watcher.playlist()
        await watcher.playlist()
        watcher.headers["Origin"] = "https://evil.example"
        await watcher.playlist()
        assert watcher.status == 403
        del watcher.headers["Origin"]
        await watcher.playlist()
        assert watcher.status == 200


async def test_requests_in_any_pieces_get_their_answers_in_order() -> None:
    dice = random.Random(7)
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        names = [watcher.files[0], "nothing.mp4", watcher.uri, "index.m3u8", watcher.files[1]]
        asked = [dice.choice(names) for _ in range(200)]
        lines = [f"GET {watcher.folder}/{name} HTTP/1.1\r\nHost: tv.example:8935\r\n\r\n" for name in asked]
        data = "".join(lines).encode()
        watcher.browser.writer.write(lines[0].encode())
        rest = data[len(lines[0]) :]
        while rest:
            size = dice.choice((1, 3, 50, 90, 500))
            watcher.browser.writer.write(rest[:size])
            rest = rest[size:]
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        for name in asked:
            body = await watcher.read()
            kind = {"nothing.mp4": b"There is", "index.m3u8": b"#EXTM3U", watcher.uri: b"#EXTM3U"}
            expected = kind.get(name)
            assert watcher.status in ((404,) if name == "nothing.mp4" else (200, 429))
            if expected is None:
                assert body[4:8] in (b"ftyp", b"moof", b"styp")
            elif watcher.status == 200:
                assert body.startswith(expected)


async def test_behind_a_proxy_each_client_is_known_for_itself() -> None:
    proxies = TrustedProxies([ipaddress.ip_network("127.0.0.1")])
    async with hls_site(proxies=proxies) as there:
        await there.encoder()
        watcher = await there.viewer(X_Forwarded_For="203.0.113.7")
        (session,) = [each for each in there.house.registry.sessions if each.origin.protocol == "hls"]
        assert session.origin.address == "203.0.113.7"
        (connection,) = [each for each in there.house.connections if isinstance(each, HttpConnection)]
        for address in ("203.0.113.7", "203.0.113.8") * 3:
            watcher.headers["X_Forwarded_For"] = address
            await watcher.playlist()
            assert connection.origin.address == address
        assert read_by_aiohttp(there) == 2


async def test_who_asks_too_often_waits_on_the_fast_way_too() -> None:
    limits = ConnectionLimits(max_command_cost_per_address=100)
    async with hls_site(connections=limits) as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        begun = asyncio.get_running_loop().time()
        for _ in range(80):
            await watcher.playlist()
        assert asyncio.get_running_loop().time() - begun > 0.3


async def test_what_comes_behind_a_request_that_waits_is_bounded() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        await watcher.playlist()
        msn, part = watcher.comes_next
        watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}")
        await eventually(lambda: there.hls.counts.waiting == 1)
        before = there.house.registry.budget.partial_bytes
        for _ in range(300):
            watcher.ask(watcher.files[0])
        await eventually(lambda: there.house.registry.budget.partial_bytes > before + 10_000)
        for _ in range(2000):
            watcher.ask(watcher.files[0])
        with contextlib.suppress(ConnectionError):  # With what it has sent unread.
            await watcher.browser.closed()
        await eventually(lambda: there.hls.counts.waiting == 0)


@pytest.mark.parametrize("known", [False, True], ids=["by aiohttp", "by the fast way"])
async def test_who_leaves_waits_no_more(known: bool) -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        if not known:
            watcher.browser = await there.site.browser()
        msn, part = watcher.comes_next
        held = there.house.registry.budget.used
        for name, query in ((watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}"), (watcher.hinted, "")):
            watcher.ask(name, query)
            await eventually(lambda: there.hls.counts.waiting == 1)
            watcher.browser.writer.close()
            await eventually(lambda: there.hls.counts.waiting == 0)
            watcher.browser = await there.site.browser()
            if known:
                await watcher.playlist()
        assert there.house.registry.budget.used <= held + 2048


async def test_nobody_waits_for_ever() -> None:
    async with hls_site() as there:

        def look_later() -> None:
            there.hls.waits.look(there.house.context.clock() + 30.0)

        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        await watcher.playlist()
        msn, part = watcher.comes_next
        watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}")
        await eventually(lambda: there.hls.counts.waiting == 1)
        look_later()
        assert b"#EXTM3U" in await watcher.read()
        assert watcher.browser.headers["cache-control"] == "no-store"
        watcher.ask(watcher.hinted)
        await eventually(lambda: there.hls.counts.waiting == 1)
        look_later()
        await watcher.read()
        assert watcher.status == 404
        assert there.hls.counts.waits["late"] == 2


async def test_so_many_wait_and_no_more() -> None:
    async with hls_site() as there:
        await there.encoder()
        watchers = [await there.viewer() for _ in range(3)]
        package = there.packages.find(key(), there.house.context.clock())
        assert package is not None
        rendition = rendition_of(package, "main")
        others = [
            there.hls.waits.begin(rendition, "127.0.0.1", lambda: False, lambda _in_time: None)
            for _ in range(MOST_PER_NETWORK - 2)
        ]
        for watcher in watchers:
            await watcher.playlist()
            msn, part = watcher.comes_next
            watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}")
            if watcher is not watchers[-1]:
                waiting = len(others) + watchers.index(watcher) + 1
                await eventually(lambda waiting=waiting: there.hls.counts.waiting == waiting)
        await watchers[-1].read()
        assert watchers[-1].status == 503
        assert there.hls.counts.waiting == MOST_PER_NETWORK
        for other in others:
            other.cancel()


async def test_who_does_not_read_is_sent_no_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hls_site(send_buffer=4096) as there:
        encoder = await there.encoder(seconds=4)
        watcher = await there.viewer()
        await watcher.playlist()
        package = there.packages.find(key(), 0.0)
        assert package is not None
        name = watcher.files[1]
        size = len(package.file(name) or b"")
        monkeypatch.setattr(watcher.browser.reader, "_limit", 1)
        asked = 0
        connection = next(each for each in there.house.connections if isinstance(each, HttpConnection))
        while asked < 3000 and connection.outlet.congestion is None:
            watcher.ask(name)
            asked += 1
            await asyncio.sleep(0)
        for _ in range(100):
            watcher.ask(name)
        await encoder.go_on(1)
        assert connection.backlog() <= connection.context.high_water_bytes + 2 * size + 65_536


HOSTILE = [
    "_HLS_msn=-1",
    "_HLS_msn=99999999999999999999",
    "_HLS_msn=999999",
    "_HLS_msn=0x10",
    "_HLS_msn=1e3",
    "_HLS_msn=%30",
    "_HLS_msn=1&_HLS_msn=1",
    "_HLS_msn[]=1",
    "_HLS_msn=&_HLS_part=",
    "_HLS_part=0",
    "_HLS_part=-1",
    "_HLS_skip=",
    "_HLS_skip=YES&_HLS_msn=nan",
    "_HLS_msn=\x7f",
    "token=",
    "token=../../etc/passwd",
    "token=" + "A" * 2000,
    "&&&&",
    "=" * 300,
    "?" * 300,
    "%00",
    "%ff%fe",
]
NAMES = [
    "main.m3u8",
    "main_00000000.m3u8",
    "index.m3u8",
    "..m3u8",
    "../cam/main_00000000.m3u8",
    "main_00000000%2e.m3u8",
    "%00.m3u8",
    "nothing.m3u8",
    "main_00000000_init_99.mp4",
    "main_00000000_-1.mp4",
    "main_00000000_99999999999999999999.mp4",
    "main_00000000_0_99999.mp4",
    "main_00000000_999_0.mp4",
    "main_rX_0.mp4",
    "main__0.mp4",
    "_00000000_0.mp4",
    "a_b_" + "9" * 1500 + ".mp4",
    "main_00000000_0_0.mp4.mp4",
    "main_00000000_0_0.MP4",
    "main_00000000_\u0661.mp4",
    ".mp4",
    "beacon",
    "x/main_00000000_0_0.mp4",
]


async def test_hostile_addresses_get_an_answer_and_hold_nothing() -> None:
    """Some 500 of them, on one connection that is known, and on new ones."""
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        for _ in range(2):
            await watcher.playlist()
        for name in NAMES:
            for query in ("", *HOSTILE):
                paths = [f"/live/cam/{name}?{query}", f"/live/cam/{watcher.uri}&{query}"]
                for path in paths[: 1 if name != NAMES[0] else 2]:
                    watcher.browser.ask(path.encode().decode("latin-1"))
                    await watcher.read()
                    assert watcher.status in (200, 400, 403, 404, 429)
                    if watcher.browser.headers.get("connection") == "close" or watcher.status == 400:
                        watcher.browser = await there.site.browser()
        assert there.hls.counts.waiting == 0
        assert there.house.registry.budget.partial_bytes < 100_000
        assert Refusal.AUTHORIZER_FAILED not in there.house.stats.refusals
