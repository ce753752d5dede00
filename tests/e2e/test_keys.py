"""Stream keys in the real server: who comes in, what they are told, and that no key ever appears."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import pytest
from command_kit import run_here
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC, VIDEO_FRAMES
from rtmp_dialogue import HANDSHAKE
from rtmpd_process import RtmpdProcess
from rtmpd_process import rtmpd as start

import rtmpd
from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.exceptions import PlayRejected, PublishRejected
from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.messages import Message

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
SPARE = "z7a2kxhkv7c2r2bq789uv37gdvpukb87b"
WATCH = "mdn777zx64g3mjpcvnv8wgqxk5uv2m5ra"
MISTYPED = KEY[:-1] + "y"
ADMIN = "p4dz7nn2hy5kuq8rzb3m9xtv6cwe7jgfa"
SECRETS = (KEY, SPARE, WATCH, MISTYPED, ADMIN)


def written(key: str, label: str) -> str:
    return f'[{{sha256 = "{spell_digest(digest_of(key))}", label = "{label}"}}]'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    keys.write_text(f"show {spell_digest(digest_of(SPARE))} label=spare\n")
    path = tmp_path / "rtmpd.toml"
    path.write_text(
        f"""
        records.keep_input = true
        access_log.path = "{tmp_path / "access.log"}"
        [admin.tokens.ann]
        sha256 = "{spell_digest(digest_of(ADMIN))}"
        [apps.live.publish]
        keys_file = "{keys}"
        [apps.live.publish.keys]
        show = {written(KEY, "Studio 2")}
        [apps.live.play.keys]
        show = {written(WATCH, "Mia")}
        """
    )
    return path


@pytest.fixture
def keyed(config: Path) -> Iterator[RtmpdProcess]:
    with start(
        "log.trace=127.0.0.0/8", "http.listen=127.0.0.1:0", environment={"RTMPD_CONFIG": str(config)}
    ) as process:
        yield process
        assert process.terminate() == 0


def url(server: RtmpdProcess, app: str = "live") -> str:
    return f"rtmp://127.0.0.1:{server.port('rtmp')}/{app}"


async def ask_by_http(server: RtmpdProcess) -> None:
    """Streams by HTTP, with keys that are good and keys that are not wherever one can be."""
    streams = f"http://127.0.0.1:{server.port('http')}/live"
    plays = (
        (f"show.flv?key={MISTYPED}", {}, 403),
        ("show.flv", {"Authorization": f"Bearer {MISTYPED}", "Cookie": f"key={KEY}"}, 403),
        (f"{KEY}.flv", {"Referer": f"https://a.example/?key={WATCH}"}, 403),
        (f"show.json?key={MISTYPED}", {}, 403),
        (f"show.json?key={WATCH}", {}, 200),
        (f"show?key={WATCH}", {}, 200),
        (f"show.flv?key={WATCH}", {}, 404),
        ("show.flv", {"Authorization": f"Bearer {WATCH}"}, 404),
    )
    async with aiohttp.ClientSession() as client:
        for path, headers, status in plays:
            async with client.head(f"{streams}/{path}", headers=headers) as told:
                assert (path, told.status) == (path, status)
            if status == 403:
                async with client.get(f"{streams}/{path}", headers=headers) as told:
                    body = await told.text()
                    assert not any(secret in body for secret in SECRETS)
        for path, status in ((f"{MISTYPED}.flv", 401), (f"show.flv?key={MISTYPED}", 403)):
            async with client.post(f"{streams}/{path}", data=b"FLV") as told:
                assert (path, told.status) == (path, status)
                body = await told.text()
                assert not any(secret in body for secret in SECRETS)


def test_an_encoder_with_the_key_is_played_by_the_public_name(
    keyed: RtmpdProcess, clip: ClipMaker, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.flv"
    with bundled().pull(f"{url(keyed)}/show?key={WATCH}", copy) as player:
        keyed.wait_for_plays(f"{url(keyed)}/show")
        with bundled().publish(clip(H264_AAC), f"{url(keyed)}/{KEY}", rate=4) as encoder:
            encoder.succeed(timeout=20)
        player.succeed(timeout=10)
    assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES


def test_ffmpeg_with_a_wrong_key_ends_with_our_sentence(keyed: RtmpdProcess, clip: ClipMaker) -> None:
    with bundled().publish(clip(H264_AAC), f"{url(keyed)}/{MISTYPED}") as encoder:
        assert encoder.wait(timeout=10) != 0
        assert "This stream key is not known here" in encoder.log()


def left_by_who_broke_the_protocol(server: RtmpdProcess) -> bytes:
    """What the server hands out of its input."""
    chunks = ChunkWriter()
    said = (
        ("connect", 1.0, {"app": "live", "tcUrl": f"rtmp://localhost/live?key={KEY}"}),
        ("FCPublish", 2.0, None, f"show?key={KEY}"),
    )
    commands = [chunks.write(Message(20, 0, 0, encode_values(*values)), 3) for values in said]
    with socket.create_connection(("127.0.0.1", server.port("rtmp"))) as client:
        client.sendall(b"".join([HANDSHAKE, *commands, b"\xc7", KEY.encode()]))
        server.log.wait_for({"event": "protocol error", "reason": "no_header"})
    server.log.wait_for({"event": "closed", "reason": "no_header"})
    listed = json.loads(server.get("/api/v1/records?reason=no_header"))
    path = f"/api/v1/records/{listed['items'][0]['id']}/input"
    with urlopen(f"http://127.0.0.1:{server.port('admin')}{path}", timeout=5.0) as answer:
        return bytes(answer.read())


async def test_no_key_appears_anywhere(keyed: RtmpdProcess, config: Path) -> None:
    """Whatever is done with them, right and wrong: log with debug and trace, metrics, ``rtmpd check``,
    records of sessions, and what is left of those that broke the protocol.
    """
    for app, name in (
        ("live", MISTYPED),
        ("live", f"show?key={MISTYPED}"),
        ("live", f"{MISTYPED}?key={MISTYPED}"),
        (f"live/{MISTYPED}", "/"),
        ("live", f"{KEY}|"),
        (KEY, "@"),
        ("Live", f"{KEY}@"),
    ):
        async with await rtmpd.connect(url(keyed, app), app=app) as encoder:
            with pytest.raises(PublishRejected) as refused:
                await encoder.publish(name)
            assert not any(secret in refused.value.description for secret in SECRETS)
    spellings = (f"mp4:{KEY}", f"{KEY}.flv", f"{KEY}/x", f"show&key={WATCH}", f"show%3Fkey={WATCH}", WATCH)
    for name in (KEY, f"show?key={MISTYPED}", f"show?key={KEY}", *spellings):
        async with await rtmpd.connect(url(keyed)) as player:
            with pytest.raises(PlayRejected):
                await player.play(name)
    ways = (("live", KEY), ("live", f"show?key={KEY}"), (f"live/{KEY}", "/"), ("live", SPARE))
    for number, (app, name) in enumerate(ways, 1):
        async with await rtmpd.connect(url(keyed, app), app=app) as encoder:
            await encoder.publish(name)
            async with await rtmpd.connect(url(keyed)) as player:
                await player.play(f"show?key={WATCH}")
                metrics = keyed.get("/metrics")
            with pytest.raises(PublishRejected, match="is being published by somebody else"):
                async with await rtmpd.connect(url(keyed)) as second:
                    await second.publish(KEY if name == SPARE else SPARE)
        keyed.log.wait_for({"event": "publish ended"}, number)
        assert not any(secret in metrics for secret in SECRETS)
    keyed.log.wait_for({"event": "play ended"}, len(ways))
    started = keyed.log.find({"event": "publish started", "stream": "show"})
    assert [line["account"] for line in started] == ["Studio 2", "Studio 2", "Studio 2", "spare"]
    assert {line["account"] for line in keyed.log.find({"event": "play ended"})} == {"Mia"}
    for shown in (ADMIN, MISTYPED, KEY):
        where = f"http://127.0.0.1:{keyed.port('admin')}/api/v1/streams?token={shown}"
        headers = {"Authorization": f"Bearer {shown}", "Cookie": f"rtmpd_login={shown}"}
        async with aiohttp.ClientSession() as client, client.get(where, headers=headers) as told:
            # The first is good, and the query is not.
            assert told.status == (400 if shown == ADMIN else 401)
            body = await told.text()
            assert not any(secret in body for secret in SECRETS)
    await ask_by_http(keyed)
    (hidden,) = {
        str(line["stream"]) for line in keyed.log.find({"event": "publish refused", "reason": "not_proven"})
    }
    assert hidden.startswith("~")
    assert keyed.log.find({"event": "trace"})
    status, shown, _ = run_here("check", "-c", str(config))
    assert status == 0
    left = await asyncio.to_thread(left_by_who_broke_the_protocol, keyed)
    assert (left[:1], b"FCPublish" in left) == (b"\x03", True)
    records = keyed.get("/api/v1/records?limit=1000")
    assert json.loads(records)["total"] > 20
    told = str(keyed.log) + shown + records + left.decode("latin-1")
    told += (config.parent / "access.log").read_text()
    assert spell_digest(digest_of(KEY)) in told
    assert not [secret for secret in SECRETS if secret in told]
