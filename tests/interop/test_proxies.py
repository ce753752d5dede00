"""rtmpd behind HAProxy and nginx: ffmpeg and curl pass, and the log has their addresses."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from ffmpeg import FFmpeg, start
from live_fixtures import ClipMaker
from media_clips import H264_AAC
from proxies import ADDRESS, find_stream_module, haproxy, nginx_stream
from rtmpd_process import RtmpdProcess, rtmpd
from tools import find_tool, missing

pytestmark = pytest.mark.interop

TRUST = f"network.trusted_proxies={ADDRESS}"
REQUIRED = "127.0.0.1:0 proxy=require"


class Certificate:
    """For localhost, as files."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        self.chain, self.key, self.both = folder / "chain.pem", folder / "key.pem", folder / "both.pem"
        self.chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.both.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        self.setting = f'rtmps.certificates=[{{"chain_file": "{self.chain}", "key_file": "{self.key}"}}]'


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def front_of(stack: ExitStack, kind: str, folder: Path, target: str, certificate: Certificate | None) -> int:
    """The port of a proxy of some kind, where TLS ends with a certificate."""
    if kind == "nginx":
        module = find_stream_module()
        if module is None:
            missing("libnginx-mod-stream is not installed; .ci/run installs it")
        pair = (certificate.chain, certificate.key) if certificate else None
        return stack.enter_context(nginx_stream(find_tool("nginx"), module, folder, target, certificate=pair))
    both = certificate.both if certificate else None
    program = find_tool("haproxy")
    return stack.enter_context(haproxy(program, folder, target, f"{kind} check", certificate=both))


def publish(ffmpeg: FFmpeg, clip: ClipMaker, url: str) -> None:
    with start(*ffmpeg.command("-i", str(clip(H264_AAC)), "-c", "copy", "-f", "flv", url)) as encoder:
        encoder.succeed(timeout=20)


def publisher_of(server: RtmpdProcess) -> object:
    return server.log.wait_for({"event": "publish started"})["client"]


KINDS = ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn", "nginx"]


@pytest.mark.parametrize("ends_tls", [False, True], ids=["plain", "tls ends there"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_is_who_it_is(
    stack: ExitStack,
    kind: str,
    ends_tls: bool,
    certificate: Certificate,
    clip: ClipMaker,
    tmp_path: Path,
    debian_ffmpeg: FFmpeg,
) -> None:
    server = stack.enter_context(rtmpd(f"rtmp.listen={REQUIRED}", TRUST))
    target = f"127.0.0.1:{server.port('rtmp')}"
    port = front_of(stack, kind, tmp_path, target, certificate if ends_tls else None)
    publish(debian_ffmpeg, clip, f"{'rtmps' if ends_tls else 'rtmp'}://localhost:{port}/live/cam")
    assert publisher_of(server) == "127.0.0.1"
    assert not server.log.find({"event": "PROXY header refused"})


@pytest.mark.parametrize("kind", KINDS)
def test_tls_passes_behind_the_header(
    stack: ExitStack,
    kind: str,
    certificate: Certificate,
    clip: ClipMaker,
    tmp_path: Path,
    debian_ffmpeg: FFmpeg,
) -> None:
    server = stack.enter_context(rtmpd(f"rtmps.listen={REQUIRED}", certificate.setting, TRUST))
    port = front_of(stack, kind, tmp_path, f"127.0.0.1:{server.port('rtmps')}", None)
    publish(debian_ffmpeg, clip, f"rtmps://localhost:{port}/live/cam")
    assert publisher_of(server) == "127.0.0.1"


def test_through_a_unix_socket(
    stack: ExitStack,
    clip: ClipMaker,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    debian_ffmpeg: FFmpeg,
) -> None:
    path = tmp_path_factory.mktemp("u") / "rtmp.sock"
    listen = f'rtmp.listen=["127.0.0.1:0", "unix:{path} mode=0666 proxy=require"]'
    server = stack.enter_context(rtmpd(listen))
    port = front_of(stack, "send-proxy-v2", tmp_path, f"unix@{path}", None)
    publish(debian_ffmpeg, clip, f"rtmp://localhost:{port}/live/cam")
    assert publisher_of(server) == "127.0.0.1"


@pytest.mark.parametrize("kind", ["send-proxy-v2", "nginx"])
def test_a_proxy_that_is_not_named_is_told(stack: ExitStack, kind: str, tmp_path: Path) -> None:
    server = stack.enter_context(rtmpd(f"rtmp.listen={REQUIRED}", "network.trusted_proxies=192.0.2.1"))
    front_of(stack, kind, tmp_path, f"127.0.0.1:{server.port('rtmp')}", None)
    line = server.log.wait_for({"event": "PROXY header refused", "reason": "proxy_untrusted"})
    assert line["detail"] == "if this is a proxy of yours, name its address in network.trusted_proxies"


def test_health_checks_are_no_failures(stack: ExitStack, tmp_path: Path) -> None:
    server = stack.enter_context(rtmpd(f"rtmp.listen={REQUIRED}", TRUST))
    front_of(stack, "send-proxy-v2 check inter 50ms", tmp_path, f"127.0.0.1:{server.port('rtmp')}", None)
    server.log.wait_for({"event": "closed", "client": ADDRESS}, 5)
    page = server.get("/metrics").splitlines()
    failures = [each for each in page if each.startswith("rtmpd_handshake_failures_total{")]
    assert [each for each in failures if not each.endswith(" 0.0")] == []
    assert not server.log.find({"event": "PROXY header refused"})


def test_http_behind_haproxy(stack: ExitStack, tmp_path: Path) -> None:
    listen = 'admin.listen=["127.0.0.1:0", "127.0.0.1:0 proxy=require"]'
    server = stack.enter_context(rtmpd(listen, TRUST))
    server.log.wait_for({"event": "listening", "protocol": "admin"}, 2)
    ports = [line["port"] for line in server.log.find({"event": "listening", "protocol": "admin"})]
    for name, options, mode in (
        ("header", "send-proxy-v2", "tcp"),
        ("forwarded", "", "http"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        target = f"127.0.0.1:{ports[0] if mode == 'http' else ports[1]}"
        port = stack.enter_context(haproxy(find_tool("haproxy"), folder, target, options, mode=mode))
        with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=5) as response:
            assert response.status == 200


def test_the_client_is_who_it_is_until_it_leaves(
    stack: ExitStack, clip: ClipMaker, tmp_path: Path, debian_ffmpeg: FFmpeg
) -> None:
    """Access rules are about it: the proxy's own address is denied."""
    server = stack.enter_context(
        rtmpd(f"rtmp.listen={REQUIRED}", TRUST, f"apps.live.publish.deny_ips={ADDRESS}")
    )
    port = front_of(stack, "send-proxy-v2", tmp_path, f"127.0.0.1:{server.port('rtmp')}", None)
    publish(debian_ffmpeg, clip, f"rtmp://localhost:{port}/live/cam")
    ended = server.log.wait_for({"event": "publish ended"})
    assert ended["client"] == "127.0.0.1"
