"""``rtmpd bench`` against the real server, as the benchmark scripts run it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    for line in (
        r"publishers +1",
        r"failures +none",
        r"time to connect +p50 [\d.]+ ms  p90 [\d.]+ ms  p99 [\d.]+ ms  max [\d.]+ ms",
        r"measured for +0\.\d+ s",
        r"bytes +[\d.]+ kB",
    ):
        assert re.search(rf"^{line}$", done.stdout, re.MULTILINE), line
    assert done.stderr.splitlines() == ["joined ...", "measuring ...", "measured ..."]


@pytest.mark.parametrize("what", ["play", "publish"])
def test_a_server_that_is_not_there_is_told_at_once(what, unused_tcp_port):
    began = time.monotonic()
    done = bench(
        what, "-n", "2", "-d", "60", "--warmup", "60", f"rtmp://127.0.0.1:{unused_tcp_port}/live/cam"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "rtmpd bench: nothing came through: 2 x Connection refused"
    assert time.monotonic() - began < 15, "a second on a machine that does nothing else"


def test_a_stream_that_nobody_publishes_is_told(url):
    done = bench("play", "-n", "2", "-d", "60", "--patience", "0.1", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("rtmpd bench: nothing came through: does anybody publish this stream?\n")


def test_a_url_that_cannot_be_used_is_told_in_one_line():
    for url, told in {
        "srt://127.0.0.1/": "an RTMP URL starts with rtmp:// or rtmps://",
        "http://127.0.0.1/": "bench plays http://host:port/app/name.flv, without TLS",
    }.items():
        done = bench("play", url)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"rtmpd bench: {told}\n"
