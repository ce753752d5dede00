"""What may be published, asked of the real server by a real ffmpeg."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC, HEVC_AAC, Recipe
from rtmpd_process import RtmpdProcess, rtmpd

LIMITS = """
[apps.codec.publish.reject]
video_codecs = ["h264"]
[apps.size.publish.reject]
max_height = 64
[apps.warned.publish.warn]
video_codecs = ["h264"]
max_height = 64
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtmpdProcess]:
    path = tmp_path_factory.mktemp("limits") / "rtmpd.toml"
    path.write_text(LIMITS)
    with rtmpd(environment={"RTMPD_CONFIG": str(path)}) as process:
        yield process
        assert process.terminate() == 0


@pytest.mark.parametrize(
    ("app", "recipe", "reason", "sentence"),
    [
        ("codec", HEVC_AAC, "video_codec", "This stream takes H.264 video only, and you send HEVC"),
        ("size", H264_AAC, "resolution", "This stream takes pictures of up to 64 lines"),
    ],
    ids=["codec", "size"],
)
def test_ffmpeg_ends_with_our_sentence(
    limited: RtmpdProcess, clip: ClipMaker, app: str, recipe: Recipe, reason: str, sentence: str
) -> None:
    url = f"rtmp://127.0.0.1:{limited.port('rtmp')}/{app}/cam"
    for _ in range(2):  # Once by its media, and once as it was seen a moment ago.
        with bundled().publish(clip(recipe), url, loop=True) as encoder:
            assert encoder.wait(timeout=10) != 0
            assert sentence in encoder.log()
    ends = ("publish rejected", "publish refused", "publish ended")
    # The encoder may be gone before the line is read.
    rejected, refused, ended = (limited.log.wait_for({"event": end, "app": app}) for end in ends)
    assert rejected["reason"] == refused["reason"] == ended["reason"] == reason
    assert f'rtmpd_refusals_total{{reason="{reason}"}} 2.0' in limited.get("/metrics")


def test_a_warning_is_seen_and_ends_nothing(limited: RtmpdProcess, clip: ClipMaker) -> None:
    url = f"rtmp://127.0.0.1:{limited.port('rtmp')}/warned/cam"
    with bundled().publish(clip(HEVC_AAC), url) as encoder:
        for kind in ("video_codec", "resolution"):
            limited.log.wait_for({"event": "stream warning", "kind": kind})
            shown = f'rtmpd_stream_health{{app="warned",kind="{kind}",stream="cam"}} 1.0'
            assert shown in limited.get("/metrics")
        encoder.succeed(timeout=20)
