"""Whoever watches by whatever way is in the session table, may be thrown out, and leaves a record."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_kit import run_here
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

ROOM = 64 * 1024 * 1024
"""More than a connection holds whose client reads nothing."""


@pytest.fixture
def config(tmp_path: Path, clip: ClipMaker) -> Path:
    """Of a server with files; ``film`` is what somebody has recorded, and a lot behind it."""
    for name in ("files", "state"):
        (tmp_path / name).mkdir()
    film = tmp_path / "files" / "film.flv"
    film.write_bytes(clip(H264_AAC).read_bytes())
    (tmp_path / "files" / "short.flv").write_bytes(film.read_bytes())
    with film.open("r+b") as file:
        file.truncate(ROOM)
    path = tmp_path / "rtmpd.toml"
    path.write_text(
        f"""
        state.dir = "{tmp_path / "state"}"
        access_log.path = "{tmp_path / "access.log"}"
        compat.mediamtx.admin = true
        compat.nginx_rtmp.admin = true
        [apps.live.vod]
        root = "{tmp_path / "files"}"
        """
    )
    return path


def ask(server: RtmpdProcess, path: str) -> socket.socket:
    """Somebody who asks for it, has got the head, and reads nothing more."""
    client = socket.create_connection(("127.0.0.1", server.port("http")), 20)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 200 ")
    return client


def rest(client: socket.socket) -> int:
    """Bytes up to the end of the connection."""
    with client:
        size = 0
        while data := client.recv(1 << 20):
            size += len(data)
        return size


def call(server: RtmpdProcess, method: str, path: str) -> None:
    url = f"http://127.0.0.1:{server.port('admin')}{path}"
    request = urllib.request.Request(url, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10):
        pass


def find(items: Callable[[], list[dict[str, Any]]], **wanted: object) -> dict[str, Any]:
    """The one with these fields, once there is one."""
    until = time.monotonic() + 10
    while True:
        there = items()
        found = [each for each in there if wanted.items() <= each.items()]
        if found:
            return found[0]
        assert time.monotonic() < until, f"nothing with {wanted} in {there}"
        time.sleep(0.02)


def test_whoever_watches_is_known_can_be_thrown_out_and_leaves_a_record(
    config: Path, clip: ClipMaker, tmp_path: Path
) -> None:
    def records() -> list[dict[str, Any]]:
        return [
            {"protocol": each["protocol"], "reason": each["reason"], "bytes_out": each["bytes_out"], **use}
            for each in json.loads(server.get("/api/v1/records"))["items"]
            for use in each["uses"]
        ]

    with rtmpd("http.listen=127.0.0.1:0", environment={"RTMPD_CONFIG": str(config)}) as server:
        with bundled().publish(clip(H264_AAC), server.url("show"), loop=True) as encoder:
            server.log.wait_for({"event": "publish started"})
            viewer = ask(server, "/live/show.flv")
            there = find(
                lambda: json.loads(server.get("/v3/rtmpconns/list"))["items"], path="live/show", state="read"
            )
            call(server, "POST", f"/v3/rtmpconns/kick/{there['id']}")
            assert rest(viewer) > 0
            encoder.stop()
        kicked = find(records, name="show", action="play")
        assert (kicked["protocol"], kicked["reason"], kicked["file"]) == ("http-flv", "kicked", False)

        size = (tmp_path / "files" / "short.flv").stat().st_size
        assert rest(ask(server, "/live/short.flv")) == size
        whole = find(records, name="short")
        assert (whole["protocol"], whole["reason"], whole["file"]) == ("http-flv", "finished", True)
        assert whole["bytes"] == size < whole["bytes_out"]

        viewer = ask(server, "/live/film.flv")
        (session,) = json.loads(server.get("/api/v1/sessions?stream=live/film"))["items"]
        assert (session["kind"], session["uses"][0]["file"]) == ("player", True)
        assert "<play>" in server.get("/stat")
        call(server, "POST", f"/api/v1/sessions/{session['id']}/kick")
        assert rest(viewer) < ROOM
        assert find(records, name="film")["reason"] == "kicked"
        assert_clean_exit(server)
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    logged = {
        use["name"]: each["protocol"] for each in lines for use in each["uses"] if use["action"] == "play"
    }
    assert logged == dict.fromkeys(("show", "short", "film"), "http-flv")
    code, out, _ = run_here("report", "--json", "--config", str(config))
    assert code == 0
    reported = {each["name"]: each for each in json.loads(out)["items"]}
    assert reported["short"]["bytes_out"] == size
    assert reported["film"]["file_minutes"] >= 0


def test_who_waits_for_what_is_shown_later_does_not_wait_for_nobody(tmp_path: Path, clip: ClipMaker) -> None:
    path = tmp_path / "rtmpd.toml"
    path.write_text('[apps.live]\ndelay = "4s"\n[apps.live.player]\nwait_timeout = "1s"\n')
    with rtmpd("http.listen=127.0.0.1:0", environment={"RTMPD_CONFIG": str(path)}) as server:
        with bundled().publish(clip(H264_AAC), server.url("show"), loop=True) as encoder:
            server.log.wait_for({"event": "publish started"})
            ask(server, "/live/show.flv").close()  # It has got a picture, and no 404.
            encoder.stop()
        assert_clean_exit(server)
