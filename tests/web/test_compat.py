"""Other servers' documents and calls over HTTP, told of a server of real parts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import noalbs
import pytest
from control_kit import Desk, token
from engine_kit import keyframe
from net_kit import HEADERS, Client, House, eventually, serve
from shelf_kit import FakeShelf

from rtmpd.daemon.mediamtx_settings import HeldSettings
from rtmpd.daemon.settings import load
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import PLAIN, Mask
from rtmpd.reasons import Problem
from rtmpd.web import compat
from rtmpd.web.compat import Mounted
from rtmpd.web.compat_mediamtx import MediaMtx
from rtmpd.web.compat_nginx_rtmp import NginxRtmp, NginxRtmpSettings
from rtmpd.web.compat_srs import Srs
from rtmpd.web.shared import SharedAnswers

CONFIG = load([], {}, ["apps.live.handover.on_duplicate=takeover"]).config
SESSION = "01932c07-a5f8-7d2e-8f10-5d4b0c6e3a91"
PAGE = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}


@dataclass
class Stand:
    """All dialects beside our own API, SRS below a path, of a server that ``house`` is."""

    house: House
    settings: NginxRtmpSettings = field(default_factory=lambda: NginxRtmpSettings("/stat", "/control", 1000))
    max_age: float = 0.0

    def __post_init__(self) -> None:
        self.desk = Desk(self.house.registry, self.house.context.clock)
        shared = SharedAnswers(self.max_age, self.house.context.clock)
        desk = compat.Desk(self.desk.control, shared)
        self.mounted = [
            Mounted(NginxRtmp(desk, lambda: self.settings, lambda: ["live"])),
            Mounted(MediaMtx(desk, HeldSettings(lambda: CONFIG))),
            Mounted(Srs(desk), "/srs"),
        ]

    @asynccontextmanager
    async def client(self, **how: Any) -> AsyncIterator[aiohttp.ClientSession]:
        async with self.desk.client(mounted=lambda: self.mounted, **how) as client:
            yield client


@asynccontextmanager
async def on_air(
    *, local: bool = True, mask: Mask = PLAIN, **settings: Any
) -> AsyncIterator[tuple[Stand, aiohttp.ClientSession, Client, Client]]:
    """An encoder and a player of live/cam."""
    async with serve(mask=mask) as house:
        stand = Stand(house, **settings)
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        async with stand.client(local=local) as client:
            yield stand, client, encoder, player


async def get(client: aiohttp.ClientSession, path: str, method: str = "GET", **how: Any) -> tuple[int, str]:
    async with client.request(method, path, **how) as answer:
        return answer.status, await answer.text()


async def told(client: aiohttp.ClientSession, path: str, method: str = "GET") -> Any:
    async with client.request(method, path) as answer:
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        return await answer.json()


async def test_the_statistics_follow_the_encoder() -> None:
    async with on_air() as (stand, client, encoder, _player):
        async with client.get("/stat") as answer:
            page = await answer.text()
            assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert noalbs.scene(page, "live", "cam") is noalbs.Scene.PREVIOUS
        assert "<nclients>2</nclients>" in page
        await encoder.close()
        await eventually(lambda: stand.house.stats.publishers == 0)
        _, page = await get(client, "/stat")
        assert noalbs.scene(page, "live", "cam") is noalbs.Scene.OFFLINE
        assert "<name>live</name>" in page


@pytest.mark.parametrize(
    ("call", "number", "left"),
    [
        ("drop/publisher?app=live&name=cam", "1", (0, 1)),
        ("drop/subscriber?app=live&name=cam", "1", (1, 0)),
        ("drop/client?app=live", "2", (0, 0)),
        ("drop/client?name=cam&addr=127.0.0.1&srv=0", "2", (0, 0)),
        ("drop/client?app=&name=cam", "2", (0, 0)),
        ("drop/client?app=live&name=other", "0", (1, 1)),
        ("drop/client?addr=192.0.2.7", "0", (1, 1)),
        ("drop/client?clientid={id}", "1", (0, 1)),
        ("drop/subscriber?clientid={id}", "0", (1, 1)),
    ],
)
async def test_clients_are_dropped(call: str, number: str, left: tuple[int, int]) -> None:
    async with on_air() as (stand, client, _encoder, _player):
        _, page = await get(client, "/stat")
        first = page.partition("<client><id>")[2].partition("<")[0]
        assert await get(client, f"/control/{call.format(id=first)}") == (200, number)
        stats = stand.house.stats
        await eventually(lambda: (stats.publishers, stats.players) == left)


class Hidden:
    def show(self, _text: str) -> str:
        return "h-0123456789ab"


@pytest.mark.parametrize(
    ("address", "number"),
    [("127.0.0.1", "2"), ("h-0123456789ab", "2"), ("127.0.0.2", "0"), ("127.0.0.0/8", "0"), ("h-1", "0")],
)
async def test_an_address_is_meant_in_full_or_as_it_is_shown_and_no_other(address: str, number: str) -> None:
    async with on_air(mask=Hidden()) as (_stand, client, _encoder, _player):
        assert "127.0.0.1" not in (await get(client, "/stat"))[1]
        assert await get(client, f"/control/drop/client?addr={address}") == (200, number)


async def test_a_bug_is_told_as_the_other_server_tells_errors(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_air() as (stand, client, _encoder, _player):
        monkeypatch.setattr(stand.desk.control.server, "info", None)
        status, text = await get(client, "/v3/info")
        assert (status, json.loads(text)["status"]) == (500, "error")
        status, text = await get(client, "/srs/api/v1/versions")
        assert (status, json.loads(text)["code"]) == (500, 500)
    assert [record.msg for record in caplog.records] == ["api request failed"] * 2


async def test_players_are_led_to_another_stream() -> None:
    async with on_air() as (stand, client, _encoder, player):
        other = await (await stand.house.client()).publish("slate")
        other.send(*HEADERS, (0, keyframe("B")))
        call = "/control/redirect/client?app=live&name=cam&newname="
        await eventually(lambda: stand.house.stats.published_streams == 2)
        assert await get(client, f"{call}slate") == (200, "1")
        await player.until("1: B@0")
        assert await get(client, f"{call}slate") == (200, "0")


@pytest.mark.parametrize(
    ("call", "status", "sentence"),
    [
        ("redirect/client?app=live&name=cam", 400, "newname: say with which stream"),
        ("redirect/subscriber?app=live&name=cam&newname=nobody", 409, "nobody publishes live/nobody"),
        ("drop/client", 400, "say whom: by app, name, addr or clientid"),
        ("drop/client?app=", 400, "say whom"),
        ("drop/viewer?app=live", 400, "say publisher, subscriber or client"),
        ("drop/client?app=live&srv=1", 400, "srv: there is one server here"),
        ("drop/client?clientid=x", 400, "clientid: write the number"),
        ("drop/client?clientid=99999999999999999999", 400, "clientid"),
        ("redirect/subscriber?app=live&name=cam&newname=other", 409, "nobody publishes live/other"),
        ("redirect/subscriber?app=live&name=cam", 400, "newname: say with which stream"),
        (f"redirect/subscriber?app=live&name=cam&newname={'n' * 257}", 400, "newname: name: String should"),
        ("record/start?app=live&name=cam&rec=all", 422, "no [apps.NAME.record] says where"),
        ("record/stop?app=live&name=other", 204, ""),
        ("record/rewind?app=live", 400, "a recorder can start and stop"),
        ("reload/all", 404, ""),
    ],
)
async def test_calls_that_cannot_be(call: str, status: int, sentence: str) -> None:
    async with on_air() as (stand, client, _encoder, _player):
        answered, text = await get(client, f"/control/{call}")
        assert answered == status
        assert text.startswith(sentence) or status == 404
        assert (stand.house.stats.publishers, stand.house.stats.players) == (1, 1)


async def test_recordings_are_begun_and_ended_as_in_nginx_rtmp(tmp_path: Path) -> None:
    async with on_air() as (stand, client, _encoder, _player):
        shelf = stand.desk.shelf = FakeShelf(tmp_path)
        call = "/control/record/{}?app=live&name=cam&rec=rec1"
        path = str(tmp_path / "live" / "cam.flv")
        assert await get(client, call.format("stop")) == (200, "")
        assert await get(client, call.format("start")) == (200, path)
        assert await get(client, call.format("start")) == (200, "")
        assert await get(client, call.format("stop")) == (200, path)
        assert [each for each, _ in shelf.calls] == ["start", "stop"]
        assert stand.desk.audited[0][2]["change"] == "start_recording"


async def test_recordings_are_listed_and_removed_as_in_mediamtx(tmp_path: Path) -> None:
    async with on_air() as (stand, client, _encoder, _player):
        shelf = stand.desk.shelf = FakeShelf(tmp_path)
        assert (await told(client, "/v3/recordings/list"))["items"] == []
        for name in ("a.flv", "a.mp4"):
            shelf.finish(name)
        shelf.finish("b.flv", StreamKey("live", "other"))
        start = "2023-11-14T22:12:20Z"
        show = {"name": "live/show", "segments": [{"start": start}]}
        other = {"name": "live/other", "segments": [{"start": start}]}
        listed = await told(client, "/v3/recordings/list")
        assert listed == {"itemCount": 2, "pageCount": 1, "items": [other, show]}
        assert await told(client, "/v3/recordings/get/live/show") == show
        for wrong, status in (("path=live/show&start=x", 400), (f"path=live/x&start={start}", 404)):
            assert (await get(client, f"/v3/recordings/deletesegment?{wrong}", "DELETE"))[0] == status
        segment = f"/v3/recordings/deletesegment?path=live/show&start={start}"
        assert await told(client, segment, "DELETE") == {"status": "ok"}
        assert [each.relative for each in shelf.catalog.entries()] == ["b.flv"]
        assert (await get(client, "/v3/recordings/get/live/show"))[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        PAGE,
        {"Origin": "http://127.0.0.1"},
        {"Referer": "http://example.com/"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Mode": "no-cors"},
    ],
)
async def test_a_page_drops_nobody(headers: dict[str, str]) -> None:
    async with on_air() as (stand, client, _encoder, _player):
        status, _ = await get(client, "/control/drop/client?app=live", headers=headers)
        assert status == 403
        assert (stand.house.stats.publishers, stand.house.stats.players) == (1, 1)
        assert (await get(client, "/stat", headers=headers))[0] == 200


async def test_paths_are_those_of_the_settings() -> None:
    async with on_air() as (stand, client, _encoder, _player):
        stand.settings = NginxRtmpSettings("/rtmp/stats", "", 1)
        assert (await get(client, "/stat"))[0] == 404
        assert (await get(client, "/control/drop/client?app=live"))[0] == 404
        status, page = await get(client, "/rtmp/stats")
        assert (status, page.count("<client>")) == (200, 1)
        stand.settings = NginxRtmpSettings("/rtmp/stats", "", 0)
        status, page = await get(client, "/rtmp/stats")
        assert (page.count("<client>"), page.count("<nclients>2</nclients>")) == (0, 2)
        stand.settings = NginxRtmpSettings("", "", 1)
        assert (await get(client, "/rtmp/stats"))[0] == 404
        assert (await get(client, "/stat", "POST"))[0] == 404
        stand.mounted.clear()
        assert (await get(client, "/v3/info"))[0] == 404


async def test_srs_tells_of_streams_and_clients_and_throws_them_out() -> None:
    async with on_air() as (stand, client, encoder, _player):
        streams = (await told(client, "/srs/api/v1/streams/"))["streams"]
        assert [(each["url"], each["publish"]["active"]) for each in streams] == [("/live/cam", True)]
        one = await told(client, f"/srs/api/v1/streams/{streams[0]['id']}")
        assert one["stream"]["publish"] == streams[0]["publish"]
        assert (await told(client, "/srs/api/v1/versions"))["data"]["version"].startswith("rtmpd ")
        assert (await told(client, "/srs/api/v1/summaries"))["data"]["ok"] is True
        (vhost,) = (await told(client, "/srs/api/v1/vhosts"))["vhosts"]
        assert (await told(client, f"/srs/api/v1/vhosts/{vhost['id']}"))["vhost"]["streams"] == 1
        clients = (await told(client, "/srs/api/v1/clients?start=0&count=1"))["clients"]
        assert [each["type"] for each in clients] == ["fmle-publish", "rtmp-play"]
        path = f"/srs/api/v1/clients/{clients[0]['id']}"
        assert (await told(client, path))["client"]["publish"] is True
        gone = await told(client, path, "DELETE")
        assert (gone["code"], sorted(gone)) == (0, ["code", "pid", "server", "service"])
        await encoder.closed()
        await eventually(lambda: stand.house.stats.publishers == 0)
        for missing in (path, f"/srs/api/v1/clients/{SESSION}", "/srs/api/v1/clients/7"):
            assert await told(client, missing) == await told(client, missing, "DELETE") == {"code": 2049}
        assert await told(client, "/srs/api/v1/streams/vid-0000000") == {"code": 2048}
        for nothing in ("/srs/api/v1/raw", "/srs/api/v1", "/srs/", "/srs"):
            assert (await get(client, nothing))[0] == 404


async def test_ours_is_where_it_was() -> None:
    async with on_air() as (_stand, client, _encoder, _player):
        assert (await told(client, "/api/v1/streams"))["total"] == 1
        assert (await get(client, "/healthz"))[0] == 200


async def test_mediamtx_tells_of_paths_and_connections_and_throws_them_out() -> None:
    async with on_air() as (stand, client, encoder, _player):
        (path,) = (await told(client, "/v3/paths/list"))["items"]
        assert (path["name"], path["confName"], path["ready"]) == ("live/cam", "live", True)
        assert noalbs.bytes_of_path(await told(client, "/v3/paths/get/live/cam")) == path["bytesReceived"]
        connections = await told(client, "/v3/rtmpconns/list?itemsPerPage=1&page=1")
        assert (connections["itemCount"], connections["pageCount"]) == (2, 2)
        assert [each["state"] for each in connections["items"]] == ["read"]
        assert (await told(client, "/v3/rtmpsconns/list"))["itemCount"] == 0
        source = path["source"]["id"]
        assert (await told(client, f"/v3/rtmpconns/get/{source}"))["state"] == "publish"
        assert await told(client, f"/v3/rtmpconns/kick/{source}", "POST") == {"status": "ok"}
        await encoder.closed()
        await eventually(lambda: stand.house.stats.publishers == 0)


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "paths/get/live/other", 404, "path not found"),
        ("GET", f"rtmpconns/get/{SESSION}", 404, f"session {SESSION} is over"),
        ("GET", "rtmpconns/get/7", 400, "sessions have UUIDs"),
        ("GET", "rtmpconns/list?itemsPerPage=0", 400, "invalid items per page"),
        ("GET", "paths/list?page=x", 400, "page is no number"),
        ("GET", "config/paths/get/other", 404, "path configuration not found"),
        ("GET", "config/paths/list?page=x", 400, "page is no number"),
        ("PATCH", "config/global/patch", 405, "settings are not changed here"),
        ("POST", "config/paths/add/new", 405, "settings are not changed here"),
        ("POST", f"rtmpconns/kick/{SESSION}", 404, f"session {SESSION} is over"),
        ("POST", "rtmpconns/kick/7", 400, "sessions have UUIDs"),
    ],
)
async def test_mediamtx_says_what_goes_wrong(method: str, path: str, status: int, text: str) -> None:
    async with serve() as house, Stand(house).client() as client:
        async with client.request(method, f"/v3/{path}") as answer:
            said = await answer.json()
        assert (answer.status, said["status"]) == (status, "error")
        assert said["error"].startswith(text)


async def test_mediamtx_tells_the_settings_in_force() -> None:
    async with serve() as house, Stand(house).client() as client:
        assert (await told(client, "/v3/config/global/get"))["rtmpAddress"] == ":1935"
        assert (await told(client, "/v3/config/pathdefaults/get"))["overridePublisher"] is False
        listed = await told(client, "/v3/config/paths/list")
        assert (listed["itemCount"], [each["name"] for each in listed["items"]]) == (
            2,
            ["live", "all_others"],
        )
        assert await told(client, "/v3/config/paths/get/live") == listed["items"][0]
        assert listed["items"][0]["overridePublisher"] is True
        (last,) = (await told(client, "/v3/config/paths/list?itemsPerPage=1&page=1"))["items"]
        assert last["name"] == "all_others"
        for nothing in ("config", "config/", "config/paths", "config/global/list", "config/global/patch"):
            assert (await get(client, f"/v3/{nothing}"))[0] == 404


async def test_a_connection_is_thrown_out_by_the_list_that_has_it() -> None:
    async with on_air() as (stand, client, _encoder, _player):
        (path,) = (await told(client, "/v3/paths/list"))["items"]
        wrong = await told(client, f"/v3/rtmpsconns/kick/{path['source']['id']}", "POST")
        assert wrong == {"status": "error", "error": "connection not found"}
        assert stand.house.stats.publishers == 1


async def test_they_are_behind_the_same_gate() -> None:
    async with serve() as house:
        stand = Stand(house)
        async with stand.client(local=False) as client:
            for method, path in (
                ("GET", "/stat"),
                ("GET", "/control/drop/client?app=live"),
                ("GET", "/srs/api/v1/streams"),
                ("DELETE", "/srs/api/v1/clients/7"),
                ("GET", "/v3/paths/list"),
                ("POST", f"/v3/rtmpconns/kick/{SESSION}"),
            ):
                async with client.request(method, path) as answer:
                    assert (answer.status, "WWW-Authenticate" in answer.headers) == (401, True)
        text, ann = token("ann", "read", "live/other")
        stand.desk.admission.tokens(ann)
        async with stand.client(local=False) as client:
            shown = {"Authorization": f"Bearer {text}"}
            assert (await get(client, "/stat", headers=shown))[0] == 200
            assert (await get(client, "/control/drop/client?app=live", headers=shown))[0] == 403
            async with client.delete("/srs/api/v1/clients/7", headers=shown) as answer:
                assert (await answer.json())["code"] == 403
            async with client.post(f"/v3/rtmpconns/kick/{SESSION}", headers=shown) as answer:
                assert (answer.status, (await answer.json())["status"]) == (403, "error")


async def test_who_shows_no_token_is_told_so_in_each_dialect() -> None:
    async with serve() as house:
        stand = Stand(house)
        async with stand.client(local=False) as client:
            for path in ("/stat", "/control/drop/client?app=live"):
                status, text = await get(client, path)
                assert status == 401
                assert text.startswith("send Authorization: Bearer TOKEN; ")
            said = await told(client, "/srs/api/v1/clients/7", "DELETE")
            assert (said["code"], said["msg"].partition(";")[0]) == (401, "send Authorization: Bearer TOKEN")
            async with client.post(f"/v3/rtmpconns/kick/{SESSION}") as answer:
                assert (answer.status, (await answer.json())["status"]) == (401, "error")
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="rtmpd"'
        assert stand.desk.refusals.by_problem[Problem.TOKEN_MISSING] == 4


async def test_the_statistics_may_be_open_to_everybody_and_nothing_else_is() -> None:
    async with on_air(local=False) as (stand, client, _encoder, _player):
        stand.desk.admission.open = ("metrics", "health")
        status, text = await get(client, "/stat")
        assert status == 401
        assert 'admin.open = ["stat"] shows this to everybody' in text
        stand.desk.admission.open = ("stat",)
        status, page = await get(client, "/stat")
        assert (status, page.count("<client>")) == (200, 2)
        closed = ("/control/drop/client?app=live", "/srs/api/v1/streams", "/v3/paths/list", "/metrics")
        assert [(await get(client, path))[0] for path in closed] == [401] * 4
        stand.settings = NginxRtmpSettings("/statistics", "/control", 1000)
        assert (await get(client, "/stat"))[0] == 401


async def test_a_token_says_who_may_see_and_who_may_drop() -> None:
    async with on_air(local=False) as (stand, client, _encoder, _player):
        read, reader = token("noalbs")
        operate, operator = token("script", "operate")
        other, stranger = token("church", "operate", "church")
        stand.desk.admission.tokens(reader, operator, stranger)
        basic = base64.b64encode(f"any:{read}".encode()).decode()
        noalbs_shows = {"Authorization": f"Basic {basic}"}
        status, page = await get(client, "/stat", headers=noalbs_shows)
        assert (status, page.count("<stream>")) == (200, 1)
        assert (await get(client, "/control/drop/client?app=live", headers=noalbs_shows))[0] == 403
        assert stand.desk.refusals.by_problem[Problem.ROLE] == 1
        # Who has to do with other streams sees none of these, nor sums of them, and drops nobody.
        elsewhere = {"Authorization": f"Bearer {other}"}
        status, page = await get(client, "/stat", headers=elsewhere)
        assert (status, page.count("<stream>")) == (200, 0)
        assert "<bytes_in>0</bytes_in>" in page
        assert await get(client, "/control/drop/client?app=live", headers=elsewhere) == (200, "0")
        assert (await get(client, "/srs/api/v1/summaries", headers=elsewhere))[0] == 403
        assert (await get(client, "/srs/api/v1/streams", headers=elsewhere))[0] == 200
        assert (await get(client, "/v3/paths/get/live/cam", headers=elsewhere))[0] == 404
        shown = {"Authorization": f"Bearer {operate}"}
        assert await get(client, "/control/drop/client?app=live", headers=shown) == (200, "2")


async def test_a_dialect_alone_has_nothing_of_ours() -> None:
    async with serve() as house:
        stand = Stand(house)
        stand.mounted = [Mounted(stand.mounted[2].dialect)]
        async with stand.client(alone=True) as client:
            assert (await told(client, "/api/v1/versions"))["code"] == 0
            for ours in ("/", "/metrics", "/api/v1/server", "/healthz", "/stat"):
                assert (await get(client, ours))[0] == 404


async def test_documents_are_made_once_a_second_for_all_who_ask() -> None:
    async with on_air(max_age=60.0) as (stand, client, encoder, _player):
        pages = await asyncio.gather(*(get(client, "/stat") for _ in range(5)))
        assert len(set(pages)) == 1
        await encoder.close()
        await eventually(lambda: stand.house.stats.publishers == 0)
        assert await get(client, "/stat") == pages[0]
        await get(client, "/control/drop/client?app=live")
        assert await get(client, "/stat") != pages[0]
