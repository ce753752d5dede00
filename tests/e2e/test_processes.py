"""Processes of streams in the real server, with a real ffmpeg: docs/processes.md as it is written there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_kit import run_here
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC, HEVC_AAC
from rtmpd_process import RtmpdProcess, assert_clean_exit
from rtmpd_process import rtmpd as start

DOCUMENT = Path(__file__).parents[2] / "docs" / "processes.md"
EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
CLOSED = """
[apps.live.publish]
allow = "nobody"
[apps."live/show".publish]
allow = "local"
[apps."live/show".play]
allow = "nobody"
"""
TOKEN = re.compile(r"rtmpd-[a-z2-9]{33}")
LIGHT = ("veryfast", "ultrafast")


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folders of programs, one with an ffmpeg."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "ffmpeg").symlink_to(bundled().executable)
    return f"{folder}:{os.environ['PATH']}"


@contextlib.contextmanager
def serving(folder: Path, path: str, text: str, *settings: str) -> Iterator[RtmpdProcess]:
    config = folder / "rtmpd.toml"
    config.write_text(text)
    with start(*settings, environment={"RTMPD_CONFIG": str(config), "PATH": path}) as server:
        yield server
        assert_clean_exit(server)
    assert not TOKEN.search(str(server.log))


def run_of(text: str, name: str, **others: object) -> str:
    """A table of a process that a shell is."""
    said = {"command": ["sh", "-c", text], "publish": [], **others}
    return f"[apps.open.run.{name}]\n" + "".join(f"{key} = {json.dumps(said[key])}\n" for key in said)


def children(server: RtmpdProcess) -> list[int]:
    """Processes that the server has, dead ones included."""
    return [
        int(pid)
        for task in Path(f"/proc/{server.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


def test_every_example_is_right(tmp_path: Path) -> None:
    for number, text in enumerate(EXAMPLES):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        status, shown, _ = run_here("check", "-c", str(file))
        assert status == 0, shown
    assert len(EXAMPLES) == 5


def test_a_rendition_is_played_where_nobody_else_may_come_in(
    clip: ClipMaker, tmp_path: Path, path: str
) -> None:
    """The first example, where nobody may play the stream and nobody publish the rendition."""
    copy = tmp_path / "copy.flv"
    with serving(tmp_path, path, EXAMPLES[0].replace(*LIGHT) + CLOSED, "log.trace=127.0.0.0/8") as server:
        with bundled().pull(server.url("show_480p"), copy) as player:
            server.wait_for_plays(server.url("show_480p"))
            with bundled().publish(clip(H264_AAC), server.url("show")) as encoder:
                server.wait_for_metric(
                    "rtmpd_process_running", bool, app="live", stream="show", process="480p"
                )
                encoder.succeed(timeout=20)
            ended = server.log.wait_for({"event": "process ended", "process": "480p"})
            player.succeed(timeout=10)
        assert ended["reason"] == "finished"
        assert server.metric("rtmpd_processes", state="running") == 0
        assert server.log.find({"event": "trace"})
        assert not TOKEN.search(server.get("/metrics"))
        assert children(server) == []
    assert bundled().count_frames(copy)["video"] > 25
    assert size_of(copy) == "854x480"


def size_of(file: Path) -> str:
    """Of the pictures of a file."""
    listing = bundled().run("-i", str(file), "-map", "0:v", "-frames:v", "1", "-f", "framemd5", "-")
    found = re.search(r"^#dimensions 0: (\S+)$", listing, re.MULTILINE)
    assert found
    return found[1]


def test_an_h264_copy_of_hevc_comes_back_after_a_crash(clip: ClipMaker, tmp_path: Path, path: str) -> None:
    with serving(tmp_path, path, EXAMPLES[1].replace(*LIGHT)) as server:
        url = server.url("show", app="hevc")
        with bundled().publish(clip(HEVC_AAC), url, loop=True):
            pid = server.log.wait_for({"event": "process started"})["pid"]
            server.log.wait_for({"event": "publish started", "stream": "show_h264"})
            assert isinstance(pid, int)
            os.kill(pid, signal.SIGKILL)
            ended = server.log.wait_for({"event": "process ended"})
            assert (ended["reason"], ended["status"]) == ("signal", -9)
            again = server.log.wait_for({"event": "process started"}, 2)
            assert again["pid"] != pid
            server.log.wait_for({"event": "publish started", "stream": "show_h264"}, 2)
            server.wait_for_frames(server.url("show_h264", app="hevc"), 25)
            described = 'rtmpd_stream_info{.*stream="show_h264".*video_codec="avc1"'
            assert re.search(described, server.get("/metrics"))
        server.log.wait_for({"event": "process ended"}, 2)
        assert children(server) == []


def test_the_end_of_the_server_ends_processes_that_do_not_listen(
    clip: ClipMaker, tmp_path: Path, path: str
) -> None:
    script = "trap '' TERM; echo deaf; for _ in $(seq 1000); do sleep 0.05; done"
    deaf = run_of(script, "deaf", stop_timeout="1m")
    config = tmp_path / "rtmpd.toml"
    config.write_text(deaf)
    with start("shutdown.drain_timeout=1s", environment={"RTMPD_CONFIG": str(config)}) as server:
        with bundled().publish(clip(H264_AAC), server.url("show", app="open"), loop=True):
            server.log.wait_for({"event": "process output", "line": "deaf"})
            (pid,) = children(server)
            began = time.monotonic()
            assert server.terminate() == 0
            assert time.monotonic() - began < 5.0
            assert not Path(f"/proc/{pid}").exists()
        assert server.log.find({"event": "process ended", "reason": "killed"})


def test_a_flood_of_output_costs_no_more_than_a_few_lines(clip: ClipMaker, tmp_path: Path, path: str) -> None:
    flood = run_of("exec yes $RTMPD_PLAY_URL", "flood")
    with serving(tmp_path, path, flood, "run.max_output_lines=5") as server:
        with bundled().publish(clip(H264_AAC), server.url("show", app="open")) as encoder:
            encoder.succeed(timeout=20)
        server.log.wait_for({"event": "process ended"})
        lines = server.log.find({"event": "process output"})
        assert len(lines) == 5
        assert {line["line"] for line in lines} == {f"{server.url('show', app='open')}?key=***"}
        left_out = server.metric("rtmpd_process_output_lines_total", fate="left_out")
        assert left_out is not None
        # What it wrote in four seconds and a bit, as slowly as it was read.
        assert 1_000 < left_out < 20_000


def test_a_hook_is_run_for_what_happens(clip: ClipMaker, tmp_path: Path, path: str) -> None:
    """The example of the document, with a program that tells what it got."""
    told = tmp_path / "told"
    program = tmp_path / "note-stream"
    program.write_text(f'#!/bin/sh\necho "$*" >>{told}\necho "$RTMPD_JSON" >>{told}\necho noted\n')
    program.chmod(0o755)
    text = EXAMPLES[4].replace("/usr/local/bin/note-stream", str(program))
    with serving(tmp_path, path, text) as server:
        with bundled().publish(clip(H264_AAC), server.url("show")) as encoder:
            encoder.succeed(timeout=20)
        server.log.wait_for({"event": "hook ended", "reason": "finished"}, 2)
        assert server.log.find({"event": "hook output", "line": "noted"})
        assert server.metric("rtmpd_hook_ends_total", reason="finished") == 2
        first, document, last, _ = told.read_text().splitlines()
        assert (first, last) == ("first_media live show", "ended live show")
        assert json.loads(document)["data"]["width"] == 320
        assert children(server) == []


def test_check_shows_no_stream_key_of_a_command(tmp_path: Path) -> None:
    file = tmp_path / "rtmpd.toml"
    command = ["ffmpeg", "-i", "{play_url}", "-f", "flv", "rtmp://a.example/app/STREAMKEY"]
    file.write_text(f"[apps.live.run.out]\ncommand = {json.dumps(command)}\npublish = []\n")
    status, shown, _ = run_here("check", "-c", str(file))
    assert status == 0
    assert "STREAMKEY" not in shown
    assert "rtmp://a.example/app/***" in shown
    secret = tmp_path / "command"
    secret.write_text("# One argument a line.\n" + "\n".join(command))
    file.write_text(f'[apps.live.run.out]\ncommand_file = "{secret}"\npublish = []\n')
    assert run_here("check", "-c", str(file))[:2] == (0, shown)
