"""The real server and a real backend: who comes in, pushes, hundreds who wait, and no secret appears."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backend_kit import HANG, OK, Asked, answer, answer_json, backend
from command_kit import run_here
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from rtmpd_process import RtmpdProcess
from rtmpd_process import rtmpd as start

import rtmpd
from rtmpd.daemon.ending import EX_CUT
from rtmpd.exceptions import PlayRejected, PublishRejected

SECRETS = ("q7wirename", "q7token", "q7path", "q7pass", "q7pushed", "q7wrong")


@contextmanager
def asking(path: Path, text: str, *settings: str) -> Iterator[RtmpdProcess]:
    path.write_text(text)
    with start(*settings, environment={"RTMPD_CONFIG": str(path)}) as process:
        yield process
        # Whoever of hundreds has not left by then is cut off.
        assert process.terminate() in (0, EX_CUT)


def url(server: RtmpdProcess, app: str = "live") -> str:
    return f"rtmp://127.0.0.1:{server.port('rtmp')}/{app}"


def nginx(asked: Asked) -> bytes:
    match asked.form["call"], asked.form.get("name"):
        case "publish", "q7wirename":
            return answer("302 Found", "", "Location: show")
        case "publish", "pushed":
            return answer("302 Found", "", "Location: rtmp://127.0.0.1:9/live/q7pushed")
        case "publish", _:
            return answer("403 Forbidden")
        case "play", "gone":
            return answer("404 Not Found")
    return OK


async def test_no_secret_appears_anywhere(tmp_path: Path) -> None:
    """Names on the wire, queries, the URL of the backend, what it answers: log with trace, metrics, check."""
    path = tmp_path / "rtmpd.toml"
    async with backend(nginx) as server:
        secret = server.url.replace("http://", "http://user:q7pass@") + "/q7path?key=q7path"
        moments = ("on_connect", "on_publish", "on_play", "on_publish_done", "on_play_done", "on_disconnect")
        hooks = "".join(f'{moment} = "{secret}"\n' for moment in moments)
        text = f'[apps.live.hooks]\ndialect = "nginx-rtmp"\ndecides = true\n{hooks}'
        with asking(path, text, "log.trace=127.0.0.0/8") as process:
            async with await rtmpd.connect(url(process)) as encoder:
                await encoder.publish("q7wirename?token=q7token")
                async with await rtmpd.connect(url(process)) as player:
                    await player.play("show?token=q7token")
                    metrics = process.get("/metrics")
            for name in ("q7wrong", "q7wrong?token=q7token"):
                async with await rtmpd.connect(url(process)) as encoder:
                    with pytest.raises(PublishRejected, match="This stream key is not accepted here"):
                        await encoder.publish(name)
            async with await rtmpd.connect(url(process)) as player:
                with pytest.raises(PlayRejected):
                    await player.play("gone?token=q7token")
            async with await rtmpd.connect(url(process)) as encoder:
                await encoder.publish("pushed")
                await asyncio.to_thread(process.log.wait_for, {"event": "push failed", "stream": "pushed"})
                relays = process.get("/api/v1/relays")
            await server.wait_for(
                21
            )  # All: the end waits for those that are on their way, and this loop with it.
            metrics += process.get("/metrics")
        assert {asked.headers["authorization"] for asked in server.asked} == {"Basic dXNlcjpxN3Bhc3M="}
        assert "q7path?key=q7path" in server.asked[0].path
    status, shown, _ = run_here("check", "-c", str(path))
    assert status == 0
    assert "http://127.0.0.1:" in shown
    (line,) = {str(line["stream"]) for line in process.log.find({"event": "publish refused"})}
    assert line.startswith("~")
    assert process.log.find({"event": "publish started", "stream": "show"})
    assert process.log.find({"event": "trace"})
    assert 'rtmpd_backend_questions_total{backend="live",outcome="refused"} 3.0' in metrics
    told = str(process.log) + shown + metrics + relays
    assert [secret for secret in SECRETS if secret in told] == []


async def test_ffmpeg_reads_the_sentence_of_the_backend(tmp_path: Path, clip: ClipMaker) -> None:
    said = answer_json({"allow": False, "reason": "Your stream key expired 3 minutes ago."})
    file = await asyncio.to_thread(clip, H264_AAC)
    async with backend(said) as server:
        text = f'[apps.live.hooks]\non_publish = "{server.url}"\n'
        with (
            asking(tmp_path / "rtmpd.toml", text) as process,
            bundled().publish(file, f"{url(process)}/show") as encoder,
        ):
            assert await asyncio.to_thread(encoder.wait, 10) != 0
            assert "Your stream key expired 3 minutes ago." in encoder.log()
        assert [asked.json["name"] for asked in server.asked] == ["show"]


async def test_a_stream_is_pushed_where_the_backend_says(tmp_path: Path) -> None:
    with start(environment={}) as target:
        there = f"rtmp://127.0.0.1:{target.port('rtmp')}/copies"
        async with backend(lambda asked: answer("302 Found", "", f"Location: {there}")) as server:
            text = f'[apps.live.hooks]\ndialect = "nginx-rtmp"\non_publish = "{server.url}"\n'
            with asking(tmp_path / "rtmpd.toml", text) as process:
                async with await rtmpd.connect(url(process)) as encoder:
                    await encoder.publish("show")
                    fields = {"event": "publish started", "app": "copies", "stream": "show"}
                    await asyncio.to_thread(target.log.wait_for, fields)
                ended = {"event": "publish ended", "app": "copies", "stream": "show"}
                await asyncio.to_thread(target.log.wait_for, ended)
        assert target.terminate() == 0


async def test_hundreds_who_wait_for_a_backend_hold_up_nobody(tmp_path: Path) -> None:
    """500 publishes that wait, and a publish and a play in an app that asks nobody go as ever."""
    async with backend(HANG) as server:
        text = f'[apps.live.hooks]\non_publish = "{server.url}"\ntimeout = "30s"\n'
        limits = ("rtmp.limits.max_connections_per_address=1000", "rtmp.limits.max_pending_per_address=1000")
        rates = ("rtmp.limits.max_connects_per_minute=10000", "rtmp.limits.max_publishes_per_minute=10000")
        with asking(tmp_path / "rtmpd.toml", text, *limits, *rates, "shutdown.drain_timeout=1s") as process:
            waiting = [await rtmpd.connect(url(process)) for _ in range(500)]
            publishes = [asyncio.ensure_future(each.publish(f"s{n}")) for n, each in enumerate(waiting)]
            await server.wait_for(64)
            async with asyncio.timeout(20.0):  # Less than any of them waits.
                async with await rtmpd.connect(url(process, "other")) as encoder:
                    await encoder.publish("show")
                    async with await rtmpd.connect(url(process, "other")) as player:
                        await player.play("show")
            assert not any(each.done() for each in publishes)
            assert 'rtmpd_backend_waiting{backend="live"} 500.0' in process.get("/metrics")
            for each in publishes:
                each.cancel()
            for connection in waiting:
                connection.abort()
