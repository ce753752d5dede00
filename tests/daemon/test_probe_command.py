"""``rtmpd probe``: 0 or 1, and one line."""

from __future__ import annotations

import re

import pytest
from command_kit import run, run_here, start
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from rtmpd_process import RtmpdProcess


def probe(*arguments: str) -> tuple[int, str, str]:
    return run_here("probe", *arguments)


def test_a_running_server(server: RtmpdProcess) -> None:
    done = run("probe", server.url("").rstrip("/"))
    said = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    found = re.fullmatch(
        r"ok: \d+ packets came back unchanged, round trip (\d+\.\d) ms, (\d+) ms in all\n", said
    )
    assert found, said
    assert float(found[1]) <= int(found[2])


def test_a_trace(server: RtmpdProcess) -> None:
    status, output, errors = probe("--trace", server.url("cam"))
    assert (status, output[:4]) == (0, "ok: ")
    lines = [line.split(" ", 1)[1] for line in errors.splitlines()]
    assert lines.count("> handshake C2") == 2
    assert [line for line in lines if " publish " in line] == ["> c5 s1 publish 5 null *** 'live'"]


def test_play_only(server: RtmpdProcess, url: str, clip: ClipMaker) -> None:
    with start("publish", "--loop", str(clip(H264_AAC)), url):
        server.wait_for_live(url)
        status, said, _ = probe("--play-only", url)
    assert status == 0
    assert said.startswith("ok: there is a picture or sound, round trip ")
    assert probe("--play-only", "--timeout", "200ms", url)[::2] == (
        1,
        "rtmpd probe: no picture or sound within 0.2 s\n",
    )


def test_servers_that_do_not_work(
    server: RtmpdProcess, url: str, clip: ClipMaker, unused_tcp_port: int
) -> None:
    with start("publish", "--loop", str(clip(H264_AAC)), url):
        server.wait_for_live(url)
        for target, words in (
            (f"rtmp://127.0.0.1:{unused_tcp_port}/live", "Connection refused"),
            (f"rtmp://127.0.0.1:{server.port('admin')}/live", "HTTP"),
            (url, "the server refused to publish"),
            (url.replace("rtmp://", "rtmps://"), "broke off the TLS handshake: it closed the connection"),
        ):
            status, said, errors = probe(target)
            assert (status, said) == (1, "")
            (line,) = errors.splitlines()
            assert line.startswith("rtmpd probe: ")
            assert words in line


@pytest.mark.parametrize("arguments", [["http://127.0.0.1/"], ["--play-only", "rtmp://127.0.0.1/live"], []])
def test_wrong_usage(arguments: list[str]) -> None:
    assert probe(*arguments)[0] == 2
