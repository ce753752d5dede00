"""``rtmpd bench`` against the real server, as the benchmark scripts run it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

RTMPD = str(Path(sys.executable).with_name("rtmpd"))
TIMEOUT = 30.0


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [RTMPD, "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_publishers_and_players_meet(server, url):
    publishers = subprocess.Popen(
        [
            RTMPD,
            "bench",
            "publish",
            "--json",
            "-n",
            "2",
            "-d",
            "60",
            "--keyframe-interval",
            "0.2",
            f"{url}{{i}}",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert publishers.stdout is not None
        assert json.loads(publishers.stdout.readline()) == {"phase": "joined"}
        done = bench(
            "play", "--json", "-n", "20", "--streams", "2", "-d", "0.5", "--warmup", "0", f"{url}{{i}}"
        )
    finally:
        publishers.kill()
        publishers.communicate(timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    *phases, report = lines(done.stdout)
    assert phases == [{"phase": "joined"}, {"phase": "measuring"}, {"phase": "measured"}]
    assert (report["phase"], report["players"], report["without_picture"]) == ("report", 20, 0)
    assert (report["failures"], report["closed"], report["missing"]) == ({}, 0, 0)
    server.wait_for_plays(f"{url}0", 10)
    server.wait_for_plays(f"{url}1", 10)


def test_people_get_words_and_a_status(url):
    done = bench("publish", "-d", "0.2", "--warmup", "0", "--keyframe-interval", "0.1", url)
    assert done.returncode == 0
    assert "connect ms            p50 " in done.stdout
    assert done.stderr.splitlines() == ["joined ...", "measuring ...", "measured ..."]


def test_nothing_through_is_status_1():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = bench("play", "-n", "2", "-d", "0.1", "--warmup", "0", f"rtmp://127.0.0.1:{port}/live/cam")
    assert done.returncode == 1
    assert "2 x " in done.stdout


def test_a_url_that_cannot_be_used_is_told_in_one_line():
    done = bench("play", "http://127.0.0.1/")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "rtmpd bench: an RTMP URL starts with rtmp:// or rtmps://\n"
