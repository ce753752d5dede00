"""``rtmpd publish`` against the real server, and against what goes wrong."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from command_kit import finish, run, run_here, run_on_terminal, start
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import AUDIO_ONLY, AV1_OPUS, H264_AAC, HEVC_AAC, Recipe
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

from rtmpd.daemon.publish_display import PublishDisplay
from rtmpd.exceptions import StreamFailed
from rtmpd.media.flv import FlvReader
from rtmpd.rtmp.url import RtmpUrl


def media(path: Path) -> list[tuple[int, int, bytes]]:
    """Audio and video tags of a file."""
    tags = FlvReader().receive_data(path.read_bytes())
    return [(tag.type, tag.timestamp, tag.payload) for tag in tags if tag.type in (8, 9)]


@pytest.mark.parametrize("recipe", [H264_AAC, HEVC_AAC, AV1_OPUS, AUDIO_ONLY], ids=lambda recipe: recipe.name)
def test_what_is_played_is_what_was_published(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, recipe: Recipe
) -> None:
    source, copy = clip(recipe), tmp_path / "copy.flv"
    with start("play", url, "-o", str(copy)) as player:
        server.wait_for_plays(url)
        published = run("publish", "--fast", str(source), url)
        status, output, errors = finish(player)
    assert (published.returncode, published.stderr) == (0, b"")
    assert published.stdout.startswith(f"published 0:00:04 to {url}: ".encode())
    assert (status, errors) == (0, "")
    assert f"written to {copy}" in output
    assert [(kind, payload) for kind, _, payload in media(copy)] == [
        (kind, payload) for kind, _, payload in media(source)
    ]
    assert media(copy)[0][1] == 0
    assert copy.read_bytes()[4] == source.read_bytes()[4], "the flags of the header"
    assert bundled().count_frames(copy) == bundled().count_frames(source)


def test_on_a_terminal_in_real_time(server: RtmpdProcess, url: str, clip: ClipMaker) -> None:
    with start("play", url) as player:
        server.wait_for_plays(url)
        status, shown = run_on_terminal("publish", str(clip(H264_AAC)), url)
        played, output, _ = finish(player)
    assert status == 0
    assert re.search(r"live ━+.* 0:00:0[1-3]  \d+ kbit/s  behind [\d.]+ k?B, \d\.\d s", shown)
    assert "done ━" in shown
    assert f"published 0:00:04 to {url}: " in shown
    assert max(len(line) for line in shown.replace("\r", "\n").splitlines()) <= 100
    assert played == 0
    figures = [line for line in output.splitlines() if "fps" in line]
    assert len(figures) >= 3
    assert re.fullmatch(
        r"0:00:0\d  \d+ kbit/s  2\d\.\d fps  key frames every 1\.00 s  avc1 \S+ \S+ 320x240"
        r"  mp4a LC 48000 Hz 2 ch  gaps 0  backwards 0",
        figures[-1],
    ), figures


def test_from_a_pipe(server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path) -> None:
    source, copy = clip(H264_AAC), tmp_path / "copy.flv"
    with start("play", url, "-o", str(copy)) as player:
        server.wait_for_plays(url)
        published = run("publish", "--fast", "-", url, stdin=source.read_bytes())
        assert finish(player)[0] == 0
    assert published.returncode == 0
    assert media(copy) == media(source)


def test_a_file_that_is_cut_short_is_published_as_far_as_it_goes(
    server: RtmpdProcess, url: str, clip: ClipMaker
) -> None:
    published = run("publish", "--fast", "-", url, stdin=clip(H264_AAC).read_bytes()[:50_000])
    assert published.returncode == 0
    assert b"standard input ends inside a tag, which was left out" in published.stdout


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_ends_the_publish_in_order(
    server: RtmpdProcess, url: str, clip: ClipMaker, number: int, status: int
) -> None:
    with start("publish", "--loop", str(clip(H264_AAC)), url) as publisher:
        server.wait_for_live(url)
        server.wait_for_frames(url, 5)
        publisher.send_signal(number)
        ended, output, errors = finish(publisher)
    assert (ended, errors) == (status, "")
    assert output.startswith("published 0:00:0")
    stream = url.rpartition("/")[2]
    assert server.log.wait_for({"event": "publish ended", "stream": stream})["reason"] == "finished"


def one_line(*arguments: str) -> tuple[int, str]:
    """Exit status and the only line that is said."""
    status, output, errors = run_here("publish", *arguments)
    assert output == ""
    (line,) = errors.splitlines()
    return status, line


def test_what_goes_wrong_is_told_in_one_line(
    server: RtmpdProcess, url: str, clip: ClipMaker, tmp_path: Path, unused_tcp_port: int
) -> None:
    source = str(clip(H264_AAC))
    mp4 = tmp_path / "clip.mp4"
    mp4.write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    status, line = one_line(str(mp4), url)
    assert status == 3
    assert line.startswith(f"rtmpd publish: {mp4}: not an FLV file")
    assert line.endswith("make one with ffmpeg -i INPUT -c copy -f flv OUTPUT.flv")
    assert one_line("/none.flv", url) == (
        3,
        "rtmpd publish: cannot read /none.flv: No such file or directory",
    )
    status, line = one_line(source, url.rpartition("/")[0])
    assert status == 2
    assert "names no stream" in line
    status, line = one_line("--loop", "-", url)
    assert status == 2
    assert one_line(url, source) == (2, "rtmpd publish: FILE and URL are swapped: rtmpd publish FILE URL")
    status, line = one_line("--retries", "0", source, f"rtmp://127.0.0.1:{unused_tcp_port}/live/cam")
    assert (status, line.endswith("Connection refused")) == (1, True)
    status, line = one_line(source, f"rtmp://127.0.0.1:{server.port('admin')}/live/cam")
    assert status == 1
    assert "HTTP" in line


def test_a_servers_sentence_is_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    display = PublishDisplay(RtmpUrl.parse("rtmp://localhost/live/cam"))
    display.tell_failure(StreamFailed("the server ended cam: It is shutting down."), 0.71)
    assert capsys.readouterr().out == "the server ended cam: It is shutting down; next attempt in 0.7 s\n"


def test_what_the_server_says_at_its_end_is_told(clip: ClipMaker) -> None:
    with rtmpd() as server:
        url = server.url("cam")
        with start("publish", "--loop", "--retries", "0", str(clip(H264_AAC)), url) as publisher:
            server.wait_for_frames(url, 5)
            assert_clean_exit(server)
            status, _, errors = finish(publisher)
    assert status == 1
    assert errors == "rtmpd publish: the server ended cam: The server is shutting down.\n"


def test_a_refusal_has_a_status_of_its_own(server: RtmpdProcess, url: str, clip: ClipMaker) -> None:
    source = str(clip(H264_AAC))
    with start("publish", "--loop", source, url):
        server.wait_for_live(url)
        status, line = one_line(source, url)
    assert status == 4
    assert "the server refused to publish" in line


def test_every_failed_attempt_is_told(clip: ClipMaker, unused_tcp_port: int) -> None:
    url = f"rtmp://127.0.0.1:{unused_tcp_port}/live/cam"
    status, output, errors = run_here("publish", "--retries", "1", str(clip(H264_AAC)), url)
    assert status == 1
    assert re.search(r"Connection refused; next attempt in (0\.\d|1\.0) s\n$", output)
    assert errors.startswith("rtmpd publish: cannot connect to 127.0.0.1")


def test_help_names_the_exit_codes() -> None:
    text = " ".join(run_here("publish", "--help")[1].split())
    assert "Exit codes: 0 done, 1 server unreachable" in text
