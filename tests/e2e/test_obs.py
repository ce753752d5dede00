"""OBS asks how to encode: the real server, whole, asked and published to as OBS does it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from obs_config_kit import canvas, older, request, written
from rtmpd_process import RtmpdProcess
from rtmpd_process import rtmpd as start

import rtmpd
from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.exceptions import PlayRejected, PublishRejected

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
OVER = "z7a2kxhkv7c2r2bq789uv37gdvpukb87b"
WRONG = KEY[:-1] + "y"
AUDIO = bytes.fromhex("af001190")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtmpdProcess]:
    config = tmp_path / "rtmpd.toml"
    config.write_text(
        f"""
        [apps.live.publish.keys]
        show = [
          "{spell_digest(digest_of(KEY))}",
          {{sha256 = "{spell_digest(digest_of(OVER))}", until = "2020-01-01"}},
        ]
        [[apps.live.ladder]]
        height = 1080
        kbps = 6000
        [[apps.live.ladder]]
        height = 360
        kbps = 800
        fps = 30
        [apps.live.obs]
        keyint = 1
        [apps.plain.publish]
        allow = "anyone"
        [[apps.moved.ladder]]
        height = 360
        kbps = 800
        [apps.moved.obs]
        server = "rtmps://one.example/moved"
        next_server = "rtmps://two.example/moved"
        """
    )
    options = ("-c", str(config))
    with start(
        "log.trace=127.0.0.0/8", "http.listen=127.0.0.1:0", "log.level=debug", options=options
    ) as process:
        yield process
        assert process.terminate() == 0
        text = str(process.log)
        assert not [secret for secret in (KEY, OVER, WRONG) if secret in text]


async def ask(
    server: RtmpdProcess, body: bytes | dict[str, Any], path: str = "/obs/config", **how: Any
) -> dict[str, Any]:
    """The answer, which is a 200 whatever it says."""
    data = body if isinstance(body, bytes) else written(body)
    async with aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{server.port('http')}{path}"
        async with client.post(url, data=data, **how) as answer:
            assert (answer.status, answer.content_type) == (200, "application/json")
            told: dict[str, Any] = json.loads(await answer.text())
            return told


async def refused(server: RtmpdProcess, body: bytes | dict[str, Any], path: str = "/obs/config") -> str:
    told = await ask(server, body, path)
    assert told["status"]["result"] == "error"
    assert told["ingest_endpoints"] == []
    return str(told["status"]["html_en_us"])


def place(told: dict[str, Any]) -> tuple[str, str]:
    """Where OBS connects to, and what it publishes there."""
    assert told["status"]["result"] == "success", told
    (endpoint,) = told["ingest_endpoints"]
    url = endpoint["url_template"].removesuffix("/{stream_key}")
    return url, f"{endpoint['authentication']}?clientConfigId={told['meta']['config_id']}"


@asynccontextmanager
async def published(where: tuple[str, str], media: bool = True) -> AsyncIterator[asyncio.Task[None]]:
    """As OBS does it, with audio all the time."""
    url, name = where

    async def speak() -> None:
        for tick in count():
            await stream.send_audio(AUDIO, tick * 20)
            await asyncio.sleep(0.02)

    async with await rtmpd.connect(url) as encoder:
        stream = await encoder.publish(name)
        speaking = asyncio.create_task(speak() if media else asyncio.Event().wait())
        try:
            yield speaking
        finally:
            speaking.cancel()


async def test_a_key_is_answered_with_a_ladder_and_a_token_that_publishes(server: RtmpdProcess) -> None:
    body = request(f"{KEY}?user=1", canvases=[canvas()], vod_track_audio=True, audio_channels=1)
    told = await ask(server, body)
    assert [each["height"] for each in told["encoder_configurations"]] == [1080, 360]
    assert {each["settings"]["x264opts"] for each in told["encoder_configurations"]} == {"scenecut=0"}
    assert {each["channels"] for each in told["audio_configurations"]["vod"]} == {1}
    url, name = place(told)
    assert url == f"rtmp://127.0.0.1:{server.port('rtmp')}/live"
    line = server.log.wait_for({"event": "obs configured", "app": "live", "stream": "show"})
    assert (line["tracks"], line["kbps"], line["encoders"]) == (2, 6800, "x264")
    async with published((url, name)):
        line = server.log.wait_for({"event": "publish started", "stream": "show"})
        assert server.metric("rtmpd_obs_configurations_total", outcome="configured") == 1.0
    # OBS connects again.
    async with published((url, name)):
        server.log.wait_for({"event": "publish started", "stream": "show"}, 2)
    assert name.partition("?")[0] not in str(server.log)


async def test_a_token_without_its_configuration_is_no_use_and_neither_to_play(server: RtmpdProcess) -> None:
    url, name = place(await ask(server, request(KEY)))
    token = name.partition("?")[0]
    for wrong in (token, f"{token}?clientConfigId=00"):
        with pytest.raises(PublishRejected, match="belongs to another start"):
            async with published((url, wrong)):
                pass
    with pytest.raises(PlayRejected, match="no name of a stream"):
        async with await rtmpd.connect(url) as player:
            await player.play(token)
    assert token not in str(server.log)


async def test_both_versions_and_both_paths_are_understood(server: RtmpdProcess) -> None:
    for path in ("/obs/config", "/obs/config?app=live", "/live/obs/config", "//live//obs/config/"):
        told = await ask(server, older(KEY), path)
        assert (told["meta"]["schema_version"], len(told["encoder_configurations"])) == ("2024-06-04", 2)
    told = await ask(server, request(KEY), "/obs/config?encoder=nvenc")
    assert {each["type"] for each in told["encoder_configurations"]} == {"obs_nvenc_h264_tex"}


async def test_refusals_come_in_words_for_the_dialog(server: RtmpdProcess) -> None:
    assert "not known here" in await refused(server, request(WRONG))
    assert "has expired on 2020-01-02" in await refused(server, request(OVER))
    assert "is empty" in await refused(server, request(""))
    assert "Nothing is set up here" in await refused(server, request("show"), "/plain/obs/config")
    assert "encoder is auto, x264" in await refused(server, request(KEY), "/obs/config?encoder=voodoo")
    assert "maximum bitrate" in await refused(server, request(KEY, maximum_aggregate_bitrate=100))
    assert "no JSON object" in await refused(server, b"[" * 40_000)
    assert "longer than 49152 bytes" in await refused(server, b" " * 50_000)
    body = request(KEY) | {"client": None}
    assert "no request of OBS: client" in await refused(server, body)
    for reason, number in (("refused", 3), ("no_ladder", 1), ("unfit", 1), ("unreadable", 4)):
        assert server.metric("rtmpd_obs_configurations_total", outcome=reason) == number
    line = server.log.wait_for({"event": "publish refused", "reason": "not_proven"})
    assert line["protocol"] == "http"


async def test_what_is_not_even_asked_comes_in_words_too(server: RtmpdProcess) -> None:
    assert "longer than 2048 bytes" in await refused(server, request(KEY), f"/obs/config?x={'y' * 2100}")
    assert "Write only=audio" in await refused(server, request(KEY), "/live/obs/config?only=pictures")
    # By RTMP it would be refused, and OBS says it there, too.
    assert "longer than 2048 bytes" in await refused(server, request(f"{KEY}?x={'y' * 2100}"))
    line = server.log.wait_for({"event": "obs not configured", "reason": "unreadable", "app": "live"}, 2)
    assert line["told"].startswith("Write only=audio")


async def test_who_asks_through_a_proxy_is_told_that_the_address_has_had_its_share() -> None:
    limits = ("rtmp.limits.max_connections_per_address=1", "network.trusted_proxies=127.0.0.1")
    with start("http.listen=127.0.0.1:0", *limits) as server:
        site, streamer = f"http://127.0.0.1:{server.port('http')}", {"X-Forwarded-For": "192.0.2.7"}
        async with aiohttp.ClientSession() as other, other.get(f"{site}/obs/config", headers=streamer):
            told = await ask(server, request(KEY), "/tv/obs/config", headers=streamer)
        assert told["status"]["result"] == "error"
        assert "has had its share: max_connections_per_address." in told["status"]["html_en_us"]
        line = server.log.wait_for({"event": "obs not configured", "reason": "refused"})
        assert (line["app"], line["client"]) == ("tv", "127.0.0.1")


async def test_no_alias_leads_obs_away() -> None:
    alias = 'http.aliases=["/{app}/{name} -> /live/{name}/index.m3u8"]'
    with start("http.listen=127.0.0.1:0", alias) as server:
        assert "Nothing is set up here" in await refused(server, request("show"))


async def test_a_stream_that_is_published_is_not_given_twice(server: RtmpdProcess) -> None:
    where = place(await ask(server, request(KEY)))
    async with published(where):
        assert "is being published by somebody else" in await refused(server, request(KEY))
    place(await ask(server, request(KEY)))
    # Who says nothing any more has gone, and comes again.
    async with published(where, media=False):
        again = place(await ask(server, request(KEY)))
        async with published(again):
            server.log.wait_for({"event": "publish ended", "stream": "show", "reason": "superseded"})


async def test_who_was_not_let_in_is_sent_to_another_host_with_the_key_that_was_typed(
    server: RtmpdProcess,
) -> None:
    first = await ask(server, request("cam"), "/moved/obs/config")
    (endpoint,) = first["ingest_endpoints"]
    assert endpoint["protocol"] == "RTMPS"
    assert endpoint["url_template"] == "rtmps://one.example/moved/{stream_key}"
    assert endpoint["authentication"].startswith("obs-")
    second = await ask(server, request("cam"), "/moved/obs/config")
    (endpoint,) = second["ingest_endpoints"]
    assert endpoint == {
        "protocol": "RTMPS",
        "url_template": "rtmps://two.example/moved/{stream_key}",
        "authentication": None,
    }
    # No id of ours: there nobody knows it.
    assert second["meta"]["config_id"] == ""


async def test_a_body_may_be_announced_and_cut_and_late(server: RtmpdProcess) -> None:
    told = await ask(server, request(KEY), expect100=True)
    assert told["status"]["result"] == "success"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port("http"))
    writer.write(b"POST /obs/config HTTP/1.1\r\nHost: tv\r\nContent-Length: 900\r\n\r\n{")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"has not come within 3 seconds" in await reader.read(1000)
    writer.close()


async def test_what_is_there_says_what_it_is_for(server: RtmpdProcess) -> None:
    site = f"http://127.0.0.1:{server.port('http')}"
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{site}/obs/config") as answer:
            assert (answer.status, "docs/obs.md" in await answer.text()) == (200, True)
        async with client.get(f"{site}/obs/override.json?canvas=1280x720&fps=30&encoder=amf") as answer:
            told = json.loads(await answer.text())
            assert [each["type"] for each in told["encoder_configurations"]] == ["h264_texture_amf"] * 2
            assert told["encoder_configurations"][0]["height"] == 720
        for path, status in (("/obs/override.json?fps=0", 404), ("/plain/obs/override.json", 404)):
            async with client.get(f"{site}{path}") as answer:
                assert (answer.status, answer.content_type) == (status, "text/plain")


async def test_an_app_that_is_called_obs_keeps_its_streams(server: RtmpdProcess) -> None:
    where, url = server.url("", "obs").rstrip("/"), f"http://127.0.0.1:{server.port('http')}/obs/config.flv"
    async with published((where, "config")), aiohttp.ClientSession() as client, client.get(url) as answer:
        assert (answer.status, (await answer.content.readexactly(3))) == (200, b"FLV")


async def test_one_setting_closes_it() -> None:
    with start("http.listen=127.0.0.1:0", "http.obs=false") as process:
        async with aiohttp.ClientSession() as client:
            for path in ("/obs/config", "/obs/override.json"):
                url = f"http://127.0.0.1:{process.port('http')}{path}"
                async with client.post(url, data=written(request())) as answer:
                    assert answer.status == 404
