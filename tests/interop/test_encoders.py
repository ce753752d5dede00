"""Debian's encoders publish, the bundled ffmpeg pulls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, Running, bundled, start
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, H264_AAC, H264_MP3, VIDEO_FRAMES, VIDEO_ONLY, Recipe
from rtmpd_process import RtmpdProcess

pytestmark = pytest.mark.interop

Encoder = Callable[[Path, str], AbstractContextManager[Running]]


@pytest.fixture
def ffmpeg_encoder(debian_ffmpeg: FFmpeg) -> Encoder:
    return lambda clip, url: debian_ffmpeg.publish(clip, url, rate=2)


def gstreamer_encoder(gst_launch: str, sink: str) -> Encoder:
    def publish(clip: Path, url: str) -> AbstractContextManager[Running]:
        pipeline = (
            f"filesrc location={clip} ! flvdemux name=demux flvmux name=mux streamable=true ! {sink} "
            "demux.video ! queue ! h264parse ! mux.video demux.audio ! queue ! aacparse ! mux.audio"
        )
        return start(gst_launch, "-e", *(word.replace("URL", url) for word in pipeline.split()))

    return publish


@pytest.fixture
def rtmp2sink_encoder(gst_launch: str) -> Encoder:
    return gstreamer_encoder(gst_launch, "rtmp2sink location=URL")


@pytest.fixture
def rtmpsink_encoder(gst_launch: str) -> Encoder:
    return gstreamer_encoder(gst_launch, "rtmpsink location=URL")


@pytest.mark.parametrize(
    "recipe", [H264_AAC, H264_MP3, AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name
)
def test_every_packet_of_debians_ffmpeg_arrives(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, ffmpeg_encoder: Encoder, recipe: Recipe
) -> None:
    source = clip(recipe)
    copy = tmp_path / "copy.flv"
    with bundled().pull(url, copy) as player:
        server.wait_for_plays(url)
        with ffmpeg_encoder(source, url) as encoder:
            encoder.succeed(timeout=20)
        player.succeed(timeout=15)
    sent, received = bundled().packets(source), bundled().packets(copy)
    for media in ("video", "audio"):
        assert received.payloads(media) == sent.payloads(media)


@pytest.mark.parametrize("encoder_name", ["rtmp2sink_encoder", "rtmpsink_encoder"])
def test_every_frame_of_gstreamer_is_decoded(
    server: RtmpdProcess,
    url: str,
    clip: ClipMaker,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    encoder_name: str,
) -> None:
    publish: Encoder = request.getfixturevalue(encoder_name)
    copy = tmp_path / "copy.flv"
    with bundled().pull(url, copy) as player:
        server.wait_for_plays(url)
        with publish(clip(H264_AAC), url) as encoder:
            encoder.succeed(timeout=20)
        player.succeed(timeout=15)
    assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES


def test_librtmp_is_refused_with_our_words_when_the_name_is_taken(
    server: RtmpdProcess, url: str, clip: ClipMaker, debian_ffmpeg: FFmpeg
) -> None:
    source = clip(H264_AAC)
    with bundled().publish(source, url, loop=True) as first:
        server.wait_for_frames(url, 1)
        with debian_ffmpeg.publish(source, url) as second:
            assert second.wait(timeout=15) != 0
        assert first.running()
