"""Players that come while a stream is live."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffmpeg import Packets, bundled
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, AV1_OPUS, FRAME_RATE, H264_AAC, HEVC_AAC, VIDEO_ONLY, Recipe
from rtmpd_process import RtmpdProcess


def is_cut_from_a_loop(part: list[tuple[str, int, str]], whole: list[tuple[str, int, str]]) -> bool:
    """Whether ``part`` is a gapless stretch of ``whole`` played again and again."""
    return any(
        part == [whole[(start + step) % len(whole)] for step in range(len(part))]
        for start, payload in enumerate(whole)
        if payload == part[0]
    )


def keyframes(packets: Packets) -> set[tuple[str, int, str]]:
    """The payloads of the keyframes of a clip, which come once a second."""
    return set(packets.payloads("video")[::FRAME_RATE])


@pytest.mark.parametrize("recipe", [H264_AAC, HEVC_AAC, AV1_OPUS, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_two_players_joining_in_the_middle_of_a_gop_start_at_its_keyframe(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, recipe: Recipe
) -> None:
    source = clip(recipe)
    copies = [tmp_path / "one.flv", tmp_path / "two.flv"]
    with bundled().publish(source, url, loop=True):
        server.wait_for_frames(url, FRAME_RATE // 2)
        with (
            bundled().pull(url, copies[0], seconds=2) as one,
            bundled().pull(url, copies[1], seconds=2) as two,
        ):
            one.succeed(timeout=15)
            two.succeed(timeout=15)

    sent = bundled().packets(source)
    for copy in copies:
        received = bundled().packets(copy)
        assert received.extradata == sent.extradata
        assert received.payloads("video")[0] in keyframes(sent)
        for media in sent.extradata:
            assert is_cut_from_a_loop(received.payloads(media), sent.payloads(media))
        assert bundled().count_frames(copy)["video"] == len(received.of("video")) >= FRAME_RATE


def test_a_player_joining_an_audio_only_stream_decodes_at_once(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path
) -> None:
    source = clip(AUDIO_ONLY)
    copy = tmp_path / "copy.flv"
    with bundled().publish(source, url, loop=True):
        server.wait_for_live(url)
        with bundled().pull(url, copy, seconds=1) as player:
            player.succeed(timeout=15)
    sent, received = bundled().packets(source), bundled().packets(copy)
    assert received.extradata == sent.extradata
    assert is_cut_from_a_loop(received.payloads("audio"), sent.payloads("audio"))
    assert bundled().count_frames(copy)["audio"] > 0
