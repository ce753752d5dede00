"""The server as its operator sees it: probes, metrics, SIGTERM, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import urllib.error
from pathlib import Path

import pytest
from client_kit import keyframe
from engine_kit import FULL_HD
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import FRAME_RATE, H264_AAC, VIDEO_FRAMES
from net_kit import eventually
from rtmpd_process import assert_clean_exit, rtmpd

from rtmpd import connect

HTTP_CONNECTIONS = 2
"""The one that asks, and the one before it, which may not be closed yet."""


def test_probes_and_index_answer_on_a_fresh_server() -> None:
    with rtmpd() as server:
        assert server.get("/healthz") == "ok\n"
        assert server.get("/readyz") == "ready\n"
        assert "/metrics" in server.get("/")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            server.get("/no-such-page")
        assert_clean_exit(server)


def test_sessions_are_counted_and_leave_nothing_behind(clip: ClipMaker, tmp_path: Path) -> None:
    source = clip(H264_AAC)
    copy = tmp_path / "copy.flv"
    with rtmpd() as server:
        url = server.url("show")
        before = server.open_files()
        for session in (1, 2, 3):
            with bundled().pull(url, copy) as player:
                server.wait_for_plays(url, session)
                with bundled().publish(source, url, rate=8) as publisher:
                    publisher.succeed(timeout=20)
                player.succeed(timeout=10)

        for state in ("live", "waiting"):
            server.wait_for_metric("rtmpd_streams", lambda value: value == 0, state=state)
        for state in ("playing", "waiting"):
            server.wait_for_metric("rtmpd_players", lambda value: value == 0, state=state)
        server.wait_for_metric("process_open_fds", lambda value: value <= before + HTTP_CONNECTIONS)
        assert server.metric("rtmpd_stream_players", app="live", stream="show") is None
        for sample in ("rtmpd_received_bytes_total", "rtmpd_sent_bytes_total"):
            value = server.metric(sample)
            assert value is not None
            assert value > 3 * 0.9 * source.stat().st_size
        joins = server.metric("rtmpd_time_to_first_frame_seconds_count")
        assert joins == 3
        assert_clean_exit(server)


def test_a_server_that_was_stopped_throws_nobody_out(clip: ClipMaker, tmp_path: Path) -> None:
    settings = (
        "rtmp.limits.idle_publisher_timeout=1s",
        "rtmp.limits.ping_interval=1s",
        "rtmp.limits.ping_timeout=1s",
    )
    with rtmpd(*settings) as server:
        url = server.url("show")
        with bundled().publish(clip(H264_AAC), url, loop=True), bundled().pull(url, tmp_path / "copy.flv"):
            server.wait_for_plays(url)
            server.wait_for_frames(url, FRAME_RATE)
            server.send_signal(signal.SIGSTOP)
            time.sleep(2.5)
            server.send_signal(signal.SIGCONT)
            server.wait_for_frames(url, 4 * FRAME_RATE)
            assert server.metric("rtmpd_publishes_total") == 1
            assert server.metric("rtmpd_players", state="playing") == 1
            assert server.metric("rtmpd_session_failures_total", reason="publisher_idle") == 0
            # Nobody but us had kept the stream.
            late = server.wait_for_metric(
                "rtmpd_stream_outage_seconds_total", lambda value: value > 0, cause="server_late"
            )
            assert late == pytest.approx(2.5, abs=0.5)
            assert server.metric("rtmpd_stream_outage_seconds_total", cause="encoder_stalled") == 0
            for request in ("connect", "publish", "play"):
                granted = server.metric("rtmpd_requests_total", request=request, outcome="granted")
                assert granted == (2 if request == "connect" else 1)
            assert server.metric("rtmpd_joins_total", outcome="first_frame") == 1


def test_a_live_stream_is_measured(clip: ClipMaker) -> None:
    with rtmpd() as server:
        url = server.url("show")
        labels = {"app": "live", "stream": "show"}
        with bundled().publish(clip(H264_AAC), url, loop=True):
            server.wait_for_frames(url, 3 * FRAME_RATE)
            rate = server.wait_for_metric(
                "rtmpd_stream_video_frames_per_second", lambda value: value > 0, **labels
            )
            interval = server.metric("rtmpd_stream_keyframe_interval_seconds", **labels)
        assert rate == pytest.approx(FRAME_RATE, rel=0.3)
        assert interval == pytest.approx(1.0, abs=0.05)
        assert_clean_exit(server)


def test_sigterm_ends_a_busy_server_in_seconds(clip: ClipMaker, tmp_path: Path) -> None:
    copy = tmp_path / "copy.flv"
    with rtmpd() as server:
        url = server.url("show")
        with (
            bundled().publish(clip(H264_AAC), url, loop=True) as publisher,
            bundled().pull(url, copy) as player,
        ):
            server.wait_for_plays(url)
            server.wait_for_frames(url, FRAME_RATE)
            assert_clean_exit(server)
            player.wait(timeout=10)
            publisher.wait(timeout=10)


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_nothing_is_left_of_streams_that_are_files_for_a_web_server(tmp_path: Path) -> None:
    settings = f"apps.live.hls.directory={tmp_path}", "apps.live.hls.segment=1s"
    names = [f"cam{number}" for number in range(12)]
    with rtmpd(*settings) as server:
        async with contextlib.AsyncExitStack() as encoders:
            for name in names:
                encoder = await encoders.enter_async_context(await connect(server.url("").rstrip("/")))
                stream = await encoder.publish(name)
                await stream.send_video(FULL_HD, 0)
                for second in range(20):
                    await stream.send_video(keyframe(bytes(10_000)), second * 1000)
            await eventually(lambda: len(list(tmp_path.glob("live/*/main_*.m3u8"))) == len(names))
            status = await asyncio.to_thread(server.terminate)
    assert (status, left_in(tmp_path)) == (0, []), str(server.log)


def test_a_reader_that_never_reads_costs_the_others_nothing(clip: ClipMaker, tmp_path: Path) -> None:
    copy = tmp_path / "copy.flv"
    source = clip(H264_AAC)
    with rtmpd() as server:
        url = server.url("show")
        with bundled().pull(url, tmp_path / "stopped.flv") as stopped, bundled().pull(url, copy) as player:
            server.wait_for_plays(url, 2)
            stopped.pause()
            with bundled().publish(source, url, rate=4) as publisher:
                publisher.succeed(timeout=20)
            player.succeed(timeout=10)
            stopped.resume()
        assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES
        assert_clean_exit(server)
