"""Recorded files by HTTP: whole, in parts, and for whoever may play them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from engine_kit import keyframe
from flv_kit import clip
from http_kit import UPGRADE, Site, site
from net_kit import HEADERS, eventually

from rtmpd.exceptions import Refused
from rtmpd.outputs.library import Library
from rtmpd.outputs.vod_rules import VodRules
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Grant

PATH = "/live/cam.flv"


class NoPlays:
    def authorize(self, request: AccessRequest) -> Grant:
        if request.action is Action.PLAY:
            raise Refused(StatusCode.PLAY_FAILED, "No.", Refusal.NOT_PROVEN)
        return Grant(request.key)


@asynccontextmanager
async def shop(root: Path, **settings: object) -> AsyncIterator[Site]:
    library = Library(lambda key: VodRules(str(root)) if key.app == "live" else None)
    async with site(library=library, **settings) as there:
        yield there


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return clip(tmp_path / "cam.flv", 3, size=100_000).read_bytes()


async def whole(
    there: Site, path: str = PATH, method: str = "GET", **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    browser = await there.get(path, method, **headers)
    size = int(browser.headers.get("content-length", "0"))
    return (
        browser.status,
        browser.headers,
        b"" if method == "HEAD" else await browser.reader.readexactly(size),
    )


async def test_a_file_is_sent_whole(tmp_path: Path, data: bytes) -> None:
    async with shop(tmp_path) as there:
        status, headers, body = await whole(there)
        assert (status, body) == (200, data)
        assert headers["content-type"] == "video/x-flv"
        assert headers["accept-ranges"] == "bytes"
        status, headers, _ = await whole(there, method="HEAD")
        assert (status, headers["content-length"]) == (200, str(len(data)))
        await eventually(lambda: there.house.stats.players == 0)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=100-", 100, None),
        ("bytes=-50", -50, None),
        ("bytes=10-99999999", 10, None),
    ],
)
async def test_a_part_is_sent(tmp_path: Path, data: bytes, asked: str, first: int, last: int | None) -> None:
    async with shop(tmp_path) as there:
        status, headers, body = await whole(there, Range=asked)
        assert status == 206
        assert body == (data[first:] if last is None else data[first : last + 1])
        begin = first if first >= 0 else len(data) + first
        assert headers["content-range"] == f"bytes {begin}-{begin + len(body) - 1}/{len(data)}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,5-9", "lines=1-2", "bytes=-", "bytes=x"])
async def test_what_is_no_part_is_the_whole(tmp_path: Path, data: bytes, asked: str) -> None:
    async with shop(tmp_path) as there:
        status, _, body = await whole(there, Range=asked)
        assert (status, body) == (200, data)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
async def test_a_part_that_there_is_not(tmp_path: Path, data: bytes, asked: str) -> None:
    async with shop(tmp_path) as there:
        status, headers, _ = await whole(there, Range=asked)
        assert (status, headers["content-range"]) == (416, f"bytes */{len(data)}")


async def test_a_part_of_what_the_client_has_already(tmp_path: Path, data: bytes) -> None:
    async with shop(tmp_path) as there:
        _, headers, _ = await whole(there, method="HEAD")
        for current in (headers["etag"], headers["last-modified"]):
            status, _, body = await whole(there, Range="bytes=5-9", If_Range=current)
            assert (status, body) == (206, data[5:10])
        status, _, body = await whole(there, Range="bytes=5-9", If_Range='"older"')
        assert (status, body) == (200, data)
        assert (await whole(there, If_None_Match=headers["etag"]))[0] == 304
        clip(tmp_path / "cam.flv", 2)
        _, newer, _ = await whole(there, method="HEAD")
        assert newer["etag"] != headers["etag"]


async def test_only_for_whoever_may_play_it(tmp_path: Path, data: bytes) -> None:
    async with shop(tmp_path, authorizer=NoPlays()) as there:
        assert len(data)
        assert (await there.get(PATH)).status == 401


async def test_a_stream_that_is_live_goes_before_a_file(tmp_path: Path, data: bytes) -> None:
    async with shop(tmp_path) as there:
        encoder = await (await there.house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("LIVE")))
        await eventually(lambda: there.house.stream().stats.video.messages_in == 2)
        browser = await there.get(PATH)
        assert "content-length" not in browser.headers
        assert "LIVE@0" in await browser.until("LIVE@0")


async def test_other_paths_are_not_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "link.flv").symlink_to("/etc/passwd")
    async with shop(tmp_path) as there:
        for path in ("/live/link.flv", "/other/cam.flv", "/live/cam", "/live/%2e%2e/cam.flv"):
            assert (await there.get(path, "HEAD")).status == 404
        browser = await there.browser()
        browser.ask_with(PATH, UPGRADE)
        assert await browser.head() == 101  # Live, once somebody publishes it.


async def test_a_file_that_shrinks_ends_the_connection(tmp_path: Path) -> None:
    path = clip(tmp_path / "cam.flv", 30, size=200_000)
    async with shop(tmp_path) as there:
        browser = await there.get(PATH)
        with path.open("r+b") as file:
            file.truncate(1000)
        with pytest.raises((EOFError, ConnectionError)):
            await browser.reader.readexactly(int(browser.headers["content-length"]))
        await eventually(lambda: there.house.stats.players == 0)
