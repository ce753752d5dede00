"""Debian's players pull what the bundled ffmpeg publishes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, Running, bundled, start
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, FRAME_RATE, H264_AAC, VIDEO_FRAMES, VIDEO_ONLY, Recipe
from rtmpd_process import RtmpdProcess, stream_labels

pytestmark = pytest.mark.interop


@dataclass(frozen=True, slots=True)
class Player:
    """A way to play a stream into an FLV file."""

    play: Callable[[str, Path], AbstractContextManager[Running]]
    writes_to_the_end: bool = True
    """Whether it still writes what arrived just before the end of the stream."""
    ends_with_the_stream: bool = True

    def finish(self, process: Running, server: RtmpdProcess, url: str) -> None:
        if self.ends_with_the_stream:
            process.wait(timeout=15)
        else:
            server.log.wait_for({"event": "play ended", **stream_labels(url)})
            process.stop()


@pytest.fixture
def ffmpeg_player(debian_ffmpeg: FFmpeg) -> Player:
    return Player(lambda url, copy: debian_ffmpeg.pull(f"{url} live=1", copy))


@pytest.fixture
def http_player(server: RtmpdProcess) -> Player:
    return Player(lambda url, copy: bundled().pull(server.http_url(url), copy))


@pytest.fixture
def rtmpdump_player(rtmpdump: str) -> Player:
    return Player(lambda url, copy: start(rtmpdump, "--live", "--rtmp", url, "--flv", str(copy)))


@pytest.fixture
def rtmp2src_player(gst_launch: str) -> Player:
    """Its loop thread ends on StreamEOF, whether or not the other thread has taken the last message."""
    return Player(
        lambda url, copy: start(
            gst_launch, "rtmp2src", f"location={url}", "!", "filesink", f"location={copy}", "buffer-mode=2"
        ),
        writes_to_the_end=False,
    )


@pytest.fixture
def rtmpsrc_player(gst_launch: str) -> Player:
    """It writes blocks of 4096 bytes, and connects again when a stream ends."""
    return Player(
        lambda url, copy: start(
            gst_launch,
            "rtmpsrc",
            f"location={url} live=1",
            "!",
            "filesink",
            f"location={copy}",
            "buffer-mode=2",
        ),
        writes_to_the_end=False,
        ends_with_the_stream=False,
    )


PLAYERS = ["ffmpeg_player", "http_player", "rtmpdump_player", "rtmp2src_player", "rtmpsrc_player"]
TAIL = 25
"""Packets of each medium that a player which does not write to the end may lose."""


@pytest.fixture(params=PLAYERS)
def player(request: pytest.FixtureRequest) -> Player:
    found: Player = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("recipe", [H264_AAC, AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_a_player_that_waits_gets_every_packet_and_ends_with_the_stream(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, player: Player, recipe: Recipe
) -> None:
    source = clip(recipe)
    copy = tmp_path / "copy.flv"
    with player.play(url, copy) as playing:
        server.wait_for_plays(url)
        with bundled().publish(source, url, rate=4) as publisher:
            publisher.succeed(timeout=20)
        player.finish(playing, server, url)
    sent, received = bundled().packets(source), bundled().packets(copy)
    allowed = 0 if player.writes_to_the_end else TAIL
    for media in sent.extradata:
        count = len(received.of(media))
        assert received.payloads(media) == sent.payloads(media)[:count]
        assert count >= len(sent.of(media)) - allowed
    if recipe.video:
        assert bundled().count_frames(copy)["video"] >= VIDEO_FRAMES - allowed


def test_a_player_that_joins_late_decodes_from_the_first_frame(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, player: Player
) -> None:
    source = clip(H264_AAC)
    copy = tmp_path / "copy.flv"
    with bundled().publish(source, url, loop=True) as publisher:
        server.wait_for_frames(url, FRAME_RATE + FRAME_RATE // 2)
        with player.play(url, copy) as playing:
            server.wait_until_watched(url)
            publisher.stop()
            player.finish(playing, server, url)
    sent = bundled().packets(source).payloads("video")
    received = bundled().packets(copy).payloads("video")
    assert received[0] in sent[::FRAME_RATE]
    assert bundled().count_frames(copy)["video"] == len(received) >= FRAME_RATE


@pytest.mark.parametrize("sink", ["rtmp2sink", "rtmpsink"])
def test_one_url_of_several_levels_is_one_stream(
    server: RtmpdProcess,
    url: str,
    clip: ClipMaker,
    tmp_path: Path,
    gst_launch: str,
    player: Player,
    sink: str,
) -> None:
    """GStreamer calls all but the last level the app, ffmpeg the first two at most, rtmpdump the first."""
    deep = f"{url}/room/cam"
    copy = tmp_path / "copy.flv"
    pipeline = (
        f"filesrc location={clip(AUDIO_ONLY)} ! flvdemux name=demux flvmux name=mux streamable=true "
        f"! {sink} location={deep} demux.audio ! queue ! aacparse ! mux.audio"
    )
    with player.play(deep, copy) as playing:
        server.wait_for_plays(deep)
        with start(gst_launch, "-e", *pipeline.split()) as encoder:
            encoder.succeed(timeout=20)
        player.finish(playing, server, deep)
    assert len(bundled().packets(copy).of("audio")) > TAIL


def test_gstreamer_decodes_while_it_plays(
    server: RtmpdProcess, url: str, clip: ClipMaker, gst_launch: str
) -> None:
    pipeline = (
        f"rtmp2src location={url} ! flvdemux name=demux "
        "demux.video ! queue ! h264parse ! avdec_h264 ! fakesink sync=false "
        "demux.audio ! queue ! aacparse ! avdec_aac ! fakesink sync=false"
    )
    with start(gst_launch, "-e", *pipeline.split()) as playing:
        server.wait_for_plays(url)
        with bundled().publish(clip(H264_AAC), url, rate=4) as publisher:
            publisher.succeed(timeout=20)
        assert "ERROR" not in playing.succeed(timeout=15)


def test_players_are_led_to_another_stream_over_the_connection_that_they_have(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, player: Player
) -> None:
    """In another picture size, which they find in the headers that come before it."""
    source, slate, copy = clip(H264_AAC), tmp_path / "slate.flv", tmp_path / "copy.flv"
    bundled().run(
        "-i", str(source), "-vf", "scale=480:272", "-c:v", "libx264", "-preset", "ultrafast",
        "-g", str(FRAME_RATE), "-sc_threshold", "0", "-c:a", "copy", "-f", "flv", str(slate),
    )  # fmt: skip
    other = f"{url}-slate"
    with bundled().publish(source, url, loop=True), player.play(url, copy) as playing:
        server.wait_for_plays(url)
        server.wait_for_frames(url, FRAME_RATE)
        with bundled().publish(slate, other) as publisher:
            server.wait_for_frames(other, FRAME_RATE // 2)
            assert redirect(server, url, other) == {"redirected": 1, "refused": 0, "unable": 0}
            publisher.succeed(timeout=20)
            player.finish(playing, server, other)
    before, behind = bundled().packets(source).payloads("video"), bundled().packets(slate).payloads("video")
    received = bundled().packets(copy).payloads("video")
    led = received.index(behind[0])
    assert led > 0
    assert set(received[:led]) <= set(before)
    assert received[led:] == behind[: len(received) - led]
    assert len(received) - led >= len(behind) - (0 if player.writes_to_the_end else TAIL)
    # Every picture is decoded by the headers before it. Not count_frames: times overlap beside B-frames.
    bundled().run(
        "-xerror", "-err_detect", "explode", "-i", str(copy), "-fps_mode", "passthrough", "-f", "null", "-"
    )


def redirect(server: RtmpdProcess, url: str, other: str) -> object:
    (app, name), to = url.rsplit("/", 2)[1:], other.rpartition("/")[2]
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port('admin')}/api/v1/streams/{app}/{name}/redirect",
        json.dumps({"name": to}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
