"""Recordings of a real server: what is in the files, and what a kill, an end and another process leave."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import ffmpeg
import pytest
from client_kit import AVC_HEADER, keyframe
from evening_kit import evening, order, successor
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from outputs_kit import check_index, tags_of, told_by
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

import rtmpd as library

FFMPEG = ffmpeg.bundled()


def recording(root: Path, *more: str) -> tuple[str, ...]:
    record = "apps.live.record"
    return (f"{record}.start=always", f"{record}.root={root}", f"{record}.min_free=0", *more)


def finished(server: RtmpdProcess, count: int = 1, **fields: object) -> Path:
    """The path of a file, once it is."""
    return Path(str(server.log.wait_for({"event": "recording finished", **fields}, count)["path"]))


def test_a_file_has_what_the_encoder_sent_and_a_kill_costs_it_a_second(
    tmp_path: Path, clip: ClipMaker
) -> None:
    source = clip(H264_AAC)
    root = tmp_path / "recordings"
    root.mkdir()
    with rtmpd(*recording(root, "apps.live.record.split_after=3s")) as server:
        with FFMPEG.publish(source, server.url("show"), rate=None) as encoder:
            encoder.succeed(30)
        files = [finished(server, count) for count in (1, 2)]
        assert [line["reason"] for line in server.log.find({"event": "recording finished"})] == [
            "split",
            "publish_ended",
        ]
        sent = FFMPEG.packets(source)
        kept = [FFMPEG.packets(path) for path in files]
        for medium in ("video", "audio"):
            assert kept[0].payloads(medium) + kept[1].payloads(medium) == sent.payloads(medium)
        for path in files:
            assert FFMPEG.count_frames(path)["video"] > 0
            assert check_index(path)
            assert not path.stat().st_mode & 0o007
        assert told_by(files[0])["duration"] == pytest.approx(3.0, abs=0.02)
        with FFMPEG.publish(source, server.url("killed"), loop=True):
            server.log.wait_for({"event": "recording started", "stream": "killed"})
            before = server.metric("rtmpd_recording_bytes_total") or 0.0
            server.wait_for_metric("rtmpd_recording_bytes_total", lambda value: value > before)
            (part,) = (root / "live" / "killed").iterdir()
            written = part.stat().st_size
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
    with rtmpd(*recording(root)) as server:
        path = finished(server, reason="repaired")
        assert (path.parent, path.name) == (part.parent, part.name.removesuffix(".part"))
        assert path.stat().st_size >= written
        assert FFMPEG.count_frames(path)["video"] > 0
        assert check_index(path)
        assert re.search(r"rtmpd_recording_files_total\{reason=\"repaired\"\} 1", server.get("/metrics"))
        assert_clean_exit(server)


async def test_the_end_of_the_server_finishes_the_file(tmp_path: Path) -> None:
    with rtmpd(*recording(tmp_path)) as server:
        async with evening(server) as live:
            assert await live.goes_on()
            assert await asyncio.to_thread(server.terminate) == 0
        path = finished(server)
        assert server.log.find({"event": "recording finished", "reason": "shutdown"})
        assert len(tags_of(path)) >= 3


async def test_the_old_process_ends_its_file_and_the_new_one_begins_another(tmp_path: Path) -> None:
    with rtmpd(*recording(tmp_path)) as server, successor(server):
        async with evening(server) as live:
            code, _ = await asyncio.to_thread(order, server, "replace")
            assert code == 0
            assert await live.goes_on()
            async with await library.connect(server.url("show?key=k")) as late:
                player = await late.play()
                assert await live.goes_on()  # In the new process somebody watches what the old one has.
                live.source.abort()
                first = await asyncio.to_thread(finished, server)
                async with await library.connect(server.url("show?key=k")) as source:
                    stream = await source.publish()
                    await stream.send_video(AVC_HEADER, 0)
                    await stream.send_video(keyframe(b"there"), 0)
                    async for message in player:
                        if message.payload == keyframe(b"there"):
                            break
                    await stream.send_video(keyframe(b"still"), 40)
                second = await asyncio.to_thread(finished, server, 2)
    kept = [[tag.payload for tag in tags_of(path) if tag.payload[1:2] == b"\x01"] for path in (first, second)]
    assert keyframe(b"there") not in kept[0]
    assert len(kept[0]) == 4
    assert kept[1] == [keyframe(b"there"), keyframe(b"still")]
