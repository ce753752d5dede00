from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from rtmpd.control.actor import Actor
from rtmpd.metrics.families import AnyFamily, Family
from rtmpd.web.page import OPENMETRICS, TEXT, SharedPage


class CountedPages:
    """Numbers its pages; each takes as long as ``go_on`` is clear."""

    def __init__(self) -> None:
        self.collected = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def families(self, by: Actor) -> list[AnyFamily]:
        assert not by.is_scoped
        self.collected += 1
        await self.go_on.wait()
        return [Family("gauge", "pages", "How many there were.").with_value(self.collected)]


def number(page: bytes) -> int:
    """Of a page, in either format."""
    (said,) = re.findall(rb"^pages (\d)\.0$", page, re.MULTILINE)
    return int(said)


def ask(headers: Mapping[str, str] | None = None) -> web.Request:
    return make_mocked_request("GET", "/metrics", headers=headers or {})


async def test_a_page_is_written_once_a_second_however_many_ask() -> None:
    now = 0.0
    pages = CountedPages()
    shared = SharedPage(pages, 1.0, lambda: now)
    pages.go_on.clear()
    asking = [asyncio.create_task(shared.handle(ask())) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()  # Whoever asked first takes it from nobody.
    pages.go_on.set()
    numbers = [number((await answer).body) for answer in asking[1:]]
    assert (set(numbers), pages.collected) == ({1}, 1)
    now = 0.99
    assert number((await shared.handle(ask())).body) == 1
    now = 1.0
    assert number((await shared.handle(ask())).body) == 2


async def test_without_an_age_everybody_gets_a_page_of_their_own() -> None:
    shared = SharedPage(CountedPages(), 0.0, lambda: 0.0)
    assert [number((await shared.handle(ask())).body) for _ in range(2)] == [1, 2]


async def test_another_age_holds_for_the_page_that_is_there() -> None:
    shared = SharedPage(CountedPages(), 60.0, lambda: 0.0)
    assert number((await shared.handle(ask())).body) == 1
    shared.apply(0.0)
    assert number((await shared.handle(ask())).body) == 2


@pytest.mark.parametrize(
    ("accept", "asked_for"),
    [
        ("", TEXT),
        ("text/html, */*", TEXT),
        ("text/plain; version=" + "1" * 5000, TEXT),
        ("application/openmetrics-text; version=nonsense", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", OPENMETRICS),
    ],
)
async def test_of_what_is_accepted_only_the_format_counts(accept: str, asked_for: str) -> None:
    pages = CountedPages()
    shared = SharedPage(pages, 1.0, lambda: 0.0)
    response = await shared.handle(ask({"Accept": accept}))
    assert response.headers["Content-Type"].startswith(asked_for)
    assert (await shared.handle(ask({"Accept": asked_for}))).body is response.body
    assert pages.collected == 1


async def test_it_is_packed_once_for_who_asks() -> None:
    shared = SharedPage(CountedPages(), 1.0, lambda: 0.0)
    plain = await shared.handle(ask({"Accept-Encoding": "deflate"}))
    assert (number(plain.body), "Content-Encoding" in plain.headers) == (1, False)
    packed = [await shared.handle(ask({"Accept-Encoding": "deflate, GZIP"})) for _ in range(2)]
    assert packed[0].headers["Content-Encoding"] == "gzip"
    assert packed[0].body is packed[1].body
    assert gzip.decompress(packed[0].body) == plain.body
