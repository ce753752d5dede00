"""Streams as MP4 in VLC, mpv, ffmpeg and a browser: to the end, and over a change of the picture's size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, bundled, start
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, FRAME_RATE, H264_AAC, HEVC_AAC, VIDEO_ONLY, Recipe
from player_kit import Play, browser_with, frames_by_vlc, seen, told_by_mpv, when_watched
from rtmpd_process import RtmpdProcess

from rtmpd.media.flv import FlvReader, encode_header, encode_tag

pytestmark = pytest.mark.interop

SCENARIO = Path(__file__).with_name("mp4.mjs")
RECIPES = pytest.mark.parametrize(
    "recipe", [H264_AAC, AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name
)


@pytest.fixture(scope="module")
def browser(pytestconfig: pytest.Config) -> Iterator[Play]:
    with browser_with(pytestconfig, SCENARIO) as play:
        yield play


@pytest.fixture
def url(server: RtmpdProcess, request: pytest.FixtureRequest) -> str:
    return server.url(re.sub(r"\W", "-", request.node.name))


def mp4(server: RtmpdProcess, url: str, scheme: str = "http", query: str = "") -> str:
    return f"{server.http_url(url, scheme).removesuffix('.flv')}.mp4{query}"


@pytest.mark.parametrize("query", ["", "?fragment=part"])
@pytest.mark.parametrize("scheme", ["http", "ws"])
@RECIPES
def test_a_browser_plays_to_the_end(
    server: RtmpdProcess, url: str, clip: ClipMaker, browser: Play, scheme: str, query: str, recipe: Recipe
) -> None:
    with (
        bundled().publish(clip(recipe), url, loop=True) as publisher,
        browser(mp4(server, url, scheme, query)) as playing,
    ):
        server.wait_until_watched(url, "video" if recipe.video else "audio")
        publisher.stop()
        found = seen(playing)
    end = "ended" if scheme == "http" else "1000 Nobody publishes this stream any more."
    assert (found["end"], found["errors"], found["jumps"]) == (end, [], 0)
    assert found["currentTime"] > 0.5
    assert (found["totalVideoFrames"] > FRAME_RATE // 2) is (recipe.video is not None)
    assert (found["audio"] > 1000) is (recipe.audio is not None)


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_browser_is_told_of_another_size(
    server: RtmpdProcess, url: str, tmp_path: Path, browser: Play, scheme: str
) -> None:
    clips = [_clip_of(tmp_path / f"{size}.flv", size) for size in ("320x240", "640x360")]
    with browser(mp4(server, url, scheme)) as playing:
        server.wait_for_plays(url)
        with bundled().publish(_joined(tmp_path, clips), url) as publisher:
            publisher.succeed(timeout=30)
        found = seen(playing)
    assert found["errors"] == []
    if scheme == "ws":
        assert [told["tracks"][0]["width"] for told in found["told"]] == [320, 640]
        assert found["sizes"] == ["320x240", "640x360"]
    else:
        assert (found["end"], found["sizes"]) == ("ended", ["320x240"])


def _clip_of(path: Path, size: str) -> Path:
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FRAME_RATE}:duration=3")
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-g", str(FRAME_RATE), "-pix_fmt", "yuv420p")
    bundled().run(*picture, *codec, "-y", str(path))
    return path


def _joined(folder: Path, clips: list[Path]) -> Path:
    """One FLV in which the second begins with a header of its own."""
    whole, offset = [encode_header(False, True)], 0
    for clip in clips:
        tags = [tag for tag in FlvReader().receive_data(clip.read_bytes()) if tag.type == 9]
        whole += [encode_tag(tag.type, tag.timestamp + offset, tag.payload) for tag in tags]
        offset += tags[-1].timestamp + 1000 // FRAME_RATE
    path = folder / "joined.flv"
    path.write_bytes(b"".join(whole))
    return path


@pytest.mark.parametrize("recipe", [H264_AAC, HEVC_AAC, AUDIO_ONLY], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("old", [False, True], ids=["bundled", "debian"])
def test_ffmpeg_plays(
    server: RtmpdProcess,
    url: str,
    clip: ClipMaker,
    tmp_path: Path,
    debian_ffmpeg: FFmpeg,
    recipe: Recipe,
    old: bool,
) -> None:
    copy = tmp_path / "copy.mp4"
    player = debian_ffmpeg if old else bundled()
    with start(*player.command("-i", mp4(server, url), "-c", "copy", "-y", str(copy))) as playing:
        server.wait_for_plays(url)
        with bundled().publish(clip(recipe), url) as publisher:
            publisher.succeed(timeout=30)
        playing.succeed(timeout=30)
    assert bundled().count_frames(copy) == bundled().count_frames(clip(recipe))


def test_vlc_plays(server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path) -> None:
    with bundled().publish(clip(H264_AAC), url, loop=True) as publisher:
        frames = frames_by_vlc(mp4(server, url), tmp_path, when_watched(server, url, publisher))
    assert frames["video"] > FRAME_RATE
    assert frames["audio"] > FRAME_RATE


def test_mpv_plays(server: RtmpdProcess, url: str, clip: ClipMaker) -> None:
    with bundled().publish(clip(H264_AAC), url, loop=True) as publisher:
        told = told_by_mpv(mp4(server, url), when_watched(server, url, publisher))
    assert "(h264" in told
    assert "(aac" in told
    assert "End of file" in told
