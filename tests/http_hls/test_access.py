"""Who may have which playlist and which part: by a token, by a CDN's secret, or not at all."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest
from hls_kit import HlsSite, Watcher, hls_site, key
from http_kit import Browser
from net_kit import eventually

from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Refused
from rtmpd.http import bodies
from rtmpd.http.aliases import Aliases
from rtmpd.http.hls_place import HlsTerms
from rtmpd.http.server import HttpRules
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Figures, Grant
from rtmpd.serving.server import ConnectionLimits

SECRET = "RcVdS2a3SaIoFqGzXKvT7hYb"


class Asking:
    """Lets in who shows the key, and leads who asks for the stream ``door`` to another one."""

    def __init__(self) -> None:
        self.asked: list[AccessRequest] = []
        self.told: list[str] = []

    def authorize(self, request: AccessRequest) -> Grant:
        if request.action is not Action.PLAY:
            return Grant(request.key)
        self.asked.append(request)
        if "key=good" not in request.query:
            raise Refused(StatusCode.PLAY_FAILED, "No.", Refusal.KEY_WRONG)
        found = request.key if request.key.name != "door" else key()
        return Grant(found, account="ann", identity="key:ann", follower=self)

    def began(self, _figures: object) -> None:
        self.told.append("began")

    def ended(self, _figures: Figures) -> None:
        self.told.append("ended")


async def post(there: HlsSite, path: str, body: object, **headers: str) -> Browser:
    data = json.dumps(body).encode() if not isinstance(body, bytes) else body
    browser = await there.site.browser()
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    browser.writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    await browser.head()
    return browser


async def test_who_may_watch_is_asked_once_and_known_by_a_token_from_then_on() -> None:
    asking = Asking()
    async with hls_site(authorizer=asking) as there:
        await there.encoder()
        assert (await there.site.get("/live/cam/index.m3u8")).status == 403
        assert (await there.site.get("/live/cam/index.m3u8?key=bad")).status == 403
        asking.asked.clear()
        watcher = await there.viewer(query="?key=good")
        await watcher.playlist()
        await watcher.get(watcher.files[0])
        (request,) = asking.asked
        assert request.origin.protocol == "hls"
        (session,) = [each for each in there.house.registry.sessions if each.origin.protocol == "hls"]
        assert session.origin.session == request.origin.session
        assert (session.origin.account, session.origin.identity) == ("ann", "key:ann")
        assert "good" not in watcher.text + watcher.uri
        assert asking.told == ["began"]
        session.dismiss(CloseReason.KICKED)
        assert asking.told == ["began", "ended"]


async def test_who_is_kicked_gets_no_playlist_any_more() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        (session,) = [each for each in there.house.registry.sessions if each.origin.protocol == "hls"]
        session.dismiss(CloseReason.KICKED)
        assert there.house.stats.players == 0
        for _ in range(2):
            await watcher.playlist()
            assert watcher.status == 403
        # Anew, as anybody may.
        assert (await (await there.viewer()).playlist()).startswith("#EXTM3U")


@pytest.mark.parametrize("token", ["", "x", "A" * 44, "%41", "A" * 3000])
async def test_without_a_token_of_this_stream_there_is_no_playlist(token: str) -> None:
    async with hls_site() as there:
        await there.encoder()
        await there.encoder(name="other")
        watcher, other = await there.viewer(), await there.viewer("other")
        for text in (token, other.token):
            await watcher.get(f"main_00000000.m3u8?token={text}")
            assert watcher.status in (400, 403)
        await watcher.get("main_00000000.m3u8")
        assert watcher.status == 403
        assert (await watcher.playlist()).startswith("#EXTM3U")


async def test_a_token_is_good_for_an_hour_from_when_who_has_it_has_left() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        viewers = there.hls.viewers
        for away, status in ((3500.0, 200), (3700.0, 403)):
            (viewer,) = viewers._by_session.values()
            viewer.seen_at -= 21.0
            there.hls.look()
            wish, left_at = viewers._left[watcher.token]
            viewers._left[watcher.token] = wish, left_at - away
            await watcher.playlist()
            assert watcher.status == status


async def test_where_hls_is_turned_off_that_is_said() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        there.terms["live/cam"] = HlsTerms(enabled=False)
        browser = await there.site.get("/live/cam/index.m3u8")
        assert browser.status == 404
        assert "turned off" in await browser.body()
        assert (await watcher.playlist()).startswith("#EXTM3U")


async def test_who_is_led_to_another_stream_is_sent_there() -> None:
    async with hls_site(authorizer=Asking()) as there:
        await there.encoder()
        browser = await there.site.get("/live/door/index.m3u8?key=good")
        assert browser.status == 302
        where = browser.headers["location"]
        assert where.startswith("../../live/cam/index.m3u8?token=")
        browser = await there.site.get(where.removeprefix("../.."))
        assert browser.status == 200
        assert there.house.stats.players == 1


async def test_protected_media_are_for_viewers_alone() -> None:
    async with hls_site() as there:
        there.terms["live/cam"] = HlsTerms(protect=True)
        await there.encoder()
        watcher = await there.viewer(Accept_Encoding="gzip")
        text = await watcher.playlist()
        names = watcher.files
        assert text.count(f".mp4?token={watcher.token}") == len(names)
        for _ in range(2):
            await watcher.get(names[0])
            assert watcher.status == 403
        body = await watcher.get(f"{names[0]}?token={watcher.token}")
        assert body[4:8] == b"ftyp"
        assert watcher.browser.headers["cache-control"].startswith("private")


async def test_a_cdn_is_known_by_its_secret_and_viewers_by_beacons() -> None:
    async with hls_site(authorizer=Asking()) as there:
        there.terms["live/cam"] = HlsTerms(cdn_secret=SECRET)
        await there.encoder()
        for path in ("index.m3u8?key=good", "main_00000000.m3u8"):
            for shown in ({}, {"X_CDN_Secret": SECRET[1:]}, {"X_CDN_Secret": "\xff\xfe"}):
                assert (await there.site.get(f"/live/cam/{path}", **shown)).status == 403
        watcher = await there.viewer(X_CDN_Secret=SECRET)
        assert "token" not in watcher.uri
        assert watcher.browser.headers["cache-control"] == "max-age=1"
        await watcher.playlist()
        await watcher.get(watcher.files[0])
        assert watcher.status == 200
        assert there.house.stats.players == 0
        told = {"viewer": "K7sn3k2pP0aJq8Zt", "watched_ms": 10_000, "stalls": 2}
        assert (await post(there, "/live/cam/beacon", told)).status == 403
        for _ in range(2):
            assert (await post(there, "/live/cam/beacon", told, X_CDN_Secret=SECRET)).status == 204
        assert there.house.stats.players == 1
        assert (there.hls.counts.player_stalls, there.hls.counts.player_watched_ms) == (4, 20_000)
        told["left"] = True
        assert (await post(there, "/live/cam/beacon", told, X_CDN_Secret=SECRET)).status == 204
        assert there.house.stats.players == 0


async def test_a_beacon_keeps_a_viewer_by_its_token() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        (viewer,) = there.hls.viewers._by_session.values()
        viewer.seen_at -= 19.0
        assert (await post(there, "/live/cam/beacon", {"token": watcher.token})).status == 204
        assert viewer.seen_at > there.house.context.clock() - 5.0
        assert there.house.stats.players == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        {"viewer": "short"},
        {"viewer": 5},
        {},
        {"viewer": "x" * 65},
        {"token": 5},
        {"token": None, "viewer": 5},
        b"[" * 1000 + b"]" * 1000,
        b"\xff\xfe\0",
        b"{" + b" " * 3000,
    ],
)
async def test_what_is_no_beacon_is_none(body: object) -> None:
    async with hls_site() as there:
        await there.encoder()
        assert (await post(there, "/live/cam/beacon", body)).status == 400
        assert len(there.hls.viewers) == 0
        told = {"viewer": "K7sn3k2pP0aJq8Zt", "stalls": -5, "watched_ms": "much"}
        assert (await post(there, "/live/cam/beacon", told)).status == 204
        told |= {"stalls": 10**30, "watched_ms": 1e99}
        assert (await post(there, "/live/cam/beacon", told)).status == 204
        assert there.hls.counts.player_stalls == 60
        assert there.hls.counts.player_watched_ms == 0
        assert (await post(there, "/live/nobody/beacon", told)).status == 404


async def test_a_beacon_of_who_may_not_watch_begins_nothing() -> None:
    async with hls_site(authorizer=Asking()) as there:
        await there.encoder()
        told = {"viewer": "K7sn3k2pP0aJq8Zt"}
        assert (await post(there, "/live/cam/beacon", told)).status == 403
        assert there.packages.stats.packages_total == 0


async def test_a_beacon_that_does_not_come_whole_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = b"POST /live/cam/beacon HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    async with hls_site() as there:
        await there.encoder()
        browser = await there.site.browser()
        browser.writer.write(begun)
        await asyncio.sleep(0.05)
        browser.writer.close()  # What is our own mistake is told with a traceback, and this is none.
        monkeypatch.setattr(bodies, "PATIENCE", 0.05)
        browser = await there.site.browser()
        browser.writer.write(begun)
        assert await browser.head() == 400


async def test_a_viewer_that_a_beacon_makes_costs_what_any_costs() -> None:
    async with hls_site(connections=ConnectionLimits(max_command_cost_per_address=200)) as there:
        await there.encoder()
        begun = asyncio.get_running_loop().time()
        for number in range(14):
            await post(there, "/live/cam/beacon", {"viewer": f"K7sn3k2pP0aJq8Z{number:02}"})
        assert len(there.hls.viewers) == 14
        assert asyncio.get_running_loop().time() - begun > 0.3


async def test_ceilings_of_players_are_for_viewers_too() -> None:
    async with hls_site(engine=EngineLimits(max_players=1)) as there:
        await there.encoder()
        await there.viewer()
        browser = await there.site.get("/live/cam/index.m3u8")
        assert browser.status == 503
        assert there.house.stats.refusals[Refusal.PLAYERS] == 1


async def test_head_says_whether_it_is_live_and_makes_no_viewer() -> None:
    async with hls_site() as there:
        assert (await there.site.get("/live/cam/index.m3u8", "HEAD")).status == 404
        assert (await there.site.get("/live/cam/index.m3u8")).status == 404
        await there.encoder()
        assert (await there.site.get("/live/cam/index.m3u8", "HEAD")).status == 200
        assert there.house.stats.plays_total == 0


async def test_parts_may_be_asked_for_in_ranges_and_by_tag() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        name = watcher.files[0]
        whole = await watcher.get(name)
        watcher.headers["Range"] = "bytes=4-7"
        assert await watcher.get(name) == whole[4:8]
        assert watcher.status == 206
        assert watcher.browser.headers["content-range"] == f"bytes 4-7/{len(whole)}"
        watcher.headers["Range"] = f"bytes={len(whole)}-"
        await watcher.get(name)
        assert watcher.status == 416
        del watcher.headers["Range"]
        watcher.headers["If-None-Match"] = f'"{name}"'
        watcher.ask(name)
        assert await watcher.browser.head() == 304
        watcher.headers.clear()
        assert await watcher.get(name) == whole


async def test_old_addresses_are_sent_to_the_new_ones() -> None:
    rules = HttpRules(aliases=Aliases(["/hls/{name}.m3u8 -> /live/{name}/index.m3u8"]))
    async with hls_site(rules) as there:
        browser = await there.site.get("/hls/cam.m3u8?key=x%20y")
        assert browser.status == 302
        assert browser.headers["location"] == "/live/cam/index.m3u8?key=x%20y"
    rules = dataclasses.replace(rules, prefix="/tv")
    async with hls_site(rules) as there:
        browser = await there.site.get("/tv/hls/cam.m3u8")
        assert browser.headers["location"] == "/tv/live/cam/index.m3u8"


async def test_a_grant_that_runs_out_ends_the_viewer() -> None:
    async with hls_site() as there:
        await there.encoder()
        watcher = await there.viewer()
        await watcher.playlist()
        (viewer,) = there.hls.viewers._by_session.values()
        viewer._ends_at = there.house.context.clock()
        there.hls.look()
        assert there.house.stats.players == 0
        await watcher.playlist()
        assert watcher.status == 403


async def test_the_end_of_a_stream_is_in_its_playlist_and_answers_who_waits() -> None:
    async with hls_site() as there:
        encoder = await there.encoder()
        watcher: Watcher = await there.viewer()
        await watcher.playlist()
        msn, part = watcher.comes_next
        watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part + 1}")
        await eventually(lambda: there.hls.counts.waiting == 1)
        await encoder.client.close()
        package = there.packages.find(key(), 0.0)
        assert package is not None
        await eventually(lambda: there.house.stats.publishers == 0)
        package.look(there.house.context.clock() + 1000.0, kept=True)
        assert b"#EXT-X-ENDLIST" in await watcher.read()


async def test_a_name_with_the_ending_of_other_servers_is_told_where_hls_is() -> None:
    async with hls_site() as there:
        await there.encoder()
        answer = await there.site.get("/live/cam.m3u8")
        said = "HLS of a stream is at /APP/NAME/index.m3u8.\n"
        assert (answer.status, await answer.body()) == (404, said)
        assert there.house.stats.players == 0


async def test_who_is_kicked_while_they_wait_is_told_so_and_gets_nothing() -> None:
    async with hls_site() as there:
        encoder = await there.encoder()
        watcher = await there.viewer()
        for times in range(2):  # By aiohttp, and by the fast way.
            await watcher.playlist()
            msn, part = watcher.comes_next
            watcher.ask(watcher.uri, f"_HLS_msn={msn}&_HLS_part={part}")
            await eventually(lambda: there.hls.counts.waiting == 1)
            if times:
                (session,) = [each for each in there.house.registry.sessions if each.origin.protocol == "hls"]
                session.dismiss(CloseReason.KICKED)
            await encoder.go_on(5)
            text = (await watcher.read()).decode()
            assert watcher.status == (403 if times else 200)
        assert "open the stream anew" in text


async def test_a_cdn_has_a_stream_fetched_and_is_one_viewer_as_long_as_it_asks() -> None:
    async with hls_site() as there:
        there.terms["live/cam"] = HlsTerms(cdn_secret=SECRET, pull_patience=5.0, protect=True)
        browser = await there.site.browser()
        browser.ask("/live/cam/index.m3u8", X_CDN_Secret=SECRET)
        # Whoever fetches the stream does that now.
        await eventually(lambda: key() in there.house.registry.streams)
        encoder = await there.encoder()
        await browser.head()
        assert browser.status == 200
        assert browser.headers["cache-control"] == "max-age=1"
        watcher = await there.viewer(X_CDN_Secret=SECRET)
        assert "token" not in watcher.uri
        for _ in range(3):
            assert "token" not in await watcher.playlist()
            assert watcher.status == 200
            await encoder.go_on(5)
        assert there.house.stats.players == 1
        told = {"token": "live/cam cdn", "left": True}
        assert (await post(there, "/live/cam/beacon", told)).status == 403
        assert there.house.stats.players == 1
        (session,) = [each for each in there.house.registry.sessions if each.origin.protocol == "hls"]
        session.dismiss(CloseReason.FINISHED)
        assert there.house.stats.players == 0
        await watcher.playlist()
        assert (watcher.status, there.house.stats.players) == (200, 1)
