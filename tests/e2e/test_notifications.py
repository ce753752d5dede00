"""Notifications of the real server: to the last, and no secret of theirs anywhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from backend_kit import HANG, OK, RESET, Asked, Backend, answer, backend
from client_kit import AVC_HEADER, keyframe
from command_kit import run_here
from events_kit import SECRET, verified
from rtmpd_process import RtmpdProcess
from rtmpd_process import rtmpd as start

import rtmpd

SECRETS = ("hush-path", "hush-query", "hush-password", "tk_hush", SECRET.removeprefix("whsec_"), "hush-topic")


def events(server: Backend) -> list[str]:
    return [asked.json["event"] for asked in server.asked]


async def stop(process: RtmpdProcess) -> None:
    assert await asyncio.to_thread(process.terminate) == 0


async def test_the_end_of_the_server_is_told_to_the_last_event() -> None:
    async with backend() as server:
        settings = (f"notify.x.url={server.url}", f"notify.x.secret={SECRET}", "notify.x.events=*")
        with start(*settings) as process:
            async with await rtmpd.connect(process.url("cam")) as encoder:
                stream = await encoder.publish()
                await stream.send_video(AVC_HEADER, 0)
                await stream.send_video(keyframe(), 0)
                async with await rtmpd.connect(process.url("cam")) as viewer:
                    await viewer.play()
                    await server.wait_for(4)
                await server.wait_for(6)
                await stop(process)
            assert events(server) == [
                "published",
                "first_media",
                "player_joined",
                "first_viewer",
                "player_left",
                "last_viewer_left",
                "audit",  # Somebody has sent a signal.
                "unpublished",
                "ended",
            ]
            assert [asked.json["delivery"] for asked in server.asked] == [*range(1, 10)]
            assert len({asked.json["server"] for asked in server.asked}) == 1
            of_others = ("player_joined", "first_viewer", "player_left", "last_viewer_left", "audit")
            (session,) = {
                asked.json["session"] for asked in server.asked if asked.json["event"] not in of_others
            }
            assert process.log.find({"event": "publish started", "session": session})
            for asked in server.asked:
                at = int(asked.headers["webhook-timestamp"])
                assert verified(asked.headers, asked.body, SECRET, now=at)
            assert server.asked[-2].json["data"]["reason"] == "shutdown"
            assert server.connections == 1


async def test_a_target_that_hangs_holds_up_neither_streams_nor_the_end() -> None:
    async with backend(HANG) as server:
        settings = (f"notify.x.url={server.url}", "notify.x.timeout=60s", "shutdown.drain_timeout=500ms")
        with start(*settings) as process:
            async with await rtmpd.connect(process.url("cam")) as encoder:
                await encoder.publish()
                await server.wait_for(1)
                async with await rtmpd.connect(process.url("cam")) as viewer:
                    await viewer.play()
                assert process.metric("rtmpd_notify_queued", target="x") == 1.0
            process.log.wait_for({"event": "publish ended"})
            await stop(process)
            lost = process.log.wait_for({"event": "notifications lost"})
            assert (lost["target"], lost["number"]) == ("x", 3)


async def test_no_secret_of_theirs_appears_anywhere(tmp_path: Path) -> None:
    """Whatever becomes of it: log with debug and trace, metrics, ``rtmpd check``."""
    said = iter([answer("503 Down", "hush-answer"), RESET, answer("400 Bad", "hush-answer")])

    def say(_asked: Asked) -> bytes:
        return next(said, OK)

    async with backend(say) as server:
        place = f"me:hush-password@127.0.0.1:{server.port}/hush-path?k=hush-query"
        config = tmp_path / "rtmpd.toml"
        config.write_text(
            f"""
            [notify.native]
            url = "http://{place}"
            secret = "{SECRET}"
            token = "tk_hush"
            [notify.discord]
            url = "http://{place}"
            format = "discord"
            [notify.phone]
            url = "http://127.0.0.1:{server.port}/hush-topic"
            format = "ntfy"
            [notify.nowhere]
            url = "http://127.0.0.1:9/hush-path"
            """
        )
        with start("log.trace=127.0.0.0/8", environment={"RTMPD_CONFIG": str(config)}) as process:
            async with await rtmpd.connect(process.url("cam")) as encoder:
                await encoder.publish()
                process.log.wait_for({"event": "notification failed", "target": "nowhere"})
                metrics = process.get("/metrics")
            await stop(process)
        told = str(process.log)
    assert len(process.log.find({"event": "notification failed"})) >= 2
    _, shown, _ = run_here("check", "-c", str(config))
    _, _, tried = await asyncio.to_thread(run_here, "notify", "test", "nowhere", "-c", str(config))
    assert "http://127.0.0.1:9/***" in tried
    assert [secret for secret in (*SECRETS, "hush-answer") if secret in told + metrics + shown + tried] == []
    assert json.loads(server.asked[0].body)
