"""Caddy before rtmpd, as deploy/public has them, with an authority of its own in place of Let's Encrypt."""

from __future__ import annotations

import re
import shutil
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ffmpeg import FFmpeg, Running
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from proxies import free_port
from rtmpd_process import RtmpdProcess, rtmpd
from tools import find_tool

pytestmark = pytest.mark.interop

CADDYFILE = Path(__file__).parents[2] / "deploy" / "public" / "Caddyfile"
TIMEOUT = 30.0


class Front:
    """Caddy in a folder of its own, and where it puts what."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "http.sock"
        store = folder / "data" / "caddy"
        self.root = store / "pki" / "authorities" / "local" / "root.crt"
        self.chain = store / "certificates" / "local" / "localhost" / "localhost.crt"
        text = CADDYFILE.read_text().replace("cert_issuer acme", "cert_issuer internal\n\tskip_install_trust")
        text = text.replace("/run/rtmpd/http.sock", str(self.socket))
        text = re.sub(r"https_port \d+", f"https_port {self.port}", text)
        (folder / "Caddyfile").write_text(re.sub(r"http_port \d+", f"http_port {free_port()}", text))

    @contextmanager
    def running(self) -> Iterator[Running]:
        variables = (f"XDG_{kind}_HOME={self.folder / kind.lower()}" for kind in ("DATA", "CONFIG"))
        run = ("run", "--adapter", "caddyfile", "--config", str(self.folder / "Caddyfile"))
        process = Running(["env", "DOMAIN=localhost", *variables, find_tool("caddy"), *run])
        try:
            deadline = time.monotonic() + TIMEOUT
            while not (self.chain.exists() and self.chain.with_suffix(".key").exists()):
                assert process.running(), str(process)
                assert time.monotonic() < deadline, str(process)
                time.sleep(0.05)
            yield process
        finally:
            process.close()

    @contextmanager
    def server(self) -> Iterator[RtmpdProcess]:
        pair = f'[{{"chain_file": "{self.chain}", "key_file": "{self.chain.with_suffix(".key")}"}}]'
        listen = f"http.listen=unix:{self.socket}"
        with rtmpd("rtmps.listen=127.0.0.1:0", f"rtmps.certificates={pair}", listen) as server:
            yield server

    def ask(self, path: str) -> list[str]:
        """Status, version of HTTP, and type of what is at ``path``."""
        url = f"https://localhost:{self.port}{path}"
        form = "%{http_code}|%{http_version}|%{content_type}"
        options = ("--silent", "--http2", "--cacert", str(self.root), "--max-time", "10", "--output")
        process = Running([find_tool("curl"), *options, str(self.folder / "body"), "--write-out", form, url])
        try:
            process.wait(TIMEOUT)
            return process.log().split("|")
        finally:
            process.close()


@pytest.fixture
def front(tmp_path: Path) -> Front:
    find_tool("caddy")
    return Front(tmp_path)


def test_its_certificate_is_that_of_rtmps_and_streams_come_by_http_2(
    front: Front, clip: ClipMaker, debian_ffmpeg: FFmpeg
) -> None:
    with front.running(), front.server() as server:
        assert front.chain.with_suffix(".key").stat().st_mode & 0o777 == 0o600
        trust = ("-tls_verify", "1", "-ca_file", str(front.root))
        url = f"rtmps://localhost:{server.port('rtmps')}/live/cam"
        encoder = debian_ffmpeg.command(
            "-re", "-i", str(clip(H264_AAC)), "-c", "copy", "-f", "flv", *trust, url
        )
        publisher = Running(encoder)
        try:
            started = server.log.wait_for({"event": "publish started"})
            assert started["client"] == "127.0.0.1"
            assert front.ask("/live/cam.flv")[:2] == ["200", "2"]
        finally:
            publisher.close()
        # Caddy has said for whom it asks.
        assert server.log.wait_for({"event": "play started"})["client"] == "127.0.0.1"


def test_a_certificate_that_is_renewed_is_shown_to_who_comes_next(front: Front) -> None:
    with front.running():
        pass
    with front.server() as server:
        address = ("localhost", server.port("rtmps"))
        before = ssl.get_server_certificate(address)
        shutil.rmtree(front.chain.parent)
        with front.running():
            server.log.wait_for({"event": "certificates reloaded"}, timeout=TIMEOUT)
            assert ssl.get_server_certificate(address) != before
