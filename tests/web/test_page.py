from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from rtmpd.web.page import OPENMETRICS, TEXT, SharedPage


class CountedPages:
    """Numbers its pages; writing one takes as long as ``go_on`` is clear."""

    def __init__(self) -> None:
        self.snapshots = 0
        self.asked_for: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def snapshot(self) -> CountedPages:
        self.snapshots += 1
        return self

    def render(self, accept: str) -> tuple[str, bytes]:
        self.go_on.wait(5.0)
        self.asked_for.append(accept)
        return f"type of {accept}", b"page %d" % len(self.asked_for)


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
    bodies = [(await answer).body for answer in asking[1:]]
    assert (set(bodies), pages.snapshots) == ({b"page 1"}, 1)
    now = 0.99
    assert (await shared.handle(ask())).body == b"page 1"
    now = 1.0
    assert (await shared.handle(ask())).body == b"page 2"


async def test_without_an_age_everybody_gets_a_page_of_their_own() -> None:
    shared = SharedPage(CountedPages(), 0.0, lambda: 0.0)
    assert [(await shared.handle(ask())).body for _ in range(2)] == [b"page 1", b"page 2"]


async def test_another_age_holds_for_the_page_that_is_there() -> None:
    shared = SharedPage(CountedPages(), 60.0, lambda: 0.0)
    assert (await shared.handle(ask())).body == b"page 1"
    shared.apply(0.0)
    assert (await shared.handle(ask())).body == b"page 2"


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
    assert (pages.asked_for, response.headers["Content-Type"]) == ([asked_for], f"type of {asked_for}")


async def test_it_is_packed_once_for_who_asks() -> None:
    shared = SharedPage(CountedPages(), 1.0, lambda: 0.0)
    plain = await shared.handle(ask({"Accept-Encoding": "deflate"}))
    assert (plain.body, "Content-Encoding" in plain.headers) == (b"page 1", False)
    packed = [await shared.handle(ask({"Accept-Encoding": "deflate, GZIP"})) for _ in range(2)]
    assert packed[0].headers["Content-Encoding"] == "gzip"
    assert packed[0].body is packed[1].body
    assert gzip.decompress(packed[0].body) == b"page 1"
