"""Files by HTTP: whole, in parts, for whoever may play them, and as sessions like any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from engine_kit import keyframe
from flv_kit import clip
from http_kit import UPGRADE, Archive, Browser, Site, site
from net_kit import HEADERS, eventually

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Refused
from rtmpd.outputs.library import Library
from rtmpd.outputs.vod_rules import VodRules
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Figures, Grant, PlayRules

PATH = "/live/cam.flv"


class Follower:
    def __init__(self) -> None:
        self.over: list[Figures] = []

    def began(self, figures: Callable[[], Figures]) -> None:
        """It shows at the end."""

    def ended(self, figures: Figures) -> None:
        self.over.append(figures)


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
        for path in ("/live/link.flv", "/other/cam.flv", "/live/%2e%2e/cam.flv"):
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


# -- as sessions


class Watch:
    """A library that notes what is opened."""

    def __init__(self) -> None:
        self.opened: list[StreamKey] = []

    def offers(self, _key: StreamKey) -> bool:
        return True

    async def open(self, key: StreamKey) -> None:
        self.opened.append(key)


@pytest.fixture
def long(tmp_path: Path) -> int:
    """A file that does not fit into what the kernel holds of a connection; its size."""
    path = clip(tmp_path / "cam.flv", 3)
    with path.open("r+b") as file:
        file.truncate(64 * 1024 * 1024)
    return path.stat().st_size


async def held(there: Site) -> Browser:
    """Somebody who reads nothing behind the head, once that is noticed."""
    browser = await there.get(PATH)
    await eventually(lambda: there.house.registry.budget.used > 0)
    return browser


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nothing_is_opened_for_whoever_may_not_play(method: str) -> None:
    library = Watch()
    async with site(library=library, authorizer=NoPlays()) as there:
        assert (await there.get(PATH, method)).status == 401
        assert library.opened == []


async def test_who_has_a_file_sent_is_a_session_that_plays(tmp_path: Path, long: int) -> None:
    async with shop(tmp_path) as there:
        await held(there)
        house = there.house
        (session,) = house.registry.sessions
        (use,) = session.uses
        assert (use.publishes, str(use.key), use.file) == (False, "live/cam", True)
        assert session.origin.protocol == "http-flv"
        assert house.stats.connections["playing"] == 1  # Nobody throws it out as a stranger.
        assert (house.stats.players, house.stats.viewers) == (1, 1)
        assert house.stats.other_players == {"http-flv": 1}
        assert 0 < session.figures().bytes_out < long


async def test_what_waits_is_charged_and_given_back(tmp_path: Path, long: int) -> None:
    async with shop(tmp_path) as there:
        browser = await held(there)
        assert there.house.registry.budget.used <= 512 * 1024
        sent = 0
        while data := await browser.reader.read(1 << 20):
            sent += len(data)
        assert sent == long
        await eventually(lambda: there.house.registry.budget.used == 0)


async def test_it_can_be_thrown_out_and_that_is_recorded(tmp_path: Path, long: int) -> None:
    async with shop(tmp_path) as there:
        archive = Archive(there.house)
        browser = await held(there)
        (session,) = there.house.registry.sessions
        session.dismiss(CloseReason.KICKED, Origin(account="ann"))
        assert len(await browser.closed()) < long
        await eventually(lambda: archive.records)
        (record,) = archive.records
        assert (record.kind, record.reason, record.by) == ("player", "kicked", "ann")
        (use,) = record.uses
        assert (use.file, use.reason, use.by) == (True, "kicked", "ann")
        assert 0 < use.bytes <= record.bytes_out < long
        assert there.house.stats.players_closed == {CloseReason.KICKED: 1}


async def test_a_file_that_was_sent_leaves_a_record_of_all_of_it(tmp_path: Path, data: bytes) -> None:
    async with shop(tmp_path) as there:
        archive = Archive(there.house)
        browser = await there.get(PATH)
        await browser.closed()
        browser.writer.close()
        await eventually(lambda: archive.records)
        (record,) = archive.records
        assert (record.kind, record.reason, record.introduced) == ("player", "finished", True)
        assert [(use.bytes, use.file) for use in record.uses] == [(len(data), True)]
        assert record.bytes_in > 0
        assert record.bytes_out > len(data)


async def test_who_takes_nothing_is_cut_after_the_patience_of_the_file(tmp_path: Path, long: int) -> None:
    library = Library(lambda _key: VodRules(str(tmp_path), 0.05))
    async with site(library=library) as there:
        await held(there)
        await eventually(lambda: there.house.stats.players == 0)
        assert there.house.stats.players_closed == {CloseReason.IDLE: 1}


async def test_a_play_of_a_file_may_last_so_long(tmp_path: Path, long: int) -> None:
    def rules(_key: StreamKey) -> PlayRules:
        return PlayRules(max_duration=0.05)

    async with shop(tmp_path, play_rules=rules) as there:
        await there.get(PATH)
        await eventually(lambda: there.house.stats.players == 0)
        assert there.house.stats.players_closed == {CloseReason.MAX_DURATION: 1}


async def test_so_many_may_have_files_sent(tmp_path: Path, long: int) -> None:
    async with shop(tmp_path, engine=EngineLimits(max_players=1)) as there:
        await held(there)
        assert (await there.get(PATH)).status == 503
        assert there.house.stats.refusals == {Refusal.PLAYERS: 1}


async def test_one_who_granted_it_is_told_what_became_of_it(tmp_path: Path, data: bytes) -> None:
    follower = Follower()

    class Door:
        def authorize(self, request: AccessRequest) -> Grant:
            return Grant(request.key, follower=follower if request.action is Action.PLAY else None)

    async with shop(tmp_path, authorizer=Door()) as there:
        await (await there.get(PATH)).closed()
        await eventually(lambda: follower.over)
        assert [figures.bytes_out for figures in follower.over] == [len(data)]
