"""The probe: a server that works, and all the ways in which one does not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trustme
from client_kit import AVC_HEADER, Peer, Script, accept, keyframe, real_server, scripted_server, stranger

from rtmpd.client.connect import connect
from rtmpd.exceptions import (
    ConnectFailed,
    ConnectionClosed,
    HandshakeError,
    ProbeFailed,
    PublishRejected,
    RequestTimeout,
    RtmpdError,
    UsageError,
)
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import ConnectRequested, PlayRequested, PublishRequested, ServerEvent
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools.probe import Probe, ProbeReport

AUDIO, VIDEO = 8, 9


def probe(url: str, timeout: float = 5.0, ca_file: str | None = None) -> Probe:
    return Probe(RtmpUrl.parse(url), partial(connect, timeout=timeout, ca_file=ca_file), timeout)


async def test_a_server_that_works() -> None:
    async with real_server() as port:
        report = await probe(f"rtmp://127.0.0.1:{port}/live").round_trip()
    assert report.packets > 70
    assert 0 < report.round_trip < report.total < 1.0


async def test_every_probe_has_a_name_of_its_own() -> None:
    names: list[str] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PublishRequested):
            names.append(event.name)
            peer.session.reject_publish(event.stream_id, StatusCode.PUBLISH_BAD_NAME, "seen", 0)
        else:
            accept(peer, event)

    async with scripted_server(script) as server:
        for _ in range(2):
            with pytest.raises(PublishRejected):
                await probe(server.url).round_trip()
        with pytest.raises(PublishRejected):
            await probe(f"{server.url}/health?token=x").round_trip()
    assert names[0].startswith("probe-")
    assert len(set(names)) == 3
    assert names[2] == "health"


async def test_a_query_of_the_url_goes_with_the_app_or_with_the_name() -> None:
    heard: list[tuple[str, str]] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        match event:
            case ConnectRequested():
                heard.append(("app", event.params.app_query))
                accept(peer, event)
            case PublishRequested():
                heard.append(("name", event.query))
                peer.session.reject_publish(event.stream_id, StatusCode.PUBLISH_BAD_NAME, "no", 0)
            case _:
                accept(peer, event)

    async with scripted_server(script) as server:
        for url in (f"{server.url}?token=x", f"{server.url}/health?token=x"):
            with pytest.raises(PublishRejected):
                await probe(url).round_trip()
    assert heard == [
        ("app", "token=x"), ("app", "token=x"), ("name", ""),
        ("app", ""), ("app", ""), ("name", "token=x"),
    ]  # fmt: skip


# Servers that do not work


class Mirror:
    """A server that passes media on to its player through ``change``."""

    def __init__(self, change: Callable[[Message], list[Message]]) -> None:
        self._change = change
        self._held: list[Message] = []
        self._player: Peer | None = None

    def __call__(self, peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, PlayRequested):
            self._player = peer
        elif isinstance(event, Message) and event.type in (AUDIO, VIDEO):
            self._held += self._change(event)
        if self._player is not None:
            for message in self._held:
                self._player.session.send_message(message, 6)
            self._held.clear()
            self._player.flush()


def frame_number(number: int, change: Callable[[Message], list[Message]]) -> Script:
    """A Mirror with a fault at one video message; number 0 is the sequence header."""
    seen = 0

    def at(message: Message) -> list[Message]:
        nonlocal seen
        if message.type == VIDEO:
            seen += 1
            if seen == number + 1:
                return change(message)
        return [message]

    return Mirror(at)


def spoilt(message: Message) -> list[Message]:
    message.payload = message.payload[:-1] + b"\0"
    return [message]


async def test_a_mirror_is_good_enough() -> None:
    async with scripted_server(Mirror(lambda message: [message])) as server:
        assert (await probe(server.url).round_trip()).packets > 70


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (frame_number(5, spoilt), "video packets came back changed"),
        (frame_number(5, lambda message: []), "video packets are lost"),
        (frame_number(5, lambda message: [message, message]), "video packets came back changed"),
        (frame_number(0, spoilt), "video sequence header came back changed"),
        (frame_number(0, lambda message: []), "video sequence header did not come back"),
    ],
)
async def test_media_that_is_lost_or_changed(script: Script, words: str) -> None:
    async with scripted_server(script) as server:
        with pytest.raises(ProbeFailed, match=words):
            await probe(server.url, 2.0).round_trip()


async def test_media_that_never_comes() -> None:
    async with scripted_server() as server:
        with pytest.raises(RequestTimeout, match=r"no key frame back within 0\.2 s"):
            await probe(server.url, 0.2).round_trip()
        assert [await peer.closed.wait() for peer in server.peers]


async def fails(attempt: Awaitable[ProbeReport], kind: type[RtmpdError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        await attempt
    assert "\n" not in str(caught.value)


async def test_a_dead_port(unused_tcp_port: int) -> None:
    attempt = probe(f"rtmp://127.0.0.1:{unused_tcp_port}/live").round_trip()
    await fails(attempt, ConnectFailed, "Connection refused")


async def test_a_port_that_says_nothing_or_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live"
        await fails(probe(url, 0.1).round_trip(), RequestTimeout, "within 0.1 s")

    async with stranger(b"") as url:
        await fails(probe(url).round_trip(), ConnectionClosed, "closed|broke")


async def test_an_http_port() -> None:
    async with stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        await fails(probe(url).round_trip(), HandshakeError, "HTTP")


async def test_a_name_that_is_taken() -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live/cam"
        async with await connect(url) as other:
            await other.publish()
            await fails(probe(url).round_trip(), PublishRejected, "refused to publish cam")


async def test_tls_and_the_name_that_it_proves(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with real_server(context) as port:
        report = await probe(f"rtmps://localhost:{port}/live", ca_file=str(ca_file)).round_trip()
        assert report.packets
        attempt = probe(f"rtmps://127.0.0.1:{port}/live", ca_file=str(ca_file)).round_trip()
        await fails(attempt, ConnectFailed, "cannot be trusted: IP address mismatch")


# Playing only


async def test_play_only_waits_for_a_picture() -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live/cam"
        async with await connect(url) as source:
            publisher = await source.publish()
            await publisher.send_video(AVC_HEADER, 0)
            await publisher.send_audio(b"\x2f sound that is not enough where there are pictures", 0)
            with pytest.raises(RequestTimeout, match=r"no picture or sound within 0\.2 s"):
                await probe(url, 0.2).play_only()
            await publisher.send_video(keyframe(), 40)
            report = await probe(url).play_only()
    assert (report.packets, report.round_trip > 0) == (0, True)


async def test_play_only_takes_sound_where_there_are_no_pictures() -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live/cam"
        async with await connect(url) as source:
            publisher = await source.publish()
            await publisher.send_audio(b"\x2f sound", 0)
            await probe(url).play_only()


async def test_play_only_needs_a_name_and_a_stream_that_goes_on() -> None:
    with pytest.raises(UsageError, match="names no stream"):
        await probe("rtmp://127.0.0.1/live").play_only()

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, PlayRequested):
            peer.flush()
            peer.transport.close()

    async with scripted_server(script) as server:
        with pytest.raises(ProbeFailed, match="ended before"):
            await probe(f"{server.url}/cam").play_only()
