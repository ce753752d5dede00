"""What is published is what is played: every packet, byte for byte, with its timestamps."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffmpeg import Packet, bundled
from live_fixtures import ClipMaker
from media_clips import (
    AUDIO_ONLY,
    AV1_OPUS,
    H264_AAC,
    H264_MP3,
    HEVC_AAC,
    VIDEO_FRAMES,
    VIDEO_ONLY,
    VP9_AAC,
    Recipe,
)
from rtmpd_process import RtmpdProcess

RECIPES = [H264_AAC, HEVC_AAC, AV1_OPUS, VP9_AAC, H264_MP3, AUDIO_ONLY, VIDEO_ONLY]


def on_the_wire(packet: Packet) -> tuple[str, int, str, int, int]:
    """A packet with its timestamps in the milliseconds of RTMP and FLV."""
    return *packet.payload, round(packet.dts * 1000), round(packet.pts * 1000)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_waiting_player_gets_the_whole_stream(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, recipe: Recipe
) -> None:
    source = clip(recipe)
    copy = tmp_path / "copy.flv"
    with bundled().pull(url, copy) as player:
        server.wait_for_plays(url)
        with bundled().publish(source, url, rate=4) as publisher:
            publisher.succeed(timeout=20)
        player.succeed(timeout=10)

    sent, received = bundled().packets(source), bundled().packets(copy)
    assert received.extradata == sent.extradata
    for media in ("video", "audio"):
        assert list(map(on_the_wire, received.of(media))) == list(map(on_the_wire, sent.of(media)))
    frames = bundled().count_frames(copy)
    assert frames == bundled().count_frames(source)
    assert frames.get("video", 0) == (VIDEO_FRAMES if recipe.video else 0)
