"""Whoever has something at a path is asked by its ending, in the order in which they offered to."""

from __future__ import annotations

from http_kit import site

from rtmpd.http.answers import plain
from rtmpd.http.asking import Asked
from rtmpd.http.page import PagesRules
from rtmpd.http.page_rules import PageRules
from rtmpd.http.server import HttpRules
from rtmpd.net.http import web


async def test_the_first_answers_who_has_something_and_nobody_is_asked_behind_it() -> None:
    asked: list[str] = []

    def who_has(name: str) -> object:
        async def answer(what: Asked) -> web.StreamResponse | None:
            asked.append(f"{name} {what.path} {what.wish.connect.app} {what.wish.name}")
            return plain(200, name) if what.wish.name.startswith(name) else None

        return answer

    pages = PagesRules(lambda _key: PageRules(enabled=False))
    async with site(HttpRules(pages=pages)) as there:
        for name in ("one", "two"):
            there.http.ways.offer(".m3u8", who_has(name))
        there.http.ways.offer("", who_has("page"))
        assert await (await there.get("/live/two.m3u8")).body() == "two\n"
        assert asked == ["one /live/two.m3u8 live two", "two /live/two.m3u8 live two"]
        assert (await there.get("/live/three.m3u8")).status == 404
        asked.clear()
        # An ending that nobody has is part of the name.
        assert await (await there.get("/live/page.one")).body() == "page\n"
        assert asked == ["page /live/page.one live page.one"]


async def test_a_request_is_also_one_of_another_stream() -> None:
    async def answer(what: Asked) -> web.StreamResponse:
        other = what.of("live/sub/cam").wish
        return plain(200, f"{other.connect.app} {other.name} {other.connect.tc_url} {other.query}")

    async with site() as there:
        there.http.ways.offer(".m3u8", answer)
        body = await (await there.get("/live/cam/index.m3u8?key=x")).body()
        assert body == "live/sub cam http://tv.example:8935/live/sub key=x\n"
