"""Players that come while a stream is live."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffmpeg import Packets, bundled
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, AV1_OPUS, FRAME_RATE, H264_AAC, HEVC_AAC, VIDEO_ONLY, Recipe
from rtmpd_process import RtmpdProcess


def keyframes(packets: Packets) -> set[tuple[str, int, str]]:
    """The payloads of the keyframes of a clip, which come once a second."""
    return set(packets.payloads("video")[::FRAME_RATE])


def assert_gapless_to_the_end(sent: Packets, received: Packets, at_least: int) -> None:
    """Each medium is the end of what was sent, without a hole, and at least so many packets long."""
    assert received.extradata == sent.extradata
    for media in sent.extradata:
        count = len(received.of(media))
        assert received.payloads(media) == sent.payloads(media)[-count:]
        assert count >= at_least


@pytest.mark.parametrize("recipe", [H264_AAC, HEVC_AAC, AV1_OPUS, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_two_players_joining_in_the_middle_of_a_gop_start_at_its_keyframe(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, recipe: Recipe
) -> None:
    source = clip(recipe)
    copies = [tmp_path / "one.flv", tmp_path / "two.flv"]
    with bundled().publish(source, url) as publisher:
        server.wait_for_frames(url, FRAME_RATE + FRAME_RATE // 2)
        with bundled().pull(url, copies[0]) as one, bundled().pull(url, copies[1]) as two:
            publisher.succeed(timeout=20)
            one.succeed(timeout=10)
            two.succeed(timeout=10)

    sent = bundled().packets(source)
    for copy in copies:
        received = bundled().packets(copy)
        assert_gapless_to_the_end(sent, received, at_least=FRAME_RATE)
        assert received.payloads("video")[0] in keyframes(sent)
        assert bundled().count_frames(copy)["video"] == len(received.of("video"))


def test_a_player_joining_an_audio_only_stream_decodes_at_once(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path
) -> None:
    source = clip(AUDIO_ONLY)
    copy = tmp_path / "copy.flv"
    with bundled().publish(source, url) as publisher:
        server.wait_for_live(url)
        with bundled().pull(url, copy) as player:
            publisher.succeed(timeout=20)
            player.succeed(timeout=10)
    received = bundled().packets(copy)
    assert_gapless_to_the_end(bundled().packets(source), received, at_least=1)
    assert bundled().count_frames(copy)["audio"] == len(received.of("audio"))
