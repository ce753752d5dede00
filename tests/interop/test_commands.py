"""The commands against a server that nobody here wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_kit import finish, run, start
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from nginx_rtmp import NginxRtmp

pytestmark = pytest.mark.interop


def test_nginx_is_found_to_work(nginx: NginxRtmp) -> None:
    done = run("probe", nginx.url("x").rpartition("/")[0])
    assert done.returncode == 0, done
    assert b"packets came back unchanged" in done.stdout


def test_a_file_goes_through_nginx_unchanged(nginx: NginxRtmp, clip: ClipMaker, tmp_path: Path) -> None:
    source, copy = clip(H264_AAC), tmp_path / "copy.flv"
    with start("play", nginx.url("cam"), "-o", str(copy)) as player:
        nginx.wait_for_play("cam")
        published = run("publish", str(source), nginx.url("cam"))
        status, _, errors = finish(player)
    assert (published.returncode, status, errors) == (0, 0, "")
    judge = bundled()
    for medium in ("video", "audio"):
        assert judge.packets(copy).payloads(medium) == judge.packets(source).payloads(medium)
