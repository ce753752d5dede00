"""``rtmpd play`` of the real server."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_kit import RTMPD, TIMEOUT, finish, run, run_here, run_on_terminal, start
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from rtmpd_process import RtmpdProcess

from rtmpd.daemon import play_display
from rtmpd.media.flv import FlvReader


@pytest.fixture
def live(server: RtmpdProcess, url: str, clip: ClipMaker) -> Iterator[str]:
    """A stream that goes on."""
    with start("publish", "--loop", str(clip(H264_AAC)), url):
        server.wait_for_live(url)
        yield url


def test_a_duration_into_a_file(live: str, tmp_path: Path) -> None:
    path = tmp_path / "out.flv"
    done = run("play", live, "-o", str(path), "--duration", "500ms")
    assert (done.returncode, done.stderr) == (0, b"")
    reader = FlvReader()
    tags = reader.receive_data(path.read_bytes())
    assert (reader.has_audio, reader.has_video, reader.incomplete) == (True, True, False)
    assert tags[0].timestamp == 0
    assert 400 <= tags[-1].timestamp <= 600
    assert bundled().count_frames(path)["video"] >= 10


def test_into_a_pipe(live: str, tmp_path: Path) -> None:
    """The figures go to standard error then."""
    player = subprocess.Popen(
        [RTMPD, "play", live, "-o", "-", "-d", "1200ms"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    decoder = subprocess.run(
        bundled().command("-i", "pipe:0", "-f", "null", "-"),
        stdin=player.stdout,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert player.stdout is not None
    player.stdout.close()
    assert player.stderr is not None
    said = player.stderr.read().decode()
    player.stderr.close()
    assert (player.wait(TIMEOUT), decoder.returncode, decoder.stderr) == (0, 0, b"")
    assert "written to standard output" in said
    assert "avc1" in said


def test_a_reader_that_leaves_is_an_end(live: str) -> None:
    player = subprocess.Popen(
        [RTMPD, "play", live, "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert player.stdout is not None
    assert player.stdout.read(3) == b"FLV"
    player.stdout.close()
    assert player.stderr is not None
    said = player.stderr.read().decode()
    player.stderr.close()
    assert player.wait(TIMEOUT) == 0
    assert "nobody reads standard output any more" in said


def test_a_trace(live: str) -> None:
    """It goes to standard error, where it disturbs neither figures nor a file."""
    status, output, errors = run_here("play", f"{live}?token=SECRET", "--trace", "--duration", "200ms")
    lines = errors.splitlines()
    assert status == 0
    assert re.fullmatch(r"0\.\d\d\d > handshake C0 C1, simple", lines[0])
    assert any(" < c3 s0 _result 1 {fmsVer: " in line for line in lines)
    assert any(line.endswith(" play 3 null *** -2000") for line in lines)
    assert any(" < c6 s1 video avc1 key frame, " in line for line in lines)
    assert "SECRET" not in output + errors
    assert live.rpartition("/")[2] not in errors
    assert " > c" not in output


def test_on_a_terminal(live: str) -> None:
    status, shown = run_on_terminal("play", live, "--duration", "2s")
    assert status == 0
    for pattern in (
        rf"stream +{re.escape(live)}",
        r"state +playing",
        r"bitrate +\d+ kbit/s",
        r"video +avc1 \S+ \S+ 320x240",
        # A second; where the file begins again, as long as its last picture lasts more or less.
        r"frames +\d+\.\d a second, key frames every (0\.9|1\.0)\d s",
        r"audio +mp4a LC 48000 Hz 2 ch",
        r"timestamps +gaps 0, backwards 0",
        r"played 0:00:0[12] of rtmp",
    ):
        assert re.search(pattern, shown), pattern


def test_interrupted_it_leaves_a_whole_file(server: RtmpdProcess, live: str, tmp_path: Path) -> None:
    path = tmp_path / "out.flv"
    with start("play", live, "-o", str(path)) as player:
        assert player.stdout is not None
        while b"fps" not in player.stdout.readline():
            pass
        player.send_signal(signal.SIGINT)
        status, output, errors = finish(player)
    assert (status, errors) == (130, "")
    assert f"written to {path}" in output
    assert re.search(
        r"^played 0:00:0\d of \S+: \d+ video frames, [\d.]+ kB, \d+ kbit/s on average, gaps 0",
        output,
        re.MULTILINE,
    )
    reader = FlvReader()
    assert reader.receive_data(path.read_bytes())
    assert not reader.incomplete


def test_it_is_told_once_what_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play_display, "_LINE_INTERVAL", 0.01)
    _, output, _ = run_here("play", url, "--wait", "100ms")
    assert output.removeprefix("connecting\n") == "waiting for the stream\n"


def test_what_goes_wrong_is_told_in_one_line(server: RtmpdProcess, url: str, unused_tcp_port: int) -> None:
    application = url.rpartition("/")[0]
    for status, words, arguments in (
        (1, "no picture and no sound within 0.1 s", [url, "--wait", "100ms"]),
        (1, "Connection refused", [f"rtmp://127.0.0.1:{unused_tcp_port}/live/cam"]),
        (1, "HTTP", [f"rtmp://127.0.0.1:{server.port('admin')}/live/cam"]),
        (2, "names no stream", [application]),
        (2, "starts with rtmp://", ["http://127.0.0.1/live/cam"]),
        (3, "No such directory", [url, "-o", "/none/out.flv"]),
        (4, "the server refused to play", [f"{application}/{'x' * 300}"]),
    ):
        ended, _, errors = run_here("play", *arguments)
        assert ended == status
        (line,) = errors.splitlines()
        assert line.startswith("rtmpd play: ")
        assert words in line


@pytest.mark.parametrize("text", ["soon", "0", "-1s"])
def test_a_bad_duration_is_wrong_usage(text: str) -> None:
    assert run_here("play", "rtmp://127.0.0.1/live/cam", f"--duration={text}")[0] == 2
