"""Recordings as media tools see them, through an encoder's return and a drive that is full for a while."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_kit import RTMPD
from ffmpeg import FFmpeg, Running, bundled, start
from outputs_kit import check_index
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd
from tools import find_tool

pytestmark = pytest.mark.interop

TMPFS = 4 * 1024 * 1024
MOUNTED = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'


@contextmanager
def encoding(url: str, seconds: int = 3600) -> Iterator[Running]:
    """ffmpeg as an encoder with B-frames and a key frame a second, about 1 Mbit/s."""
    with start(
        *bundled().command(
            "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25",
            "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", str(seconds),
            "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-b:v", "1M", "-maxrate", "1M",
            "-bufsize", "1M", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-f", "flv", url,
        )
    ) as process:  # fmt: skip
        yield process


def probe(path: Path, *arguments: str) -> Any:
    command = [find_tool("ffprobe"), "-v", "error", "-of", "json", *arguments, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def assert_sound(path: Path, ffmpeg: FFmpeg) -> None:
    """Both ffmpegs decode it without a word."""
    for each in (ffmpeg, bundled()):
        command = [each.executable, "-nostdin", "-v", "error", "-i", str(path), "-f", "null", "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert done.stderr == ""


def finished(server: RtmpdProcess, count: int = 1) -> dict[str, Any]:
    return server.log.wait_for({"event": "recording finished"}, count, timeout=60)


def written(server: RtmpdProcess) -> float:
    return server.metric("rtmpd_recording_bytes_total") or 0.0


def recorded(root: Path) -> tuple[str, ...]:
    record = "apps.live.record"
    return (f"{record}.start=always", f"{record}.root={root}", f"{record}.min_free=0")


def test_a_minute_with_a_reconnect_is_one_file_that_seeks(tmp_path: Path, debian_ffmpeg: FFmpeg) -> None:
    with rtmpd(*recorded(tmp_path)) as server:
        began = time.monotonic()
        with encoding(server.url("show")) as first:
            threading.Event().wait(30.0)
            first.kill()
        server.log.wait_for({"event": "stream held"})
        with encoding(server.url("show"), 28) as second:
            second.succeed(60)
        lasted = time.monotonic() - began
        told = finished(server)
        assert len(server.log.find({"event": "recording started"})) == 1
        path = Path(str(told["path"]))
        assert_clean_exit(server)
    seen = probe(path, "-show_format", "-show_streams")
    assert {each["codec_type"] for each in seen["streams"]} == {"audio", "video"}
    assert len(seen["streams"]) == 2
    duration = float(seen["format"]["duration"])
    assert duration == pytest.approx(told["duration"], abs=0.1)
    assert duration == pytest.approx(lasted, abs=3.0)  # ffmpeg begins in a hurry.
    assert duration > 55.0
    assert_sound(path, debian_ffmpeg)
    assert len(check_index(path)) >= 50
    packets = probe(path, "-show_entries", "packet=pts_time,flags", "-select_streams", "v")["packets"]
    last = max(float(packet["pts_time"]) for packet in packets)
    assert last == pytest.approx(duration, abs=0.2)
    (at_30, *_) = probe(
        path,
        *("-read_intervals", "30%+#1", "-select_streams", "v", "-show_entries", "packet=pts_time,flags"),
    )["packets"]
    assert at_30["flags"].startswith("K")
    assert float(at_30["pts_time"]) == pytest.approx(30.0, abs=1.1)


def test_a_drive_that_is_full_for_a_while_costs_nobody_else_anything(
    tmp_path: Path, debian_ffmpeg: FFmpeg
) -> None:
    root = tmp_path / "drive"
    root.mkdir()
    launcher = (find_tool("unshare"), "-rm", "sh", "-c", MOUNTED, str(root))
    with (
        rtmpd(*recorded(root), launcher=launcher) as server,
        encoding(server.url("show")),
        start(*debian_ffmpeg.command("-i", server.url("show"), "-f", "framecrc", "-")) as player,
    ):
        drive = Path(f"/proc/{server.pid}/root{root}")
        server.wait_for_metric("rtmpd_recording_bytes_total", lambda value: value > 300_000)
        filler = drive / "filler"
        filler.write_bytes(bytes(TMPFS - 1_500_000))
        failed = server.log.wait_for({"event": "recording failed; trying again"}, timeout=60)
        assert failed["reason"] == "full"
        first = finished(server)
        assert first["reason"] == "failed"
        seen = len(player.log())
        before = written(server)
        threading.Event().wait(7.0)  # It is tried again, in vain.
        assert written(server) == before
        assert (server.metric("rtmpd_recording_failures_total", reason="full") or 0.0) >= 2
        assert server.metric("rtmpd_recordings_failing") == 1.0
        for each in drive.rglob("*.flv"):
            shutil.copy(each, tmp_path)
        filler.unlink()
        server.log.wait_for({"event": "recording started"}, count=2, timeout=30)
        server.wait_for_metric("rtmpd_recording_bytes_total", lambda value: value > before + 300_000)
        assert player.running()
        assert len(player.log()) > seen + 7 * 20 * 30  # It has gone on all the while.
        assert not server.log.find({"event": "stream held"})
        assert server.metric("rtmpd_recordings_failing") == 0.0
        # It is complete, though there was no room to write more.
        (copy,) = tmp_path.glob("*.flv")
        assert_sound(copy, debian_ffmpeg)
        assert check_index(copy)
        os.kill(server.pid, 15)
        second = Path(str(finished(server, 2)["path"]))
        assert second.name.endswith("_2.flv")


def test_what_others_left_cut_off_is_repaired(tmp_path: Path, debian_ffmpeg: FFmpeg) -> None:
    source = tmp_path / "obs.flv"
    make = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=12", "-c:v", "libx264", "-g", "25"]
    debian_ffmpeg.run(*make, "-flvflags", "no_duration_filesize", "-f", "flv", str(source))
    source.write_bytes(source.read_bytes()[:-3000])
    done = subprocess.run([RTMPD, "repair", source], capture_output=True, text=True, timeout=60, check=True)
    target = tmp_path / "obs-repaired.flv"
    assert done.stdout.startswith(f"{target}: 0:1")
    assert_sound(target, debian_ffmpeg)
    assert float(probe(target, "-show_format")["format"]["duration"]) > 10.0
    assert len(check_index(target)) >= 10
