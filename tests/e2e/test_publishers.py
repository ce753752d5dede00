"""One publisher per name: the second one is told so, and the name is free again after the first."""

from __future__ import annotations

from pathlib import Path

from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import FRAME_RATE, H264_AAC, VIDEO_FRAMES
from rtmpd_process import RtmpdProcess, rtmpd


def test_a_second_publisher_is_refused_and_the_first_one_goes_on(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path
) -> None:
    source = clip(H264_AAC)
    copy = tmp_path / "copy.flv"
    with bundled().pull(url, copy) as player:
        server.wait_for_plays(url)
        with bundled().publish(source, url, rate=2) as first:
            server.wait_for_frames(url, 1)
            with bundled().publish(source, url) as second:
                assert second.wait(timeout=10) != 0
                assert "Server error" in second.log(), "ffmpeg shows the description that we sent"
            assert first.running()
            first.succeed(timeout=20)
        player.succeed(timeout=10)
    assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES


def test_a_name_can_be_published_again_and_again(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path
) -> None:
    source = clip(H264_AAC)
    for session in (1, 2, 3):
        copy = tmp_path / f"{session}.flv"
        with bundled().pull(url, copy) as player:
            server.wait_for_plays(url, session)
            with bundled().publish(source, url, rate=8) as publisher:
                publisher.succeed(timeout=20)
            player.succeed(timeout=10)
        assert bundled().packets(copy).packets == bundled().packets(source).packets


def test_a_publisher_that_is_killed_ends_its_players_after_the_grace(clip: ClipMaker, tmp_path: Path) -> None:
    copy = tmp_path / "copy.flv"
    with (
        rtmpd("apps.live.handover.grace=1s") as server,
        bundled().pull(url := server.url("cam"), copy) as player,
    ):
        server.wait_for_plays(url)
        with bundled().publish(clip(H264_AAC), url, loop=True) as publisher:
            server.wait_for_frames(url, FRAME_RATE)
            publisher.kill()
        player.succeed(timeout=10)
    assert bundled().count_frames(copy)["video"] >= FRAME_RATE
