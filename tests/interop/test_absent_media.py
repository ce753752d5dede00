"""Streams whose encoder announces a medium and sends none of it open for players that join."""

from __future__ import annotations

import time
from pathlib import Path

import command_kit
import pytest
from ffmpeg import FFmpeg, bundled
from rtmpd_process import RtmpdProcess, stream_labels

from rtmpd.media.flv import FlvReader, encode_header, encode_tag
from rtmpd.media.tags import CODED_FRAME, audio_flags, video_flags

pytestmark = pytest.mark.interop

SECONDS = 60
OPENS_WITHIN = 14.0
"""Seconds. Half of it on a quiet machine; without the server's help 20, 40 or for ever."""
AUDIO, VIDEO = 8, 9


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 1 Mbit/s: a player that waits for a medium does it for as many bytes as it likes to probe."""
    path = tmp_path_factory.mktemp("absent") / "clip.flv"
    bundled().run(
        "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={SECONDS}",
        "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}",
        "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
        "-b:v", "1M", "-maxrate", "1M", "-bufsize", "1M", "-c:a", "aac", "-b:a", "64k",
        "-f", "flv", str(path),
    )  # fmt: skip
    return path


def without(source: Path, target: Path, medium: int, after_ms: int) -> Path:
    """A copy in which the frames of a medium end; its header and what onMetaData says stay."""
    with target.open("wb") as file:
        file.write(encode_header(audio=True, video=True))
        for tag in FlvReader().receive_data(source.read_bytes()):
            flags = video_flags(tag.payload) if tag.type == VIDEO else audio_flags(tag.payload)
            if tag.type != medium or not flags & CODED_FRAME or tag.timestamp < after_ms:
                file.write(encode_tag(tag.type, tag.timestamp, tag.payload))
    return target


@pytest.mark.parametrize(
    ("medium", "after_ms", "kind"),
    [
        pytest.param(AUDIO, 0, "audio_silent", id="audio-never-comes"),
        pytest.param(VIDEO, 0, "video_silent", id="video-never-comes"),
        pytest.param(AUDIO, 3000, "audio_silent", id="audio-stops"),
        pytest.param(VIDEO, 3000, "video_silent", id="video-stops"),
    ],
)
def test_ffmpeg_opens_a_stream_without_the_medium_that_does_not_flow(
    server: RtmpdProcess,
    url: str,
    long_clip: Path,
    tmp_path: Path,
    debian_ffmpeg: FFmpeg,
    medium: int,
    after_ms: int,
    kind: str,
) -> None:
    source = without(long_clip, tmp_path / "source.flv", medium, after_ms)
    with command_kit.start("publish", str(source), url):
        server.wait_for_metric(
            "rtmpd_stream_health", lambda value: value == 1, kind=kind, **stream_labels(url)
        )
        for player in (debian_ffmpeg, bundled()):
            began = time.monotonic()
            listing = player.run("-i", url, "-map", "0", "-t", "0.5", "-f", "framehash", "-", timeout=40)
            assert time.monotonic() - began < OPENS_WITHIN
            found = [line.split(": ")[1] for line in listing.splitlines() if "#media_type" in line]
            assert found == ["video" if medium == AUDIO else "audio"]
