"""The asyncio client over real sockets: against the real server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme
import uvloop
from client_kit import AAC_HEADER, AVC_HEADER, Peer, accept, keyframe, real_server, scripted_server

import rtmpd
from rtmpd.exceptions import ChunkError
from rtmpd.rtmp import adobe_auth, commands, control
from rtmpd.rtmp.amf import AmfValue, EcmaArray, encode_values
from rtmpd.rtmp.constants import StatusCode, StatusLevel
from rtmpd.rtmp.events import (
    ConnectRequested,
    PauseRequested,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ReceiveAudio,
    ReceiveVideo,
    ServerEvent,
)
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import parse_query

VIDEO, AUDIO, DATA = 9, 8, 18


async def publish_some(connection: rtmpd.Connection, name: str = "cam") -> rtmpd.Stream:
    stream = await connection.publish(name)
    await stream.send_metadata({"width": 640.0})
    await stream.send_video(AVC_HEADER, 0)
    await stream.send_audio(AAC_HEADER, 0)
    await stream.send_video(keyframe(), 40)
    return stream


# The real server


async def roundtrip(handshake: str = "simple") -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live"
        async with await rtmpd.connect(url) as source, await rtmpd.connect(url) as sink:
            player = await sink.play("cam")
            stream = await publish_some(source)
            await stream.send_audio(b"\xaf\x01sound", 41)
            seen: list[rtmpd.Message] = []
            async for packet in player:
                seen.append(packet)
                if packet.payload == b"\xaf\x01sound":
                    await stream.close()
            media = [(m.type, m.timestamp, m.payload) for m in seen if m.type != DATA]
            assert media == [
                (VIDEO, 0, AVC_HEADER),
                (AUDIO, 0, AAC_HEADER),
                (VIDEO, 40, keyframe()),
                (AUDIO, 41, b"\xaf\x01sound"),
            ]
            metadata = encode_values("onMetaData", EcmaArray(width=640.0))
            assert metadata in [m.payload for m in seen]


async def test_publish_and_play() -> None:
    await roundtrip()


def test_publish_and_play_on_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(roundtrip())


async def test_the_url_names_the_stream() -> None:
    async with scripted_server() as server:
        async with await rtmpd.connect(f"{server.url}/cam?token=x") as connection:
            await connection.publish()
            stream = await connection.create_stream()
            await stream.play()
        heard = server.peers[0].heard
    connect = next(event for event in heard if isinstance(event, ConnectRequested))
    assert (connect.params.app, connect.params.app_query) == ("live", "")
    assert PublishRequested(1, "cam", "token=x", "live") in heard
    assert PlayRequested(2, "cam", "token=x", -2.0, -1.0, False) in heard


async def test_a_query_behind_the_app_is_the_apps() -> None:
    async with scripted_server() as server, await rtmpd.connect(f"{server.url}?token=a/b"):
        connect = next(e for e in server.peers[0].heard if isinstance(e, ConnectRequested))
    assert (connect.params.app, connect.params.app_query) == ("live", "token=a/b")
    assert connect.params.tc_url == f"{server.url}?token=a/b"


async def test_digest_handshake() -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live"
        async with await rtmpd.connect(url, handshake="digest", verify_handshake=True) as connection:
            assert connection.state is rtmpd.ConnectionState.CONNECTED


async def test_info_tells_the_servers_capabilities() -> None:
    async with real_server() as port:
        params = rtmpd.ConnectParams(four_cc_list=("hvc1",), caps_ex=rtmpd.CapsEx.MODEX)
        url = f"rtmp://127.0.0.1:{port}/live"
        async with await rtmpd.connect(url, params=params) as connection:
            info = connection.info
            assert info.fms_ver.startswith("FMS/")
            assert info.caps_ex & rtmpd.CapsEx.MULTITRACK
            assert dict(info.video_four_cc_info_map) == {"*": 4}
            assert connection.get_extra_info("peername")[1] == port


async def test_calls() -> None:
    async with real_server() as port, await rtmpd.connect(f"rtmp://127.0.0.1:{port}/live") as connection:
        assert await connection.call("getStreamLength", "cam") == (0.0,)
        with pytest.raises(rtmpd.CallFailed) as caught:
            await connection.call("nonsense")
        assert caught.value.code == StatusCode.CALL_FAILED
        assert "nonsense" in caught.value.description
        await connection.notify("nonsense")
        await connection.set_chunk_size(4096)
        await connection.set_window_ack_size(1_000_000)
        await connection.set_peer_bandwidth(1_000_000)
        await connection.send_user_control(control.SetBufferLength(0, 300))
        assert await connection.call("getStreamLength", "cam") == (0.0,)


async def test_a_busy_name_is_refused() -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live/cam?token=secret"
        async with await rtmpd.connect(url) as first, await rtmpd.connect(url) as second:
            await publish_some(first)
            with pytest.raises(rtmpd.PublishRejected) as caught:
                await second.publish()
            assert caught.value.code == StatusCode.PUBLISH_BAD_NAME
            assert caught.value.description in str(caught.value)
            assert "secret" not in str(caught.value)


async def test_player_controls() -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live"
        async with await rtmpd.connect(url) as source, await rtmpd.connect(url) as sink:
            stream = await publish_some(source)
            player = await sink.play("cam")
            await player.pause()
            await player.resume()
            await player.seek(1000)
            await player.receive_audio(False)
            await player.receive_video(True)
            await player.set_buffer_length(100)
            await player.notify("nonsense")
            assert (await anext(player)).type in (VIDEO, AUDIO, DATA)
            await player.close()
            await player.close()
            assert [packet async for packet in player] == []
            with pytest.raises(rtmpd.UsageError):
                await player.play("cam")
            await stream.send_video(keyframe(), 80)


async def test_play_again_after_the_end() -> None:
    async with real_server() as port:
        url = f"rtmp://127.0.0.1:{port}/live"
        async with await rtmpd.connect(url) as source, await rtmpd.connect(url) as sink:
            player = await sink.play("cam")
            for _ in range(2):
                stream = await publish_some(source)
                assert (await anext(player)).type in (VIDEO, AUDIO, DATA)
                await stream.close()
                assert [packet async for packet in player][-1].payload == keyframe()
                await player.play("cam")


async def test_timestamps_default_to_the_clock() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        stream = await connection.publish("cam")
        await stream.send_audio(b"a")
        await stream.close()
        heard = await heard_until(server.peers[0], PublishEnded(1))
        [message] = [event for event in heard if isinstance(event, Message)]
        assert 0 <= message.timestamp < 5000


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_rtmps_with_a_private_authority(authority: trustme.CA, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with real_server(server_tls(authority, "localhost")) as port:
        url = f"rtmps://localhost:{port}/live"
        async with (
            await rtmpd.connect(url, ca_file=str(ca_file)) as source,
            await rtmpd.connect(url, ssl=context) as sink,
        ):
            player = await sink.play("cam")
            stream = await publish_some(source)
            await stream.send_video(keyframe(bytes(300_000)), 80)
            async for packet in player:
                if packet.timestamp == 80:
                    break
            assert packet.payload == keyframe(bytes(300_000))
        url = f"rtmps://127.0.0.1:{port}/live"
        async with await rtmpd.connect(url, ssl=context, server_hostname="localhost"):
            pass


async def test_rtmps_refuses_another_name(authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with real_server(server_tls(authority, "live.example")) as port:
        with pytest.raises(rtmpd.ConnectFailed, match=r"cannot be trusted.*not valid for 'localhost'"):
            await rtmpd.connect(f"rtmps://localhost:{port}/live", ssl=context)


async def test_rtmps_refuses_an_unknown_authority(authority: trustme.CA) -> None:
    async with real_server(server_tls(authority, "localhost")) as port:
        with pytest.raises(rtmpd.ConnectFailed, match=r"cannot be trusted: unable to get local issuer"):
            await rtmpd.connect(f"rtmps://localhost:{port}/live")


async def test_rtmps_to_a_plain_port() -> None:
    async with real_server() as port:
        with pytest.raises(rtmpd.ConnectFailed, match="TLS"):
            await rtmpd.connect(f"rtmps://127.0.0.1:{port}/live")


async def test_rtmp_to_a_tls_port(authority: trustme.CA) -> None:
    async with real_server(server_tls(authority, "localhost")) as port:
        with pytest.raises((rtmpd.HandshakeError, rtmpd.ConnectionClosed)):
            await rtmpd.connect(f"rtmp://127.0.0.1:{port}/live")


async def test_tls_settings_that_make_no_sense(authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    with pytest.raises(rtmpd.UsageError):
        await rtmpd.connect("rtmp://host/live", ssl=context)
    with pytest.raises(rtmpd.UsageError):
        await rtmpd.connect("rtmps://host/live", ssl=context, ca_file="x")
    with pytest.raises(rtmpd.ConnectFailed, match="no-such-file"):
        await rtmpd.connect("rtmps://host/live", ca_file="no-such-file")


# Not getting in


async def test_ipv6() -> None:
    try:
        async with (
            real_server(host="::1") as port,
            await rtmpd.connect(f"rtmp://[::1]:{port}/live") as connection,
        ):
            assert connection.get_extra_info("peername")[0] == "::1"
    except OSError:
        pytest.skip("this machine has no IPv6")


async def test_a_closed_port() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(rtmpd.ConnectFailed, match=f"127.0.0.1 port {port}: Connection refused"):
            await rtmpd.connect(f"rtmp://127.0.0.1:{port}/live")


async def test_names_that_are_none() -> None:
    with pytest.raises(rtmpd.ConnectFailed, match="cannot look up"):
        await rtmpd.connect(f"rtmp://{'a' * 64}.example/live")
    with pytest.raises(rtmpd.UsageError):
        await rtmpd.connect("http://host/live")
    with pytest.raises(rtmpd.UsageError):
        await rtmpd.connect("rtmp://host/live", handshake="both")  # type: ignore[arg-type] # on purpose


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def connect_to(handler: Handler, **options: float) -> rtmpd.Connection:
    """Connect to a server that is not one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        return await rtmpd.connect(f"rtmp://127.0.0.1:{port}/live?key=secret", **options)  # type: ignore[arg-type]
    finally:
        server.close()


async def test_an_http_port() -> None:
    async def http(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(rtmpd.HandshakeError) as caught:
        await connect_to(http)
    assert caught.value.reason == "http"


async def test_a_silent_port() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(rtmpd.RequestTimeout, match=r"\?\*\*\*: no handshake within 0.05 s") as caught:
        await connect_to(silent, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, rtmpd.RtmpdError)


async def test_a_port_that_hangs_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1537)
        writer.close()

    with pytest.raises(rtmpd.ConnectionClosed, match="in the handshake"):
        await connect_to(hang_up)


async def test_a_server_that_hangs_up_at_connect() -> None:
    def hang_up(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            peer.transport.close()

    async with scripted_server(hang_up) as server:
        with pytest.raises(rtmpd.ConnectionClosed, match="without an answer to connect"):
            await rtmpd.connect(server.url)


async def test_a_server_that_does_not_answer_connect() -> None:
    async with scripted_server(lambda _peer, _event: None) as server:
        with pytest.raises(rtmpd.RequestTimeout, match="no answer to connect within"):
            await rtmpd.connect(server.url, timeout=0.05)
        await server.peers[0].closed.wait()


async def test_connect_is_refused() -> None:
    def refuse(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            peer.session.reject_connect(StatusCode.CONNECT_INVALID_APP, "no such app", 0)

    async with scripted_server(refuse) as server:
        with pytest.raises(rtmpd.ConnectRejected, match="no such app") as caught:
            await rtmpd.connect(server.url)
        assert caught.value.code == StatusCode.CONNECT_INVALID_APP
        assert caught.value.description == "no such app"
        assert caught.value.info["level"] == "error"


async def test_cancelling_connect_closes_the_socket() -> None:
    async with scripted_server(lambda _peer, _event: None) as server:
        task = asyncio.create_task(rtmpd.connect(server.url))
        peer = await server.peer()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await peer.closed.wait()


async def test_a_connected_socket() -> None:
    async with scripted_server() as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        async with await rtmpd.connect("rtmp://elsewhere/live", sock=sock) as connection:
            assert connection.url.host == "elsewhere"


# Authentication and redirects

SECRET = bytes(32)
USERS = {"user": "pass", "o'neil&co": "p@ss"}


def guarded(peer: Peer, event: ServerEvent) -> None:
    """A server that wants Adobe's authentication; it keeps nothing between connections."""
    if not isinstance(event, ConnectRequested):
        return
    fields = parse_query(event.params.app_query)
    user = fields.get("user", "")
    if "authmod" not in fields:
        text = adobe_auth.NEED_AUTH
    elif "response" not in fields:
        text = adobe_auth.challenge_text(adobe_auth.make_challenge(SECRET, user, 1000))
    elif user not in USERS:
        text = adobe_auth.denial_text(adobe_auth.NO_SUCH_USER)
    elif not adobe_auth.verify(SECRET, fields, USERS[user], 1001, 30):
        text = adobe_auth.denial_text(adobe_auth.AUTH_FAILED)
    else:
        peer.session.accept_connect(0)
        return
    peer.session.reject_connect(StatusCode.CONNECT_REJECTED, text, 0)


@pytest.mark.parametrize(("user", "password"), USERS.items())
async def test_authentication(user: str, password: str) -> None:
    async with scripted_server(guarded) as server:
        url = f"{server.url}?vhost=x"
        async with await rtmpd.connect(url, user=user, password=password):
            assert len(server.peers) == 3
        apps = [e.params.app_query for p in server.peers for e in p.heard if isinstance(e, ConnectRequested)]
        assert apps[0] == "vhost=x"
        assert apps[1].startswith("vhost=x?authmod=adobe&user=")


async def test_authentication_from_the_url() -> None:
    async with (
        scripted_server(guarded) as server,
        await rtmpd.connect(f"rtmp://user:pass@127.0.0.1:{server.port}/live"),
    ):
        pass


@pytest.mark.parametrize(
    ("user", "password", "text"),
    [
        ("user", "wrong", "refused the user or the password"),
        ("nobody", "x", "refused the user or the password"),
        ("", "", "wants a user and a password"),
    ],
)
async def test_authentication_fails(user: str, password: str, text: str) -> None:
    async with scripted_server(guarded) as server:
        with pytest.raises(rtmpd.AuthenticationFailed, match=text) as caught:
            await rtmpd.connect(server.url, user=user, password=password)
        assert caught.value.code == StatusCode.CONNECT_REJECTED
        assert isinstance(caught.value, rtmpd.ConnectRejected)


@pytest.mark.parametrize("text", ["[ code=403 need auth; authmod=llnw ]", "authmod=adobe code=999"])
async def test_unknown_authentication(text: str) -> None:
    def refuse(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            peer.session.reject_connect(StatusCode.CONNECT_REJECTED, text, 0)

    async with scripted_server(refuse) as server:
        with pytest.raises(rtmpd.AuthenticationFailed):
            await rtmpd.connect(server.url, user="user", password="pass")
        assert len(server.peers) == 1


async def test_a_challenge_without_end() -> None:
    def challenge(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            text = adobe_auth.challenge_text(adobe_auth.Challenge("user", "s", "c", "o"))
            peer.session.reject_connect(StatusCode.CONNECT_REJECTED, text, 0)

    async with scripted_server(challenge) as server:
        with pytest.raises(rtmpd.AuthenticationFailed):
            await rtmpd.connect(server.url, user="user", password="pass")
        assert len(server.peers) == 2


def redirect_to(target: Callable[[], str]) -> Callable[[Peer, ServerEvent], None]:
    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            ex: dict[str, AmfValue] = {"code": 302.0, "redirect": target()}
            refusal = commands.error(1, StatusCode.CONNECT_REJECTED, "elsewhere", ex=ex)
            peer.session.send_command(refusal)
            peer.flush()
            peer.transport.close()

    return script


async def test_a_redirect_is_followed() -> None:
    async with scripted_server() as second:
        script = redirect_to(lambda: f"rtmp://127.0.0.1:{second.port}/other/app?t=1")
        async with (
            scripted_server(script) as first,
            await rtmpd.connect(f"{first.url}/cam?key=x") as connection,
        ):
            assert (connection.url.port, connection.url.app) == (second.port, "other/app")
            await connection.publish()
        heard = second.peers[0].heard
        connect = next(event for event in heard if isinstance(event, ConnectRequested))
        assert (connect.params.app, connect.params.app_query) == ("other/app", "t=1")
        assert PublishRequested(1, "cam", "key=x", "live") in heard


async def test_a_redirect_takes_no_password_along() -> None:
    async with scripted_server(guarded) as second:
        async with scripted_server(redirect_to(lambda: second.url)) as first:
            with pytest.raises(rtmpd.AuthenticationFailed):
                await rtmpd.connect(first.url, user="user", password="pass")
        assert len(second.peers) == 1


async def test_redirects_end() -> None:
    ports: list[int] = []
    async with scripted_server(redirect_to(lambda: f"rtmp://127.0.0.1:{ports[0]}/live")) as server:
        ports.append(server.port)
        with pytest.raises(rtmpd.ConnectRejected, match="elsewhere"):
            await rtmpd.connect(server.url, max_redirects=2)
        assert len(server.peers) == 3


@pytest.mark.parametrize("target", ["rtmps://127.0.0.1:1/live", "http://127.0.0.1:1/", "", "rtmp://"])
async def test_redirects_that_are_not_followed(target: str) -> None:
    async with scripted_server(redirect_to(lambda: target)) as server:
        with pytest.raises(rtmpd.ConnectRejected, match="elsewhere"):
            await rtmpd.connect(server.url)


# Bounds


async def turns(number: int) -> None:
    """Let the loop run for a while."""
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something has become true."""
    async with asyncio.timeout(5):
        while not condition():
            await turns(1)


async def heard_until(peer: Peer, last: ServerEvent) -> list[ServerEvent]:
    await until(lambda: last in peer.heard)
    return peer.heard


async def test_sending_waits_for_a_slow_server() -> None:
    async with (
        scripted_server() as server,
        await rtmpd.connect(server.url, send_buffer_bytes=100_000) as connection,
    ):
        stream = await connection.publish("cam")
        peer = server.peers[0]
        peer.transport.pause_reading()
        sent = 0

        async def flood() -> None:
            nonlocal sent
            for number in range(400):
                await stream.send_video(bytes(50_000), number)
                sent += 1

        tasks = [asyncio.create_task(flood()) for _ in range(3)]
        buffered = connection.link.transport.get_write_buffer_size
        await until(lambda: buffered() > 100_000)
        await turns(100)
        held = sent
        assert buffered() < 100_000 + 60_000
        await turns(100)
        assert sent == held
        peer.transport.resume_reading()
        await asyncio.gather(*tasks)
        await stream.close()
        heard = await heard_until(peer, PublishEnded(1))
        assert sum(isinstance(event, Message) for event in heard) == 1200


async def test_a_blocked_sender_learns_of_the_end() -> None:
    async with (
        scripted_server() as server,
        await rtmpd.connect(server.url, send_buffer_bytes=1000) as connection,
    ):
        stream = await connection.publish("cam")
        server.peers[0].transport.pause_reading()

        async def flood() -> None:
            while True:
                await stream.send_video(bytes(50_000))

        task = asyncio.create_task(flood())
        await until(lambda: connection.link.transport.get_write_buffer_size() > 1000)
        server.peers[0].transport.abort()
        with pytest.raises(rtmpd.ConnectionLost):
            await task
        assert isinstance(connection.exception, rtmpd.ConnectionLost)
        assert connection.state is rtmpd.ConnectionState.CLOSED


async def test_close_sends_what_was_sent() -> None:
    async with scripted_server() as server:
        async with await rtmpd.connect(server.url, send_buffer_bytes=8_000_000) as connection:
            stream = await connection.publish("cam")
            peer = server.peers[0]
            for number in range(100):
                await stream.send_video(bytes(60_000), number)
        assert connection.link.transport.get_write_buffer_size() == 0
        heard = await heard_until(peer, PublishEnded(1))
        assert sum(isinstance(event, Message) for event in heard) == 100


async def test_close_waits_for_a_slow_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.client.connection._LINGER", 0.3)
    async with scripted_server() as server:
        connection = await rtmpd.connect(server.url, send_buffer_bytes=30_000_000)
        stream = await connection.publish("cam")
        peer = server.peers[0]
        peer.transport.pause_reading()
        for number in range(400):
            await stream.send_video(bytes(60_000), number)
        closing = asyncio.create_task(connection.close())
        await asyncio.wait([closing], timeout=0.6)
        assert not closing.done()
        peer.transport.resume_reading()
        await closing
        heard = await heard_until(peer, PublishEnded(1))
        assert sum(isinstance(event, Message) for event in heard) == 400


async def test_playing_stops_reading_when_nobody_takes_packets() -> None:
    async with (
        scripted_server() as server,
        await rtmpd.connect(server.url, receive_buffer_bytes=200_000) as connection,
    ):
        player = await connection.play("cam")
        [access] = [await anext(player)]
        assert access.type == DATA
        peer = server.peers[0]
        for number in range(300):
            peer.session.send_message(Message(VIDEO, number, 1, bytes(50_000)), 6)
            peer.flush()
        peer.session.notify_unpublished(1)
        peer.flush()
        mailbox = player._packets
        assert mailbox is not None
        await until(lambda: mailbox.held_bytes >= 200_000)
        await turns(100)
        assert mailbox.held_bytes < 200_000 + 300_000  # One read of the loop on top.
        assert not connection.link.transport.is_reading()
        assert [packet.timestamp async for packet in player] == list(range(300))


async def test_closing_a_stream_that_holds_up_the_connection() -> None:
    async with (
        scripted_server() as server,
        await rtmpd.connect(server.url, receive_buffer_bytes=1000) as connection,
    ):
        player = await connection.play("cam")
        peer = server.peers[0]
        peer.session.send_message(Message(VIDEO, 0, 1, bytes(50_000)), 6)
        peer.flush()
        await until(lambda: not connection.link.transport.is_reading())
        await player.close()
        assert connection.link.transport.is_reading()
        assert await connection.call("getStreamLength", "cam") == (0.0,)


async def test_events_nobody_takes_are_bounded() -> None:
    async with scripted_server() as server:
        async with await rtmpd.connect(server.url) as connection:
            session = server.peers[0].session
            for number in range(300):
                session.send_command(commands.Command("notice", 0, None, (float(number),)))
            server.peers[0].flush()
            assert await connection.call("getStreamLength") == (0.0,)
            assert connection.events().dropped == 44
        events = [event async for event in connection.events()]
        assert len(events) == 256
        assert isinstance(events[-1], rtmpd.CommandReceived)
        assert events[-1].command.args == (299.0,)


# Endings


async def test_reconnect_request() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        code = StatusCode.CONNECT_RECONNECT_REQUEST
        request = commands.on_status(StatusLevel.STATUS, code, "moving", tcUrl="/backup")
        server.peers[0].session.send_command(request)
        server.peers[0].flush()
        event = await anext(connection.events())
        assert event == rtmpd.ReconnectRequested(f"rtmp://127.0.0.1:{server.port}/backup", "moving")


async def test_the_server_ends_a_publish() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        stream = await connection.publish("cam")
        server.peers[0].session.end_publish(1, StatusCode.PUBLISH_FAILED, "replaced")
        server.peers[0].flush()
        await until(lambda: stream._ended)
        with pytest.raises(rtmpd.StreamFailed, match="the server ended cam: replaced") as caught:
            await stream.send_audio(b"a")
        assert caught.value.code == StatusCode.PUBLISH_FAILED


async def test_the_server_ends_a_publish_and_closes_the_connection() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        stream = await connection.publish("cam")
        peer = server.peers[0]
        peer.session.end_publish(1, StatusCode.PUBLISH_FAILED, "shutting down")
        peer.advance()
        await connection.wait_closed()
        with pytest.raises(rtmpd.StreamFailed, match="the server ended cam: shutting down"):
            await stream.send_audio(b"a")


async def test_the_server_ends_a_publish_that_waits_for_room() -> None:
    async with (
        scripted_server() as server,
        await rtmpd.connect(server.url, send_buffer_bytes=1) as connection,
    ):
        stream = await connection.publish("cam")
        peer = server.peers[0]
        peer.transport.pause_reading()

        async def send_for_ever() -> None:
            while True:
                await stream.send_video(keyframe(bytes(100_000)), 0)

        sending = asyncio.create_task(send_for_ever())
        await until(lambda: not connection.link._writable.is_set())
        peer.session.end_publish(1, StatusCode.PUBLISH_FAILED, "shutting down")
        peer.flush()
        await until(lambda: stream._ended)
        connection.abort()
        with pytest.raises(rtmpd.StreamFailed, match="shutting down"):
            await sending


async def test_the_server_ends_a_play() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        peer = server.peers[0]
        peer.session.send_message(Message(VIDEO, 5, 1, b"video"), 6)
        peer.session.end_play(1, StatusCode.PLAY_FAILED, "too slow")
        peer.advance()
        await anext(player)
        assert await anext(player) == Message(VIDEO, 5, 1, b"video")
        with pytest.raises(rtmpd.StreamFailed, match="too slow"):
            await anext(player)


async def test_controls_after_the_end() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        server.peers[0].session.notify_unpublished(1)
        server.peers[0].flush()
        assert [packet.type async for packet in player] == [DATA]
        with pytest.raises(rtmpd.CallFailed, match="cam has ended"):
            await player.pause()
        with pytest.raises(rtmpd.CallFailed, match="cam has ended"):
            await player.receive_audio(True)


async def test_a_refused_play() -> None:
    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PlayRequested):
            peer.session.reject_play(event.stream_id, StatusCode.PLAY_STREAM_NOT_FOUND, "no cam", 0)
        else:
            accept(peer, event)

    async with scripted_server(script) as server, await rtmpd.connect(server.url) as connection:
        with pytest.raises(rtmpd.PlayRejected, match="refused to play cam: no cam") as caught:
            await connection.play("cam")
        assert caught.value.code == StatusCode.PLAY_STREAM_NOT_FOUND


async def test_an_orderly_end_ends_iterations() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        await anext(player)
        server.peers[0].transport.close()
        assert [packet async for packet in player] == []
        await connection.wait_closed()
        assert type(connection.exception) is rtmpd.ConnectionClosed
        with pytest.raises(rtmpd.ConnectionClosed):
            await connection.create_stream()


async def test_a_reset_is_raised_everywhere() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        await anext(player)
        peer = server.peers[0]
        peer._script = lambda _peer, _event: None
        call = asyncio.create_task(connection.publish("cam"))
        await until(lambda: any(isinstance(event, PublishRequested) for event in peer.heard))
        sock = peer.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.transport.abort()
        with pytest.raises(rtmpd.ConnectionLost):
            await anext(player)
        with pytest.raises(rtmpd.ConnectionLost):
            await call
        while isinstance(await next_event(connection), rtmpd.ConnectionEvent):
            pass


async def next_event(connection: rtmpd.Connection) -> rtmpd.ConnectionEvent | None:
    try:
        return await anext(connection.events())
    except rtmpd.ConnectionLost:
        return None


async def test_a_protocol_violation_is_the_cause() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        server.peers[0].transport.write(b"\xc9garbage")
        await connection.wait_closed()
        with pytest.raises(rtmpd.ConnectionLost, match="broke the protocol") as caught:
            await connection.create_stream()
        assert isinstance(caught.value.__cause__, ChunkError)


async def test_a_request_without_answer() -> None:
    def script(peer: Peer, event: ServerEvent) -> None:
        if not isinstance(event, PublishRequested):
            accept(peer, event)

    async with (
        scripted_server(script) as server,
        await rtmpd.connect(server.url, timeout=0.1) as connection,
    ):
        with pytest.raises(rtmpd.RequestTimeout, match=r"did not answer publish within 0.1 s"):
            await connection.publish("cam")


async def test_cancelled_requests_leave_nothing_behind() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        peer = server.peers[0]
        peer.transport.pause_reading()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connection.create_stream()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connection.call("getStreamLength")
        assert len(connection.link.session._transactions) == 1  # createStream: its answer is still wanted.
        peer.transport.resume_reading()
        await connection.call("getStreamLength")
        # The stream that nobody waits for any more was given back: its id is free again.
        assert (await connection.create_stream()).id == 1
        assert connection._calls == {}
        assert connection._created == {}


async def test_a_timeout_around_an_iteration_loses_nothing() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        await anext(player)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(player)
        server.peers[0].session.send_message(Message(VIDEO, 5, 1, b"video"), 6)
        server.peers[0].flush()
        assert await anext(player) == Message(VIDEO, 5, 1, b"video")


async def test_one_reader_at_a_time() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        await anext(player)
        first = asyncio.ensure_future(anext(player))
        await asyncio.sleep(0)
        with pytest.raises(rtmpd.UsageError):
            await anext(player)
        await player.close()
        with pytest.raises(StopAsyncIteration):
            await first


async def test_closing_twice_and_by_both_sides() -> None:
    async with scripted_server() as server:
        connection = await rtmpd.connect(server.url)
        stream = await connection.publish("cam")
        await asyncio.gather(connection.close(), connection.close())
        await connection.close()
        await stream.close()
        assert connection.state is rtmpd.ConnectionState.CLOSED
        with pytest.raises(rtmpd.ConnectionClosed):
            await connection.call("x")
        heard = await heard_until(server.peers[0], PublishEnded(1))
        assert sum(isinstance(event, PublishEnded) for event in heard) == 1


async def test_abort() -> None:
    async with scripted_server() as server:
        connection = await rtmpd.connect(server.url)
        player = await connection.play("cam")
        connection.abort()
        await connection.wait_closed()
        async for _ in player:
            pass
        await server.peers[0].closed.wait()


async def test_controls_reach_the_server() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        await player.pause(7)
        await player.receive_audio(False)
        await player.receive_video(False)
        await connection.call("getStreamLength")
        heard = server.peers[0].heard
        assert heard[-4:-1] == [PauseRequested(1, True), ReceiveAudio(1, False), ReceiveVideo(1, False)]


async def test_a_refused_seek() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        player = await connection.play("cam")
        asked = asyncio.create_task(player.resume())
        await until(lambda: player._notices)
        peer = server.peers[0]
        refusal = commands.on_status(StatusLevel.ERROR, StatusCode.SEEK_FAILED, "cannot")
        peer.session.data_to_send()
        peer.session.send_command(refusal, 1)
        peer.flush()
        with pytest.raises(rtmpd.CallFailed, match="cannot"):
            await asked


async def test_data_of_flv_files_becomes_metadata() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        stream = await connection.publish("cam")
        await stream.send_data(encode_values("onMetaData", EcmaArray(width=1.0)), 0)
        await stream.send_data(encode_values("onCuePoint"), 1)
        await stream.close()
        heard = await heard_until(server.peers[0], PublishEnded(1))
        assert [event.payload for event in heard if isinstance(event, Message)] == [
            encode_values("@setDataFrame", "onMetaData", EcmaArray(width=1.0)),
            encode_values("onCuePoint"),
        ]


async def test_misuse() -> None:
    async with scripted_server() as server, await rtmpd.connect(server.url) as connection:
        stream = await connection.create_stream()
        with pytest.raises(rtmpd.UsageError):
            await stream.send_audio(b"a")
        with pytest.raises(rtmpd.UsageError):
            await anext(stream)
        with pytest.raises(rtmpd.UsageError):
            await stream.publish()
        with pytest.raises(rtmpd.UsageError):
            await stream.pause()


def test_importing_rtmpd_is_cheap() -> None:
    assert rtmpd.connect is sys.modules["rtmpd.client.connect"].connect
    assert "connect" in dir(rtmpd)
    with pytest.raises(AttributeError):
        _ = rtmpd.nonsense
    for name in rtmpd.__all__:
        assert getattr(rtmpd, name) is not None
