"""Streams by HTTP-FLV and WebSocket in VLC, mpv and a browser, and published by POST."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, bundled
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, FRAME_RATE, H264_AAC, VIDEO_FRAMES, VIDEO_ONLY, Recipe
from player_kit import Play, browser_with, frames_by_vlc, seen, told_by_mpv, when_watched
from replay import Replay
from rtmpd_process import RtmpdProcess

pytestmark = pytest.mark.interop

MPEGTS = "mpegts.js@1.8.2"
SCENARIO = Path(__file__).with_name("browser.mjs")
LADDER = "obs32-multitrack"
"""What OBS sends as three pictures of different sizes."""


@pytest.fixture(scope="module")
def browser(pytestconfig: pytest.Config) -> Iterator[Play]:
    with browser_with(pytestconfig, SCENARIO, MPEGTS) as play:
        yield play


@pytest.fixture
def url(server: RtmpdProcess, request: pytest.FixtureRequest) -> str:
    return server.url(re.sub(r"\W", "-", request.node.name))


@pytest.mark.parametrize("scheme", ["http", "ws"])
@pytest.mark.parametrize("recipe", [H264_AAC, AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_a_browser_plays_to_the_end(
    server: RtmpdProcess, url: str, clip: ClipMaker, browser: Play, scheme: str, recipe: Recipe
) -> None:
    with (
        bundled().publish(clip(recipe), url, loop=True) as publisher,
        browser(server.http_url(url, scheme)) as playing,
    ):
        server.wait_until_watched(url, "video" if recipe.video else "audio")
        publisher.stop()
        found = seen(playing)
    assert (found["end"], found["errors"]) == ("complete", [])
    assert (found["hasVideo"], found["hasAudio"]) == (recipe.video is not None, recipe.audio is not None)
    assert found["currentTime"] > 0.5
    assert (found["totalVideoFrames"] > FRAME_RATE // 2) is (recipe.video is not None)
    assert (found["audio"] > 1000) is (recipe.audio is not None)


@pytest.mark.parametrize(("query", "width"), [("", 640), ("?track=2", 256)])
def test_a_browser_plays_one_track_of_several(
    server: RtmpdProcess, browser: Play, query: str, width: int
) -> None:
    """An encoder's ladder, of which a player gets the first unless it asks for another."""
    url = server.url(LADDER)
    before = len(server.log.find({"event": "play started"}))
    with browser(f"{server.http_url(url)}{query}") as playing:
        server.log.wait_for({"event": "play started"}, before + 1)
        encoder = Replay(server, "multitrack")
        encoder.start()
        encoder.close()
        found = seen(playing)
    assert (found["end"], found["errors"], found["videoWidth"]) == ("complete", [], width)
    assert found["totalVideoFrames"] > 20


def test_all_tracks_come_raw(server: RtmpdProcess, tmp_path: Path) -> None:
    copy = tmp_path / "copy.flv"
    before = len(server.log.find({"event": "play started"}))
    with bundled().pull(f"{server.http_url(server.url(LADDER))}?raw=1", copy) as playing:
        server.log.wait_for({"event": "play started"}, before + 1)
        encoder = Replay(server, "multitrack")
        encoder.start()
        encoder.close()
        playing.succeed(timeout=20)
    listing = bundled().run("-i", str(copy), "-map", "0", "-c", "copy", "-f", "framehash", "-")
    assert all(size in listing for size in ("640x360", "256x144"))


def test_vlc_plays(server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path) -> None:
    with bundled().publish(clip(H264_AAC), url, loop=True) as publisher:
        frames = frames_by_vlc(server.http_url(url), tmp_path, when_watched(server, url, publisher))
    assert frames["video"] > FRAME_RATE
    assert frames["audio"] > FRAME_RATE


def test_mpv_plays(server: RtmpdProcess, url: str, clip: ClipMaker) -> None:
    with bundled().publish(clip(H264_AAC), url, loop=True) as publisher:
        told = told_by_mpv(server.http_url(url), when_watched(server, url, publisher))
    assert "(h264" in told
    assert "(aac" in told
    assert "End of file" in told


@pytest.mark.parametrize("recipe", [H264_AAC, AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("old", [False, True], ids=["bundled", "debian"])
def test_ffmpeg_publishes_by_post(
    server: RtmpdProcess,
    url: str,
    clip: ClipMaker,
    tmp_path: Path,
    debian_ffmpeg: FFmpeg,
    recipe: Recipe,
    old: bool,
) -> None:
    source, copy = clip(recipe), tmp_path / "copy.flv"
    encoder = debian_ffmpeg if old else bundled()
    with debian_ffmpeg.pull(f"{url} live=1", copy) as playing:
        server.wait_for_plays(url)
        with encoder.publish(source, server.http_url(url), rate=None if old else 4) as publisher:
            publisher.succeed(timeout=20)
        playing.wait(timeout=20)
    sent, received = bundled().packets(source), bundled().packets(copy)
    for media in sent.extradata:
        assert received.payloads(media) == sent.payloads(media)
    if recipe.video:
        assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES
