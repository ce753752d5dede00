"""Debian's ffmpeg over TLS, with an authority of our own: it checks what it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from ffmpeg import FFmpeg, bundled, start
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from rtmpd_process import RtmpdProcess, rtmpd

pytestmark = pytest.mark.interop

Serve = Callable[..., tuple[RtmpdProcess, str]]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serve(authority: trustme.CA, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server with a certificate for some names; it and the beginning of its URLs."""
    running = []

    def start_one(*names: str, **validity: datetime) -> tuple[RtmpdProcess, str]:
        issued = authority.issue_cert(*names, **validity)
        chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
        chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        pair = f'[{{"chain_file": "{chain}", "key_file": "{key}"}}]'
        block = rtmpd("rtmps.listen=127.0.0.1:0", f"rtmps.certificates={pair}")
        server = block.__enter__()
        running.append(block)
        return server, f"rtmps://localhost:{server.port('rtmps')}/live/"

    yield start_one
    for block in running:
        block.__exit__(None, None, None)


def trusting(authority: trustme.CA, tmp_path: Path) -> tuple[str, ...]:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return ("-tls_verify", "1", "-ca_file", str(tmp_path / "ca.pem"))


def test_ffmpeg_publishes_and_plays(
    serve: Serve, authority: trustme.CA, clip: ClipMaker, tmp_path: Path, debian_ffmpeg: FFmpeg
) -> None:
    server, urls = serve("localhost")
    trust, source, copy = trusting(authority, tmp_path), clip(H264_AAC), tmp_path / "copy.flv"
    labels = {"state": "waiting"}
    player = debian_ffmpeg.command(
        *trust, "-i", f"{urls}cam", "-map", "0", "-c", "copy", "-f", "flv", str(copy)
    )
    encoder = debian_ffmpeg.command(
        "-readrate", "2", "-i", str(source), "-map", "0", "-c", "copy", "-f", "flv", *trust, f"{urls}cam"
    )
    with start(*player) as playing:
        server.wait_for_metric("rtmpd_players", lambda value: value == 1, **labels)
        with start(*encoder) as publishing:
            publishing.succeed(timeout=20)
        playing.succeed(timeout=15)
    sent, received = bundled().packets(source), bundled().packets(copy)
    assert received.payloads("video") == sent.payloads("video")


@pytest.mark.parametrize("wrong", ["authority", "name", "expired"])
def test_ffmpeg_refuses_what_it_cannot_trust(
    serve: Serve, authority: trustme.CA, clip: ClipMaker, tmp_path: Path, debian_ffmpeg: FFmpeg, wrong: str
) -> None:
    validity = {}
    if wrong == "expired":
        validity = {
            "not_before": datetime(2019, 1, 1, tzinfo=UTC),
            "not_after": datetime(2020, 1, 1, tzinfo=UTC),
        }
    server, urls = serve("elsewhere.test" if wrong == "name" else "localhost", **validity)
    trust = trusting(trustme.CA() if wrong == "authority" else authority, tmp_path)
    encoder = debian_ffmpeg.command(
        "-i", str(clip(H264_AAC)), "-c", "copy", "-f", "flv", *trust, f"{urls}cam"
    )
    with start(*encoder) as publishing:
        assert publishing.wait(timeout=15) != 0
    assert server.metric("rtmpd_publishes_total") == 0
