"""Recordings over HTTP: listed, downloaded, removed, begun and ended."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from control_kit import Desk, token
from shelf_kit import NOW, SHOW, FakeShelf, put

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.outputs.afterwork_words import Step
from rtmpd.outputs.catalog import file_id
from rtmpd.outputs.folder_scan import FoundFile
from rtmpd.web import files

RECORDINGS = "/api/v1/recordings"
OTHER = StreamKey("other", "show")


class Nobody:
    """Publishes."""

    def close(self, *_args: object) -> None: ...


@pytest.fixture
def shelf(tmp_path: Path) -> FakeShelf:
    return FakeShelf(tmp_path)


@pytest.fixture
def desk(shelf: FakeShelf) -> Desk:
    return Desk(shelf=shelf)


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[aiohttp.ClientSession]:
    async with desk.client() as session:
        yield session


async def ask(client: aiohttp.ClientSession, method: str, path: str, **how: Any) -> tuple[int, Any]:
    async with client.request(method, path, **how) as response:
        return response.status, await response.json() if response.content_type.endswith("json") else None


async def listed(client: aiohttp.ClientSession, query: str = "", **how: Any) -> list[str]:
    status, page = await ask(client, "GET", f"{RECORDINGS}?{query}", **how)
    assert status == 200
    assert page["total"] >= len(page["items"])
    return [each["file"] for each in page["items"]]


async def test_files_are_listed_and_told(client: aiohttp.ClientSession, shelf: FakeShelf) -> None:
    file = shelf.finish("live/show/a.flv", step=Step.UPLOAD)
    shelf.recorded[SHOW] = shelf.root / "live" / "show" / "b.flv"
    status, page = await ask(client, "GET", RECORDINGS)
    written, finished = page["items"]
    assert (status, page["total"], page["next"]) == (200, 2, None)
    assert finished == {
        "id": file_id(str(file)),
        "state": "finished",
        "app": "live",
        "name": "show",
        "file": "live/show/a.flv",
        "path": str(file),
        "part": 1,
        "started": "2023-11-14T22:12:20Z",
        "changed": "2023-11-14T22:13:20Z",
        "seconds": 60.0,
        "bytes": 10,
        "codecs": ["H.264", "AAC"],
        "reason": "publish_ended",
        "waits_for": "upload",
        "problem": None,
        "uploaded": None,
    }
    assert (written["state"], written["file"], written["bytes"]) == ("recording", "live/show/b.flv", 7)
    assert await ask(client, "GET", f"{RECORDINGS}/{finished['id']}") == (200, finished)
    assert (await ask(client, "GET", f"{RECORDINGS}/{written['id']}"))[1]["state"] == "recording"
    status, problem = await ask(client, "GET", f"{RECORDINGS}/{'0' * 16}")
    assert (status, problem["type"]) == (404, "urn:rtmpd:problem:recording_not_found")


async def test_what_lies_where_no_setting_points_any_more_is_told_all_the_same(
    client: aiohttp.ClientSession, shelf: FakeShelf
) -> None:
    shelf.recorded[SHOW] = Path("/elsewhere/live/b.flv")
    assert await listed(client) == ["b.flv"]


async def test_lists_come_in_parts_and_by_what_is_wanted(
    client: aiohttp.ClientSession, shelf: FakeShelf
) -> None:
    for age in range(5):
        shelf.finish(f"{age}.flv", age=age)
    shelf.finish("other.flv", OTHER, age=9, step=Step.REMUX)
    put(shelf.root / "mine.mp4")
    shelf.catalog.see(str(shelf.root), FoundFile(str(shelf.root / "mine.mp4"), 10, NOW - 99))
    found, after = [], ""
    while True:
        _, page = await ask(client, "GET", f"{RECORDINGS}?limit=2{after}")
        found += [each["file"] for each in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == ["0.flv", "1.flv", "2.flv", "3.flv", "4.flv", "other.flv", "mine.mp4"]
    assert await listed(client, "app=other") == ["other.flv"]
    assert await listed(client, "stream=live/show&limit=1") == ["0.flv"]
    assert await listed(client, "waiting=true") == ["other.flv"]
    assert await listed(client, "state=recording") == []
    assert (await ask(client, "GET", f"{RECORDINGS}?after=x"))[0] == 400


async def test_a_file_is_downloaded_whole_and_in_parts(
    client: aiohttp.ClientSession, shelf: FakeShelf
) -> None:
    file = shelf.finish("live/show/\N{SNOWMAN} a.flv", size=100_000)
    place = f"{RECORDINGS}/{file_id(str(file))}/file"
    async with client.get(place) as response:
        assert (response.status, response.content_type) == (200, "video/x-flv")
        assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%E2%98%83%20a.flv"
        assert len(await response.read()) == 100_000
    async with client.get(place, headers={"Range": "bytes=99990-"}) as response:
        assert (response.status, response.headers["Content-Range"]) == (206, "bytes 99990-99999/100000")
        assert len(await response.read()) == 10
    async with client.get(place, headers={"Range": "bytes=100000-"}) as response:
        assert response.status == 416
    async with client.head(place) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, "100000")
    with file.open("rb+") as held:  # Nobody reads it any more.
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_a_file_stays_while_it_is_read(
    client: aiohttp.ClientSession, shelf: FakeShelf, desk: Desk
) -> None:
    file = shelf.finish("a.flv", size=30_000_000)
    place = f"{RECORDINGS}/{file_id(str(file))}"
    async with client.get(f"{place}/file") as response:
        status, problem = await ask(client, "DELETE", place)
        assert (status, problem["type"]) == (409, "urn:rtmpd:problem:recording_busy")
        assert len(await response.read()) == 30_000_000
    assert (await ask(client, "DELETE", place))[0] == 204
    assert not file.exists()
    assert await listed(client) == []
    facts = [(told["change"], told["target"], told["result"]) for _, _, told in desk.audited]
    assert facts == [("delete_recording", "a.flv", "refused"), ("delete_recording", "a.flv", "done")]
    assert [key for _, key, _ in desk.audited] == [SHOW, SHOW]


async def test_few_are_downloaded_at_a_time(
    shelf: FakeShelf, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.FileSender.__init__, "__defaults__", (1,))
    file = shelf.finish("a.flv", size=30_000_000)
    place = f"{RECORDINGS}/{file_id(str(file))}/file"
    async with desk.client() as client:
        async with client.get(place) as response:
            async with client.get(place) as other:
                assert (other.status, other.headers["Retry-After"]) == (429, "10")
            response.close()
        async with asyncio.timeout(5.0):
            while True:
                async with client.get(place) as response:
                    if response.status == 200:
                        break


@dataclass
class Tokens:
    """What a reader, an operator and an operator of one app show."""

    reader: dict[str, str] = field(init=False)
    operator: dict[str, str] = field(init=False)
    scoped: dict[str, str] = field(init=False)

    def __init__(self, desk: Desk) -> None:
        made = [token("r"), token("o", "operate"), token("s", "operate", "other")]
        desk.admission.tokens(*[each for _, each in made])
        self.reader, self.operator, self.scoped = [{"Authorization": f"Bearer {text}"} for text, _ in made]


async def test_who_may_see_and_do_what(shelf: FakeShelf, desk: Desk) -> None:
    who = Tokens(desk)
    show, other = shelf.finish("show.flv", age=2), shelf.finish("other.flv", OTHER, age=1)
    put(shelf.root / "nobodys.mp4")
    shelf.catalog.see(str(shelf.root), FoundFile(str(shelf.root / "nobodys.mp4"), 10, NOW - 3))
    desk.registry.claim(SHOW, Nobody(), Origin(), 0.0)
    async with desk.client(local=False) as client:
        assert await listed(client, headers=who.reader) == ["other.flv", "show.flv", "nobodys.mp4"]
        assert await listed(client, headers=who.scoped) == ["other.flv"]
        place = f"{RECORDINGS}/{file_id(str(show))}"
        assert (await ask(client, "GET", f"{place}/file", headers=who.reader))[0] == 403
        assert (await ask(client, "DELETE", place, headers=who.reader))[0] == 403
        for method, path in (("GET", place), ("GET", f"{place}/file"), ("DELETE", place)):
            assert (await ask(client, method, path, headers=who.scoped))[0] == 404
        start = "/api/v1/streams/live/show/recording/start"
        assert (await ask(client, "POST", start, headers=who.scoped))[0] == 404
        assert (await ask(client, "POST", start, headers=who.reader))[0] == 403
        assert (await ask(client, "POST", start, headers=who.operator))[0] == 200
        mine = f"{RECORDINGS}/{file_id(str(other))}"
        assert (await ask(client, "DELETE", mine, headers=who.scoped))[0] == 204


async def test_recordings_are_begun_split_and_ended(
    client: aiohttp.ClientSession, shelf: FakeShelf, desk: Desk
) -> None:
    stream = "/api/v1/streams/live/show/recording"
    assert (await ask(client, "POST", f"{stream}/start"))[1]["detail"] == "nobody publishes live/show"
    desk.registry.claim(SHOW, Nobody(), Origin(), 0.0)
    status, problem = await ask(client, "POST", f"{stream}/stop")
    assert (status, problem["type"]) == (409, "urn:rtmpd:problem:not_recorded")
    assert await ask(client, "POST", f"{stream}/start") == (
        200,
        {
            "app": "live",
            "name": "show",
            "recording": True,
            "file": "live/show.flv",
            "path": str(shelf.root / "live" / "show.flv"),
        },
    )
    assert (await ask(client, "POST", f"{stream}/split"))[0] == 200
    written = file_id(str(shelf.root / "live" / "show.flv"))
    for method, path in (("DELETE", written), ("GET", f"{written}/file")):
        status, problem = await ask(client, method, f"{RECORDINGS}/{path}")
        assert (status, problem["detail"]) == (
            409,
            "it is being written: stop the recording, or split it, first",
        )
    _, told = await ask(client, "POST", f"{stream}/stop")
    assert (told["recording"], told["file"]) == (False, None)
    shelf.refuses = "live/show may not be recorded"
    status, problem = await ask(client, "POST", f"{stream}/start")
    assert (status, problem["detail"]) == (422, "live/show may not be recorded")
    assert shelf.calls == [("start", SHOW), ("split", SHOW), ("stop", SHOW)]


async def test_what_is_still_to_be_done_is_tried_when_somebody_says_so(
    client: aiohttp.ClientSession, shelf: FakeShelf
) -> None:
    waits, done = shelf.finish("waits.flv", step=Step.UPLOAD), shelf.finish("done.flv")
    assert (await ask(client, "POST", f"{RECORDINGS}/{file_id(str(waits))}/retry"))[0] == 200
    assert (await ask(client, "POST", f"{RECORDINGS}/{file_id(str(done))}/retry"))[0] == 409
    assert shelf.calls == [("retry", str(waits))]


async def test_where_nothing_is_recorded_that_is_said(client: aiohttp.ClientSession, desk: Desk) -> None:
    desk.shelf = None
    assert await listed(client) == []
    assert (await ask(client, "GET", f"{RECORDINGS}/x"))[0] == 404
    desk.registry.claim(SHOW, Nobody(), Origin(), 0.0)
    status, problem = await ask(client, "POST", "/api/v1/streams/live/show/recording/start")
    assert (status, "name root there" in problem["detail"]) == (422, True)
