"""The page of a stream, its files, what is told of the stream, and how to embed it.

In browsers: tests/console.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from engine_kit import FULL_HD, keyframe, metadata, sound
from http_kit import Browser, Site, site
from net_kit import HEADERS, PATIENCE, Client, eventually

from rtmpd.engine.handover import Handover, HandoverRules
from rtmpd.engine.key import StreamKey
from rtmpd.engine.sources import Life
from rtmpd.exceptions import NotPossible, Refused, TryLater
from rtmpd.http.page import PagesRules
from rtmpd.http.page_rules import PageRules, Told
from rtmpd.http.server import HttpRules
from rtmpd.net.static_files import make_file
from rtmpd.reasons import Problem, Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Grant

JPEG = b"\xff\xd8 a picture"
HOSTILE = "<script>alert('&\"')</script>"


@asynccontextmanager
async def pages(
    rules: PageRules | None = None, prefix: str = "", public_url: str = "", **settings: Any
) -> AsyncIterator[Site]:
    rules = rules or PageRules()
    logos = {} if rules.logo is None else {rules.logo.etag: rules.logo}
    all_rules = PagesRules(lambda _key: rules, prefix, logos, public_url)
    async with site(HttpRules(prefix=prefix, pages=all_rules), **settings) as there:
        yield there


class Pictures:
    """Of one stream."""

    def __init__(self) -> None:
        self.made: bytes | Exception | None = JPEG
        self.asked: list[str] = []

    async def picture(self, key: StreamKey) -> bytes | None:
        self.asked.append(key)
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


class Lock:
    """Lets nobody play without a key."""

    def authorize(self, request: AccessRequest) -> Grant:
        if request.action is Action.PLAY and "key=open" not in request.query:
            raise Refused(StatusCode.PLAY_FAILED, "No.", Refusal.NOT_PROVEN)
        return Grant(request.key)


async def on_air(there: Site) -> Client:
    encoder = await (await there.house.client()).publish()
    encoder.send((0, metadata()), *HEADERS, (0, FULL_HD), (0, keyframe()), (0, sound()))
    await eventually(lambda: there.house.stream().stats.audio.messages_in)
    return encoder


async def told(browser: Browser) -> Any:
    assert browser.status == 200
    return json.loads(await browser.body())


def policy_of(browser: Browser) -> dict[str, str]:
    said = browser.headers["content-security-policy"]
    return dict(part.partition(" ")[::2] for part in said.split("; "))


async def test_a_page_says_what_it_is_and_may_do_little() -> None:
    async with pages(PageRules(title="{name} of {app}", text="Every day.")) as there:
        browser = await there.get("/live/cam?key=secret")
        text = await browser.body()
        assert (browser.status, browser.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert browser.headers["referrer-policy"] == "no-referrer"
        assert browser.headers["cache-control"] == "no-cache"
        policy = policy_of(browser)
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in browser.headers["content-security-policy"]
        assert "<title>cam of live</title>" in text
        assert 'data-stream="/live/cam"' in text
        assert "Every day." in text
        assert "secret" not in text
        assert "oembed" not in text
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text)


async def test_whatever_is_said_is_no_markup() -> None:
    rules = PageRules(title=HOSTILE, text=HOSTILE, frame_ancestors=("*",))
    async with pages(rules) as there:
        for path in ("/live/cam", "/live/cam?embed=1", "/live/%26quot%3B%20onload=x"):
            text = await (await there.get(path)).body()
            assert "<script>alert" not in text
            assert text.count("<script") <= 1


@pytest.mark.parametrize(
    "path", ["/", "/live", "/live/", "/live/%3Cb%3E", "/live/a/..", "/live/@x", "/live/" + "x" * 5000]
)
async def test_what_can_be_no_stream_has_no_page(path: str) -> None:
    async with pages() as there:
        assert (await there.get(path)).status in (400, 404)


async def test_a_page_that_is_off_is_not_there_nor_what_it_asks() -> None:
    off = PageRules(enabled=False, picture=Told.PLAYERS, frame_ancestors=("*",))
    async with pages(off) as there:
        await on_air(there)
        for path in (
            "/live/cam",
            "/live/cam.json",
            "/live/cam.jpg",
            "/oembed?url=http://tv.example:8935/live/cam",
        ):
            assert (await there.get(path)).status == 404


async def test_pages_are_read_and_not_written() -> None:
    async with pages() as there:
        assert (await there.get("/live/cam", "HEAD")).status == 200
        for path in ("/live/cam", "/live/cam.json", "/live/cam.jpg"):
            assert (await there.get(path, "POST")).status == 404


async def test_all_that_a_page_names_is_there_for_ever_and_packed() -> None:
    async with pages(prefix="/video") as there:
        text = await (await there.get("/video/live/cam")).body()
        assert 'data-stream="/video/live/cam"' in text
        named = re.findall(r'(?:src|href)="(/[^"]+)"', text)
        assert len(named) == 4
        for path in named:
            browser = await there.get(path, Accept_Encoding="gzip")
            assert browser.status == 200
            assert "immutable" in browser.headers["cache-control"]
            assert (await there.get(path, If_None_Match=browser.headers["etag"])).status == 304
        module = named[-1]
        packed = await there.get(module, Accept_Encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip"
        async with asyncio.timeout(PATIENCE):
            body = await packed.reader.readexactly(int(packed.headers["content-length"]))
        plain = await there.get(module)
        assert gzip.decompress(body).decode() == await plain.body()
        assert "content-encoding" not in plain.headers


async def test_of_another_version_there_is_what_there_is_and_not_for_ever() -> None:
    async with pages() as there:
        browser = await there.get("/player/0123/page.js")
        assert (browser.status, browser.headers["cache-control"]) == (200, "no-cache")
        for path in (
            "/player/0123/other.js",
            "/player/0123/../http/page.py",
            "/player/logo/0123",
            "/player/0123/",
        ):
            assert "javascript" not in (await there.get(path)).headers.get("content-type", "")


async def test_a_logo_is_drawn_and_does_nothing_else() -> None:
    logo = make_file(b"<svg/>", "image/svg+xml")
    async with pages(PageRules(logo=logo)) as there:
        path = re.findall(r'class="logo" src="([^"]+)"', await (await there.get("/live/cam")).body())[0]
        browser = await there.get(path)
        assert (browser.status, await browser.body()) == (200, "<svg/>")
        assert "sandbox" in browser.headers["content-security-policy"]


async def test_a_page_knows_of_the_cdn() -> None:
    for cdn in (True, False):
        async with pages(PageRules(cdn=cdn)) as there:
            assert ("data-cdn" in await (await there.get("/live/cam")).body()) is cdn


async def test_a_page_knows_how_the_stream_is_offered_and_whether_it_hears_if_it_is_live() -> None:
    async with pages() as there:
        text = await (await there.get("/live/cam")).body()
        assert 'data-ways="mp4 hls"' in text
        assert "data-silent" not in text
    async with pages(PageRules(ways=(), status=Told.NOBODY)) as there:
        text = await (await there.get("/live/cam")).body()
        assert 'data-ways=""' in text
        assert 'data-silent=""' in text


async def test_a_stream_of_variants_is_live_with_one_of_them_and_shown_by_hls() -> None:
    async with pages(PageRules(variants=("{name}", "{name}_480", "cam"))) as there:
        assert 'data-hls=""' in await (await there.get("/live/show")).body()
        assert (await told(await there.get("/live/show.json")))["live"] is False
        await on_air(there)
        answer = await told(await there.get("/live/show.json"))
        assert (answer["live"], answer["video"]["height"]) == (True, 1080)
    async with pages() as there:
        assert "data-hls" not in await (await there.get("/live/show")).body()


async def test_of_variants_that_which_is_live_is_told_of_and_not_one_that_waits_for_its_encoder() -> None:
    handover = Handover(lambda _key: HandoverRules(grace=60.0))
    rules = PageRules(variants=("{name}", "{name}_480"))
    async with pages(rules, claim_policy=handover) as there:
        streams = there.house.registry.streams

        def life(name: str) -> Life | None:
            key = StreamKey("live", name)
            return streams[key].life if key in streams else None

        first = await (await there.house.client()).publish("show")
        first.send((0, metadata()), *HEADERS, (0, FULL_HD), (0, keyframe()), (0, sound()))
        await eventually(lambda: life("show") is Life.LIVE and there.house.stream("show").stats.keyframes)
        await (await there.house.client()).play("show")
        await eventually(lambda: there.house.stats.players == 1)
        first.reset()
        await eventually(lambda: life("show") is Life.HOLDING)
        assert (await told(await there.get("/live/show.json")))["state"] == "holding"
        await (await there.house.client()).publish("show_480")
        await eventually(lambda: life("show_480") is Life.LIVE)
        assert (await told(await there.get("/live/show.json")))["state"] == "live"


async def test_frames_are_for_whom_the_settings_name() -> None:
    rules = PageRules(frame_ancestors=("https://one.example", "https://two.example"))
    async with pages(rules) as there:
        browser = await there.get("/live/cam?embed=1")
        assert policy_of(browser)["frame-ancestors"] == "https://one.example https://two.example"
        text = await browser.body()
        assert "<h1>" not in text
        assert 'class="embedded"' in text


async def test_other_pages_are_told_how_to_embed_it() -> None:
    rules = PageRules(frame_ancestors=("*",), title="A & B", picture=Told.ANYONE)
    async with pages(rules) as there:
        await on_air(there)
        text = await (await there.get("/live/cam")).body()
        link = re.findall(r'oembed" href="http://tv.example:8935([^"]+)"', text)[0].replace("&amp;", "&")
        answer = await told(await there.get(link))
        assert (answer["type"], answer["version"], answer["title"]) == ("video", "1.0", "A & B")
        assert (answer["width"], answer["height"]) == (640, 360)
        assert 'src="http://tv.example:8935/live/cam?embed=1"' in answer["html"]
        assert 'title="A &amp; B"' in answer["html"]
        assert answer["thumbnail_url"] == "http://tv.example:8935/live/cam.jpg"
        assert (answer["thumbnail_width"], answer["thumbnail_height"]) == (1920, 1080)
        assert (await there.get(f"{link}&format=xml")).status == 501


@pytest.mark.parametrize(
    ("room", "size"),
    [
        ("maxwidth=320&maxheight=9999", (320, 180)),
        ("maxheight=50", (89, 50)),
        ("maxwidth=1", (1, 1)),
        ("maxwidth=0&maxheight=x", (1, 1)),
        ("maxwidth=" + "9" * 1500, (640, 360)),
    ],
)
async def test_a_frame_fits_into_what_is_asked_for(room: str, size: tuple[int, int]) -> None:
    async with pages(PageRules(frame_ancestors=("*",), picture=Told.ANYONE)) as there:
        await on_air(there)
        answer = await told(await there.get(f"/oembed?url=http://tv.example:8935/live/cam&{room}"))
        assert (answer["width"], answer["height"]) == size
        # The picture is larger than the room, and has to fit into it, too.
        assert ("thumbnail_url" in answer) is (size == (640, 360))


async def test_of_a_picture_whose_size_nobody_knows_nothing_is_told() -> None:
    async with pages(PageRules(frame_ancestors=("*",), picture=Told.ANYONE)) as there:
        answer = await told(await there.get("/oembed?url=http://tv.example:8935/live/cam"))
        assert not [name for name in answer if name.startswith("thumbnail")]


async def test_a_picture_of_an_odd_shape_has_a_frame() -> None:
    async with pages(PageRules(frame_ancestors=("*",))) as there:
        await on_air(there)
        stats = there.house.stream().stats
        for stats.width, stats.height in ((1, 9000), (9000, 1)):
            answer = await told(await there.get("/oembed?url=http://tv.example:8935/live/cam"))
            assert 1 <= answer["width"] <= 7680
            assert 1 <= answer["height"] <= 7680


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://evil.example/live/cam",
        "ftp://tv.example:8935/live/cam",
        "http://[x/live/cam",
        "http://tv.example:8935/live",
        "http://tv.example:8935@evil.example/live/cam",
        "javascript:alert(1)",
    ],
)
async def test_of_pages_of_others_nothing_is_told(url: str) -> None:
    async with pages(PageRules(frame_ancestors=("*",))) as there:
        browser = await there.get(f"/oembed?url={url}")
        assert browser.status == 404
        why = await browser.body()
        assert "page.frame_ancestors" in why
        assert why.endswith("http.public_url where that is set: http://tv.example:8935/\n")


async def test_the_world_finds_it_where_the_settings_say() -> None:
    rules = PageRules(frame_ancestors=("*",))
    async with pages(rules, public_url="https://video.example.com/tv") as there:
        text = await (await there.get("/live/cam")).body()
        assert (
            'href="https://video.example.com/tv/oembed?url=https%3A%2F%2Fvideo.example.com%2Ftv%2Flive%2Fcam"'
            in text
        )
        answer = await told(await there.get("/oembed?url=https%3A%2F%2Fvideo.example.com%2Ftv%2Flive%2Fcam"))
        assert 'src="https://video.example.com/tv/live/cam?embed=1"' in answer["html"]


async def test_who_may_play_is_told_whether_it_is_live() -> None:
    async with pages() as there:
        browser = await there.get("/live/cam.json")
        assert await told(browser) == {"live": False, "state": "offline", "since": None}
        assert browser.headers["cache-control"] == "no-store"
        encoder = await on_air(there)
        answer = await told(await there.get("/live/cam.json"))
        assert (answer["live"], answer["state"]) == (True, "live")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["since"])
        assert (answer["video"]["width"], answer["video"]["height"]) == (1920, 1080)
        assert (answer["video"]["codec"], answer["audio"]["codec"]) == ("avc1", "mp4a")
        assert "viewers" not in answer
        await encoder.close()
        await eventually(lambda: not there.house.registry.streams)
        assert (await told(await there.get("/live/cam.json")))["live"] is False


async def test_nobody_else_is() -> None:
    async with pages(authorizer=Lock()) as there:
        await on_air(there)
        assert (await there.get("/live/cam.json")).status == 401
        assert (await there.get("/live/cam.json", Origin="https://x.example")).status == 403
        assert (await told(await there.get("/live/cam.json?key=open")))["live"] is True


async def test_anyone_is_told_where_that_is_meant() -> None:
    rules = PageRules(status=Told.ANYONE, viewers=True, enabled=False)
    async with pages(rules, authorizer=Lock()) as there:
        await on_air(there)
        browser = await there.get("/live/cam.json", Origin="https://x.example")
        assert browser.headers["access-control-allow-origin"] == "*"
        assert browser.headers["cache-control"] == "public, max-age=1"
        answer = await told(browser)
        assert (answer["live"], answer["viewers"]) == (True, 0)
        assert (await there.get("/live/cam.flv", Origin="https://x.example")).status == 403


async def test_nobody_is_told_where_that_is_meant() -> None:
    async with pages(PageRules(status=Told.NOBODY)) as there:
        assert (await there.get("/live/cam.json")).status == 404
        assert (await there.get("/live/cam")).status == 200


async def test_pictures_are_for_whom_the_settings_name() -> None:
    for told_to, key, status in [
        (Told.NOBODY, "?key=open", 404),
        (Told.PLAYERS, "", 401),
        (Told.PLAYERS, "?key=open", 200),
        (Told.ANYONE, "", 200),
    ]:
        pictures = Pictures()
        async with pages(PageRules(picture=told_to), authorizer=Lock()) as there:
            there.http._pages._pictures = lambda pictures=pictures: pictures
            browser = await there.get(f"/live/cam.jpg{key}")
            assert browser.status == status
            assert pictures.asked == (["live/cam"] if status == 200 else [])
            if status == 200:
                assert browser.headers["content-type"] == "image/jpeg"
                kind = "public" if told_to is Told.ANYONE else "private"
                assert browser.headers["cache-control"] == f"{kind}, max-age=5"


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (None, 404),
        (NotPossible(Problem.NO_PICTURE, "no"), 404),
        (TryLater(Problem.CLIPS_BUSY, "no", 2.0), 503),
    ],
)
async def test_pictures_that_cannot_be_made(made: Exception | None, status: int) -> None:
    pictures = Pictures()
    pictures.made = made
    async with pages(PageRules(picture=Told.ANYONE)) as there:
        there.http._pages._pictures = lambda: pictures
        assert (await there.get("/live/cam.jpg")).status == status
