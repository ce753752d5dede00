"""JSON Web Tokens in the real server: keys over TLS, ffmpeg with a token, links for tokens."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from command_kit import run_here
from cryptography.hazmat.primitives.asymmetric import ed25519
from ffmpeg import bundled
from live_fixtures import ClipMaker
from media_clips import H264_AAC, VIDEO_FRAMES
from rtmpd_process import RtmpdProcess
from rtmpd_process import rtmpd as start

import rtmpd
from rtmpd.exceptions import PublishRejected

ISSUER = "https://id.example.com/"
SECRET = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
KEY = ed25519.Ed25519PrivateKey.generate()


class Keys(BaseHTTPRequestHandler):
    """The issuer's key set."""

    def do_GET(self) -> None:
        public = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(KEY.public_key()))
        body = json.dumps({"keys": [{**public, "kid": "1"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Trusting:
    """A server that trusts an issuer, and the file with its settings."""

    process: RtmpdProcess
    config: Path

    @property
    def url(self) -> str:
        return f"rtmp://127.0.0.1:{self.process.port('rtmp')}"


def token(streams: str, seconds: float = 60, **more: Any) -> str:
    now = time.time()
    claims = {"iss": ISSUER, "aud": "rtmpd", "exp": now + seconds, "sub": "mia", "streams": streams}
    return jwt.encode(claims | more, KEY, "EdDSA", headers={"kid": "1"})


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[str]:
    """Where the keys are; ca.pem vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    site = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"https://localhost:{site.server_address[1]}/keys"
    site.shutdown()
    site.server_close()


@pytest.fixture
def server(issuer: str, tmp_path: Path) -> Iterator[Trusting]:
    path = tmp_path / "rtmpd.toml"
    trust = f"""
        issuer = "{ISSUER}"
        audience = "rtmpd"
        algorithms = ["EdDSA"]
        jwks = "{issuer}"
        ca_file = "{tmp_path / "ca.pem"}"
    """
    path.write_text(
        f"""
        [apps.live.publish.jwt]
        {trust}
        [apps.live.play.jwt]
        {trust}
        [apps.live.publish.signed_urls]
        secrets = ["{SECRET}"]
        """
    )
    with start("log.trace=127.0.0.0/8", environment={"RTMPD_CONFIG": str(path)}) as process:
        yield Trusting(process, path)
        assert process.terminate() == 0


def test_ffmpeg_publishes_and_plays_with_tokens(server: Trusting, clip: ClipMaker, tmp_path: Path) -> None:
    copy, url = tmp_path / "copy.flv", f"{server.url}/live/show"
    with bundled().pull(f"{url}?jwt={token('play:live/*')}", copy) as player:
        server.process.wait_for_plays(url)
        with bundled().publish(clip(H264_AAC), f"{url}?jwt={token('publish:live/show')}", rate=4) as encoder:
            encoder.succeed(timeout=20)
        player.succeed(timeout=10)
    assert bundled().count_frames(copy)["video"] == VIDEO_FRAMES
    (line,) = server.process.log.find({"event": "publish started"})
    assert line["account"] == "mia"


def test_ffmpeg_with_a_token_for_something_else_ends_and_says_why(server: Trusting, clip: ClipMaker) -> None:
    url = f"{server.url}/live/show?jwt={token('play:live/show publish:live/other')}"
    with bundled().publish(clip(H264_AAC), url) as encoder:
        assert encoder.wait(timeout=10) != 0
        assert "This token does not allow you to publish this very stream" in encoder.log()


async def test_a_token_is_exchanged_for_a_short_link_and_nothing_is_shown(
    server: Trusting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, late = token("publish:live/show", 30), token("publish:live/show", -1)
    (tmp_path / "token").write_text(f"{good}\n")
    arguments = ("-c", str(server.config), "--server", server.url, "--jwt", str(tmp_path / "token"))
    status, link, _ = await asyncio.to_thread(run_here, "token", "publish", "show", *arguments)
    assert status == 0
    assert 0 <= time.time() + 30 - int(link.partition("exp=")[2].partition("&")[0]) < 10
    async with await rtmpd.connect(link.strip()) as encoder:
        await encoder.publish()
    for wanted in ("other", "show"):
        (tmp_path / "token").write_text(late if wanted == "show" else good)
        status, _, told = await asyncio.to_thread(run_here, "token", "publish", wanted, *arguments)
        assert status == 1
        assert ("has expired" if wanted == "show" else "does not allow") in told
        assert late not in told
    with pytest.raises(PublishRejected, match="has expired"):
        async with await rtmpd.connect(f"{server.url}/live/show?jwt={late}") as encoder:
            await encoder.publish()
    monkeypatch.setitem(os.environ, "RTMPD_CONFIG", str(server.config))
    status, shown, _ = await asyncio.to_thread(run_here, "check")
    assert status == 0
    metrics = server.process.get("/metrics")
    assert "rtmpd_jwks_age_seconds" in metrics
    assert server.process.log.find({"event": "jwks read", "keys": 1})
    assert server.process.log.find({"event": "trace"})
    everything = str(server.process.log) + shown + metrics
    assert not [secret for secret in (good, late, SECRET, good.rpartition(".")[2]) if secret in everything]
