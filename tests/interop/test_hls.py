"""HLS as players have it: ffmpeg, mpv and VLC, hls.js with low latency in a browser, and a cache in front."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from ffmpeg import FFmpeg, bundled, start
from npm import install
from player_kit import browser_with, frames_by_vlc, seen
from proxies import free_port, running
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd
from tools import find_tool, missing

pytestmark = pytest.mark.interop

HLS_JS = "hls.js@1.7.4"
SCENARIO = Path(__file__).with_name("hls.mjs")
HLS_PARSER = "hls-parser@0.16.1"
RELOADS = Path(__file__).with_name("hls_reloads.mjs")
SECONDS = 60
SECRET = "RcVdS2a3SaIoFqGzXKvT7hYb"
_NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
  log_format cached '$upstream_cache_status $uri';
  access_log {folder}/access.log cached;
  proxy_cache_path {folder}/cache keys_zone=hls:1m max_size=100m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{target};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-CDN-Secret {secret};
      proxy_cache hls;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 10s;
      proxy_ignore_headers Vary;
    }}
  }}
}}
"""


@contextlib.contextmanager
def encoder(server: RtmpdProcess, name: str, gop: int = 30) -> Iterator[str]:
    """The playlist of a stream with a key frame each second, as an encoder for low latency is set, or each
    ``gop`` frames.
    """
    url = server.url(name)
    sources = ("-f", "lavfi", "-i", "testsrc=size=640x360:rate=30", "-f", "lavfi", "-i", "sine")
    video = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", str(gop), "-bf", "0")
    command = bundled().command("-re", *sources, *video, "-c:a", "aac", "-f", "flv", url)
    with start(*command):
        server.wait_for_live(url)
        time.sleep(2.0)  # Of a stream that has just begun there is less than players want.
        yield server.http_url(url).removesuffix(".flv") + "/index.m3u8"


def wait_for_segments(url: str, count: int) -> None:
    """Have the stream packaged, until its playlist has so many segments."""
    with urllib.request.urlopen(url) as answer:
        playlist = next(line for line in answer.read().decode().splitlines() if line and line[0] != "#")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with urllib.request.urlopen(urljoin(url, playlist)) as answer:
            if answer.read().count(b"#EXTINF") >= count:
                return
        time.sleep(0.1)
    raise AssertionError(f"fewer than {count} segments in 30 seconds")


@pytest.fixture(scope="module")
def hls_server() -> Iterator[RtmpdProcess]:
    settings = ("apps.live.hls.part=0.2", "apps.live.hls.segment=1")
    with rtmpd("http.listen=127.0.0.1:0", "http.origins=*", *settings) as process:
        yield process
        assert_clean_exit(process)


def test_hls_js_plays_a_minute_without_a_stall(hls_server: RtmpdProcess, pytestconfig: pytest.Config) -> None:
    with browser_with(pytestconfig, SCENARIO, HLS_JS) as play, encoder(hls_server, "browser") as url:
        # Somebody watches already.
        wait_for_segments(url, 4)
        with play(url, str(SECONDS)) as playing:
            found = seen(playing, SECONDS + 60)
    assert (found["end"], found["stalls"], found["videoWidth"]) == ("late", [], 640), found
    assert [error for error in found["errors"] if " true " in error] == []
    assert found["currentTime"] > SECONDS - 10
    assert found["totalVideoFrames"] > 30 * (SECONDS - 10)
    # Each part is reloaded for by number, and as a delta.
    assert found["blocking"] > 4 * (SECONDS - 10)
    assert found["skipping"] > 4 * (SECONDS - 10)


def test_who_is_the_first_is_shown_it_at_once(hls_server: RtmpdProcess, pytestconfig: pytest.Config) -> None:
    with browser_with(pytestconfig, SCENARIO, HLS_JS) as play:
        # Wherever between two key frames they come.
        for name, gop in (("first", 60), ("second", 60), ("third", 120)):
            with encoder(hls_server, name, gop) as url, play(url, "6") as playing:
                found = seen(playing, 60)
            assert (found["end"], found["stalls"], found["videoWidth"]) == ("late", [], 640), found
            assert [error for error in found["errors"] if " true " in error] == []
            assert found["totalVideoFrames"] > 90


@pytest.mark.parametrize("old", [False, True], ids=["bundled", "debian"])
def test_ffmpeg_plays(hls_server: RtmpdProcess, debian_ffmpeg: FFmpeg, tmp_path: Path, old: bool) -> None:
    player, copy = debian_ffmpeg if old else bundled(), tmp_path / "copy.mkv"
    with encoder(hls_server, f"ffmpeg-{old}") as url:
        player.run("-t", "5", "-i", url, "-c", "copy", str(copy))
    packets = bundled().packets(copy)
    assert len(packets.of("video")) >= 140
    assert len(packets.of("audio")) >= 200


def test_mpv_plays(hls_server: RtmpdProcess) -> None:
    mpv = find_tool("mpv")
    with encoder(hls_server, "mpv") as url:
        silent = ("--no-config", "--vo=null", "--ao=null", "--ytdl=no", "--length=4")
        with start(mpv, *silent, url) as playing:
            told = playing.succeed(timeout=40)
    assert "(h264" in told
    assert "(aac" in told


@pytest.mark.parametrize("gop", [30, 250], ids=["live", "x264"])
def test_a_strict_parser_has_no_complaint_over_200_reloads(
    hls_server: RtmpdProcess, pytestconfig: pytest.Config, gop: int
) -> None:
    npm, node = find_tool("npm"), find_tool("node")
    try:
        modules = install(npm, pytestconfig.cache.mkdir("npm"), HLS_PARSER)
    except (OSError, subprocess.SubprocessError) as error:
        missing(f"npm cannot install {HLS_PARSER}: {error}")
    with encoder(hls_server, f"parsed-{gop}", gop) as url:
        command = ("env", f"NODE_MODULES={modules}", node, str(RELOADS), url, "200")
        with start(*command) as reading:
            found = seen(reading, 90)
    assert found["complaints"] == []
    assert found["segments"] >= (30 if gop == 30 else 4)
    # There is nothing to leave out as long as there is less than six target durations.
    assert found["updates"] > (150 if gop == 30 else -1)
    assert found["target"] == (1 if gop == 30 else 10)


def test_vlc_plays(hls_server: RtmpdProcess, tmp_path: Path) -> None:
    with encoder(hls_server, "vlc") as url:
        frames = frames_by_vlc(url, tmp_path, lambda: None, length=5)
    assert frames["video"] >= 100
    assert frames["audio"] >= 100


class Viewer(threading.Thread):
    """Reloads as players with low latency do, and fetches each part, with whatever is in front."""

    def __init__(self, home: str, until: float) -> None:
        super().__init__(daemon=True)
        self._home = home
        self._until = until
        self.parts = 0
        self.failed = ""

    def run(self) -> None:
        try:
            uri = self._read("index.m3u8").decode().splitlines()[-1]
            text = self._read(uri).decode()
            while time.monotonic() < self._until:
                found = re.findall(r'PRELOAD-HINT:TYPE=PART,URI="\w+_(\d+)_(\d+).mp4"', text)
                msn, part = found[-1]
                text = self._read(f"{uri}?_HLS_msn={msn}&_HLS_part={part}").decode()
                self._read(re.findall(r'EXT-X-PART:.*URI="(\w+\.mp4)"', text)[-1])
                self.parts += 1
        except (OSError, LookupError) as error:
            self.failed = repr(error)

    def _read(self, name: str) -> bytes:
        with urllib.request.urlopen(self._home + name, timeout=20) as answer:
            data: bytes = answer.read()
        return data


def test_a_cache_in_front_asks_once_for_each_part(tmp_path: Path) -> None:
    nginx, port = find_tool("nginx"), free_port()
    tmp_path.chmod(0o777)
    settings = (f"apps.live.hls.cdn_secret={SECRET}", "apps.live.hls.part=0.2", "apps.live.hls.segment=1")
    with rtmpd("http.listen=127.0.0.1:0", *settings) as server, encoder(server, "cached") as url:
        target = server.port("http")
        config = tmp_path / "nginx.conf"
        config.write_text(
            _NGINX.format(
                user="user root;" * (os.geteuid() == 0),
                folder=tmp_path,
                port=port,
                target=target,
                secret=SECRET,
            )
        )
        command = [nginx, "-p", str(tmp_path), "-c", str(config), "-e", str(tmp_path / "error.log")]
        with running(command, port):
            home = url.replace(f":{target}/", f":{port}/").removesuffix("index.m3u8")
            viewers = [Viewer(home, time.monotonic() + 10.0) for _ in range(40)]
            for viewer in viewers:
                viewer.start()
            for viewer in viewers:
                viewer.join(60.0)
    assert [viewer.failed for viewer in viewers if viewer.failed] == []
    assert min([viewer.parts for viewer in viewers]) > 25
    asked = [line.split() for line in (tmp_path / "access.log").read_text().splitlines()]
    fates = Counter(fate for fate, _ in asked)
    assert fates["HIT"] / len(asked) > 0.95, fates
    fetched = Counter(path for fate, path in asked if fate != "HIT" and path.endswith(".mp4"))
    assert max(fetched.values()) == 1, fetched
