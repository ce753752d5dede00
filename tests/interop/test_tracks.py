"""What OBS 32 sends with several tracks, played by programs that know nothing of tracks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, bundled, start
from replay import Replay
from rtmpd_process import RtmpdProcess

pytestmark = pytest.mark.interop


def streams(path: Path) -> str:
    """What ffmpeg sees in a file."""
    return bundled().run("-i", str(path), "-map", "0", "-c", "copy", "-f", "framehash", "-")


@pytest.mark.parametrize(
    ("name", "stream", "size", "late"),
    [
        pytest.param("multitrack", "obs32-multitrack", "640x360", False, id="ladder-waiting"),
        pytest.param("multitrack", "obs32-multitrack", "640x360", True, id="ladder-late"),
        pytest.param(
            "multitrack-scenecut",
            "obs32-multitrack-scenecut1?track=2",
            "256x144",
            True,
            id="not-aligned-late",
        ),
        pytest.param("multitrack", "obs32-multitrack@240p", "426x240", False, id="by-name-waiting"),
        pytest.param("multitrack", "obs32-multitrack@144p", "256x144", True, id="by-name-late"),
        pytest.param("multitrack", "obs32-multitrack?track=best", "640x360", True, id="best-late"),
        pytest.param(
            "av1-multitrack", "obs32-av1-multitrack@144p", "256x144", True, id="other-codec-by-name-late"
        ),
        pytest.param("single-vod", "obs32-single-vod", "320x180", True, id="two-sounds-late"),
        pytest.param("single-vod", "obs32-single-vod?audio=1", "320x180", False, id="second-sound-waiting"),
        pytest.param(
            "av1-multitrack", "obs32-av1-multitrack?track=1", "256x144", False, id="other-codec-waiting"
        ),
    ],
)
def test_ffmpeg_and_rtmpdump_play_one_track(
    server: RtmpdProcess,
    tmp_path: Path,
    debian_ffmpeg: FFmpeg,
    rtmpdump: str,
    name: str,
    stream: str,
    size: str,
    late: bool,
) -> None:
    url = server.url(stream)
    by_ffmpeg, by_rtmpdump = tmp_path / "ffmpeg.flv", tmp_path / "rtmpdump.flv"
    plays = len(server.log.find({"event": "play started"}))
    publishes = len(server.log.find({"event": "publish started"}))
    encoder = Replay(server, name)
    if late:
        encoder.start()
        server.log.wait_for({"event": "publish started"}, publishes + 1)
        server.wait_for_frames(re.split("[?@]", url)[0], 20)
    with (
        debian_ffmpeg.pull(f"{url} live=1", by_ffmpeg) as first,
        start(rtmpdump, "--live", "--rtmp", url, "--flv", str(by_rtmpdump)) as second,
    ):
        server.log.wait_for({"event": "play started"}, plays + 2)
        if not late:
            encoder.start()
        encoder.close()
        first.succeed(timeout=15)
        second.wait(timeout=15)
    for copy in (by_ffmpeg, by_rtmpdump):
        listing = streams(copy)
        assert size in listing
        # Neither a second picture nor a stream of data that nobody sent.
        assert listing.count("#media_type") == 2
        assert bundled().count_frames(copy)["video"] > 20


def test_gstreamer_decodes_one_track(server: RtmpdProcess, gst_launch: str) -> None:
    pipeline = (
        f"rtmp2src location={server.url('obs32-multitrack')} ! flvdemux name=demux "
        "demux.video ! queue ! h264parse ! avdec_h264 ! fakesink sync=false "
        "demux.audio ! queue ! aacparse ! avdec_aac ! fakesink sync=false"
    )
    before = len(server.log.find({"event": "play started"}))
    with start(gst_launch, "-e", *pipeline.split()) as playing:
        server.log.wait_for({"event": "play started"}, before + 1)
        encoder = Replay(server, "multitrack")
        encoder.start()
        encoder.close()
        assert "ERROR" not in playing.succeed(timeout=15)


def test_ffmpeg_is_told_which_tracks_there_are(
    server: RtmpdProcess, debian_ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    encoder = Replay(server, "multitrack")
    encoder.start()
    url = server.url("obs32-multitrack")
    server.wait_for_frames(url, 300)  # Of three tracks, more than three seconds: nothing more is waited for.
    with debian_ffmpeg.pull(f"{url}@720p live=1", tmp_path / "nothing.flv") as player:
        player.wait(timeout=15)
    refused = server.log.wait_for({"event": "play refused"})
    assert "it has 360p, 240p, 144p" in str(refused)
    encoder.close()
