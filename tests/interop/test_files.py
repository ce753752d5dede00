"""Real players play recorded files: they end by themselves, resume, seek and pause."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, Running, bundled, start
from live_fixtures import ClipMaker
from media_clips import H264_AAC, SECONDS, VIDEO_FRAMES
from rtmpd_process import RtmpdProcess, rtmpd

pytestmark = pytest.mark.interop

Play = Callable[[str, Path], AbstractContextManager[Running]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[RtmpdProcess]:
    with rtmpd(f"apps.live.vod.root={root}", "rtmp.limits.max_plays_per_minute=0") as running:
        yield running


@pytest.fixture
def url(server: RtmpdProcess, root: Path, clip: ClipMaker) -> str:
    shutil.copy(clip(H264_AAC), root / "clip.flv")
    return server.url("clip")


@pytest.fixture
def ffmpeg_player(debian_ffmpeg: FFmpeg) -> Play:
    return debian_ffmpeg.pull


@pytest.fixture
def rtmpdump_player(rtmpdump: str) -> Play:
    return lambda url, copy: start(rtmpdump, "--rtmp", url, "--flv", str(copy))


@pytest.fixture
def rtmp2src_player(gst_launch: str) -> Play:
    return lambda url, copy: start(
        gst_launch, "rtmp2src", f"location={url}", "!", "filesink", f"location={copy}", "buffer-mode=2"
    )


@pytest.mark.parametrize("name", ["ffmpeg_player", "rtmpdump_player", "rtmp2src_player"])
def test_a_file_arrives_whole_and_the_player_ends(
    request: pytest.FixtureRequest, url: str, clip: ClipMaker, tmp_path: Path, name: str
) -> None:
    play: Play = request.getfixturevalue(name)
    copy = tmp_path / "copy.flv"
    with play(url, copy) as playing:
        playing.wait(timeout=SECONDS + 10)
    sent, received = bundled().packets(clip(H264_AAC)), bundled().packets(copy)
    for media in sent.extradata:
        assert received.payloads(media) == sent.payloads(media)
    assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES


def test_rtmpdump_resumes(url: str, rtmpdump: str, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.flv", tmp_path / "part.flv"
    subprocess.run([rtmpdump, "-q", "-r", url, "-o", whole], check=True, timeout=30)
    data, offset = whole.read_bytes(), 13
    while offset < len(data) // 2:
        offset += 15 + int.from_bytes(data[offset + 1 : offset + 4], "big")
    part.write_bytes(data[:offset])
    subprocess.run([rtmpdump, "-r", url, "-o", part, "--resume"], check=True, timeout=30, capture_output=True)
    once, resumed = bundled().packets(whole), bundled().packets(part)
    for media in once.extradata:
        assert resumed.payloads(media) == once.payloads(media)


def test_ffmpeg_seeks(url: str, debian_ffmpeg: FFmpeg, tmp_path: Path) -> None:
    copy = tmp_path / "copy.flv"
    debian_ffmpeg.run("-ss", "2.5", "-i", url, "-c", "copy", str(copy), timeout=20)
    assert 25 < bundled().count_frames(copy)["video"] <= 2 * 25


def test_ffplay_ends_by_itself(url: str, server: RtmpdProcess) -> None:
    ffplay = shutil.which("ffplay")
    if ffplay is None:
        pytest.skip("there is no ffplay")
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
    command = [ffplay, "-v", "error", "-autoexit", url]
    subprocess.run(command, check=True, timeout=SECONDS + 15, env=environment, capture_output=True)
    server.log.wait_for({"event": "play of a file ended", "position": 4.069})
