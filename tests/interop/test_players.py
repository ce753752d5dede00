"""Debian's players pull what the bundled ffmpeg publishes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, Running, bundled, start
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, FRAME_RATE, H264_AAC, VIDEO_FRAMES, VIDEO_ONLY, Recipe
from rtmpd_process import RtmpdProcess

pytestmark = pytest.mark.interop

Player = Callable[[str, Path], AbstractContextManager[Running]]


@pytest.fixture
def ffmpeg_player(debian_ffmpeg: FFmpeg) -> Player:
    return lambda url, copy: debian_ffmpeg.pull(f"{url} live=1", copy)


@pytest.fixture
def rtmpdump_player(rtmpdump: str) -> Player:
    return lambda url, copy: start(rtmpdump, "--live", "--rtmp", url, "--flv", str(copy))


@pytest.fixture
def rtmp2src_player(gst_launch: str) -> Player:
    return lambda url, copy: start(
        gst_launch, "-e", "rtmp2src", f"location={url}", "!", "filesink", f"location={copy}"
    )


@pytest.fixture
def rtmpsrc_player(gst_launch: str) -> Player:
    return lambda url, copy: start(
        gst_launch, "-e", "rtmpsrc", f"location={url} live=1", "!", "filesink", f"location={copy}"
    )


PLAYERS = ["ffmpeg_player", "rtmpdump_player", "rtmp2src_player", "rtmpsrc_player"]


@pytest.fixture(params=PLAYERS)
def player(request: pytest.FixtureRequest) -> Player:
    found: Player = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("recipe", [H264_AAC, AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_a_player_that_waits_gets_every_packet_and_ends_with_the_stream(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, player: Player, recipe: Recipe
) -> None:
    source = clip(recipe)
    copy = tmp_path / "copy.flv"
    with player(url, copy) as playing:
        server.wait_for_plays(url)
        with bundled().publish(source, url, rate=4) as publisher:
            publisher.succeed(timeout=20)
        playing.wait(timeout=15)
    sent, received = bundled().packets(source), bundled().packets(copy)
    for media in sent.extradata:
        assert received.payloads(media) == sent.payloads(media)
    if recipe.video:
        assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES


def test_a_player_that_joins_late_decodes_from_the_first_frame(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, player: Player
) -> None:
    copy = tmp_path / "copy.flv"
    with bundled().publish(clip(H264_AAC), url, rate=1) as publisher:
        server.wait_for_frames(url, FRAME_RATE + FRAME_RATE // 2)
        with player(url, copy) as playing:
            publisher.succeed(timeout=20)
            playing.wait(timeout=15)
    assert bundled().count_frames(copy)["video"] >= 2 * FRAME_RATE


def test_gstreamer_decodes_while_it_plays(
    server: RtmpdProcess, url: str, clip: ClipMaker, gst_launch: str
) -> None:
    pipeline = (
        f"rtmp2src location={url} ! flvdemux name=demux "
        "demux.video ! queue ! h264parse ! avdec_h264 ! fakesink sync=false "
        "demux.audio ! queue ! aacparse ! avdec_aac ! fakesink sync=false"
    )
    with start(gst_launch, "-e", *pipeline.split()) as playing:
        server.wait_for_plays(url)
        with bundled().publish(clip(H264_AAC), url, rate=4) as publisher:
            publisher.succeed(timeout=20)
        assert "ERROR" not in playing.succeed(timeout=15)
