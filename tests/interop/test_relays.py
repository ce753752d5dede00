"""rtmpd pushes to nginx-rtmp and pulls from it; ffmpeg publishes at one end and judges at the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, bundled, start
from live_fixtures import ClipMaker
from media_clips import AV1_OPUS, H264_AAC
from nginx_rtmp import NginxRtmp
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd
from tools import find_tool

pytestmark = pytest.mark.interop

LIVE = {"kind": "push", "state": "live"}


@pytest.fixture
def pushing(nginx: NginxRtmp) -> Iterator[RtmpdProcess]:
    """A server that pushes everything to nginx."""
    with rtmpd(f"apps.*.push={nginx.url('{name}')}") as process:
        yield process
        assert_clean_exit(process)


@pytest.fixture
def pulling(nginx: NginxRtmp) -> Iterator[RtmpdProcess]:
    """A server that pulls from nginx what players ask for."""
    with rtmpd(f"apps.*.pull.from={nginx.url('{name}')}", "apps.*.pull.linger=1s") as process:
        yield process
        assert_clean_exit(process)


def wait_for_relay(server: RtmpdProcess, kind: str, state: str, count: int = 1) -> None:
    server.wait_for_metric("rtmpd_relays", lambda value: value == count, kind=kind, state=state)


def test_what_is_pushed_to_nginx_is_decoded_by_ffprobe(
    nginx: NginxRtmp, pushing: RtmpdProcess, clip: ClipMaker, tmp_path: Path, debian_ffmpeg: FFmpeg
) -> None:
    source = clip(H264_AAC)
    copy = tmp_path / "copy.flv"
    with debian_ffmpeg.publish(source, pushing.url("cam"), loop=True):
        wait_for_relay(pushing, "push", "live")
        debian_ffmpeg.run(
            "-i", nginx.url("cam"), "-t", "2", "-map", "0", "-c", "copy", "-f", "flv", "-y", str(copy)
        )
        show = ("-loglevel", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0")
        with start(find_tool("ffprobe"), *show, nginx.url("cam")) as probe:
            streams = probe.succeed(timeout=20)
    assert sorted(streams.split()) == ["aac", "h264"]
    assert bundled().count_frames(copy)["video"] > 10


def test_every_packet_gets_through_nginx(
    nginx: NginxRtmp, pushing: RtmpdProcess, clip: ClipMaker, tmp_path: Path
) -> None:
    source = clip(H264_AAC)
    copy = tmp_path / "copy.flv"
    with bundled().pull(nginx.url("cam"), copy) as player:
        nginx.wait_for_play("cam")
        with bundled().publish(source, pushing.url("cam")) as encoder:
            encoder.succeed(timeout=30)
        player.succeed(timeout=15)
    sent, received = bundled().packets(source), bundled().packets(copy)
    for media in ("video", "audio"):
        assert received.payloads(media) == sent.payloads(media)


def test_what_nginx_has_is_pulled_on_demand(
    nginx: NginxRtmp, pulling: RtmpdProcess, clip: ClipMaker, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.flv"
    with bundled().publish(clip(H264_AAC), nginx.url("cam"), loop=True):
        wait_for_relay(pulling, "pull", "live", 0)
        bundled().run(
            "-i", pulling.url("cam"), "-t", "2", "-map", "0", "-c", "copy", "-f", "flv", "-y", str(copy)
        )
        wait_for_relay(pulling, "pull", "live", 1)
        # The last player has left: a second later the pull does.
        wait_for_relay(pulling, "pull", "live", 0)
    assert bundled().count_frames(copy)["video"] > 10


def test_a_push_survives_nginx_and_players_never_notice(
    nginx: NginxRtmp, pushing: RtmpdProcess, clip: ClipMaker, tmp_path: Path
) -> None:
    copy, far = tmp_path / "copy.flv", tmp_path / "far.flv"
    url = pushing.url("cam")
    with bundled().publish(clip(H264_AAC), url, loop=True) as encoder, bundled().pull(url, copy) as player:
        wait_for_relay(pushing, "push", "live")
        nginx.kill()
        pushing.log.wait_for({"event": "push failed"})
        nginx.start()
        pushing.log.wait_for({"event": "push live"}, 2)
        bundled().run(
            "-i", nginx.url("cam"), "-t", "2", "-map", "0", "-c", "copy", "-f", "flv", "-y", str(far)
        )
        assert encoder.running()
        assert player.running()
        encoder.stop()
        player.wait(15)
    assert bundled().count_frames(far)["video"] > 5
    received = bundled().packets(copy).of("video")
    steps = {round((after.dts - before.dts) * 1000) for before, after in pairwise(received)}
    # A frame takes 40 ms, a little more where the clip begins again.
    assert max(steps) < 100, "the player of the first server has missed something"


def test_a_pull_finds_nginx_again(nginx: NginxRtmp, pulling: RtmpdProcess, clip: ClipMaker) -> None:
    source = clip(H264_AAC)
    with bundled().pull(pulling.url("cam"), Path(os.devnull)):
        with bundled().publish(source, nginx.url("cam"), loop=True):
            pulling.log.wait_for({"event": "pull live"})
            nginx.kill()
            pulling.log.wait_for({"event": "pull ended"})
        with bundled().pull(pulling.url("cam"), Path(os.devnull)):
            nginx.start()
            with bundled().publish(source, nginx.url("cam"), loop=True):
                pulling.log.wait_for({"event": "pull live"}, 2)


def test_a_push_says_that_nginx_has_not_announced_its_codecs(
    nginx: NginxRtmp, pushing: RtmpdProcess, clip: ClipMaker
) -> None:
    with bundled().publish(clip(AV1_OPUS), pushing.url("cam"), loop=True):
        line = pushing.log.wait_for({"event": "push codecs not announced"})
        assert line["codecs"] == "av01+Opus"
