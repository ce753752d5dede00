"""Prometheus' own judge of the metrics page."""

from __future__ import annotations

import subprocess

import pytest
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import FRAME_RATE, H264_AAC
from metrics_sources import busy_server, page
from rtmpd_process import RtmpdProcess
from tools import find_tool

pytestmark = pytest.mark.interop


def check_metrics(page: str) -> None:
    """``promtool check metrics`` has nothing to say."""
    judged = subprocess.run(
        [find_tool("promtool"), "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, "")


@pytest.mark.parametrize("max_streams", [0, 10])
def test_a_page_with_every_family_is_clean(max_streams: int) -> None:
    check_metrics(page(busy_server().metrics(max_streams)))


def test_the_page_of_a_busy_server_is_clean(server: RtmpdProcess, url: str, clip: ClipMaker) -> None:
    with bundled().publish(clip(H264_AAC), url, loop=True):
        server.wait_for_frames(url, FRAME_RATE)
        check_metrics(server.get("/metrics"))
