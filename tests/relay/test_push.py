from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from client_kit import Peer, Script, accept, scripted_server
from golden_captures import load
from relay_kit import (
    AAC_HEADER,
    AVC_HEADER,
    HEVC_HEADER,
    KEY,
    METADATA,
    QUICK,
    Server,
    eventually,
    inter,
    keyframe,
    logged,
    publishing,
    serve,
    sound,
    watching,
)

from rtmpd.engine.key import StreamKey
from rtmpd.engine.sink import PlayOptions, SlowPlayerPolicy
from rtmpd.exceptions import UsageError
from rtmpd.media.codecs import video_info
from rtmpd.media.tags import MULTITRACK, video_flags
from rtmpd.net.resolver import RESOLVER, AddressInfo
from rtmpd.relay.dialer import RetryPolicy
from rtmpd.relay.push.sink import PushSink
from rtmpd.relay.push.switched import NoMemory
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp import commands
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import ConnectRequested, PublishRequested, ServerEvent
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message


async def test_a_stream_is_pushed_byte_for_byte_with_its_headers_first() -> None:
    async with serve("b") as b, serve("a", push=[b.url("{app}/{name}")]) as a:
        async with publishing(a, headers=False) as encoder, watching(b) as viewer:
            sent = [
                (18, 0, METADATA),
                (8, 0, AAC_HEADER),
                (9, 0, HEVC_HEADER),
                (9, 0, b"\x91hvc1\x00\x00\x00" + b"k" * 100_000),
                (8, 20, sound(b"a")),
                (9, 40, b"\xa3hvc1" + b"p"),
            ]
            for kind, timestamp, payload in sent:
                await encoder.send(kind, payload, timestamp)
            await eventually(viewer.has(sent[-1][2]))
            got = [(message.type, message.timestamp, message.payload) for message in viewer.messages]
            assert got == sent
            status = a.pushes()
            assert (status.state, status.remote, status.id) == ("live", b.url("live"), "config-1")
            assert status.bytes > 100_000
            assert (status.retries, status.lag_bytes, status.lag_seconds, status.reason) == (0, 0, 0.0, "")
            assert status.status.startswith("NetStream.Publish.Start")
            assert a.context.stats.players == 0
        await eventually(lambda: not b.live)
        await eventually(lambda: a.push.statuses() == [])


async def test_a_target_of_the_settings_goes_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    async with serve("b") as b:
        target = RelayTemplate.parse(b.url("live/"), name="s3cret-{name}?k=v4lue")
        with caplog.at_level(logging.INFO):
            async with serve("a", push={"twitch": target}) as a, publishing(a):
                await eventually(a.push_is("live"))
                assert (a.pushes().id, a.pushes().remote) == ("twitch", b.url("live"))
                assert b.registry.streams.keys() == {StreamKey("live", "s3cret-cam")}
        pushed = [line for line in logged(caplog).splitlines() if line.startswith("push ")]
        assert len(pushed) == 2
        assert all("'relay': 'twitch'" in line and "s3cret" not in line for line in pushed)


async def test_targets_follow_the_settings_while_their_stream_is_live() -> None:
    async with serve("b") as b:
        stays, goes = RelayTemplate.parse(b.url("live/stays")), RelayTemplate.parse(b.url("live/goes"))
        before, after = RelayTemplate.parse(b.url("live/before")), RelayTemplate.parse(b.url("live/after"))
        comes = RelayTemplate.parse(b.url("live/comes"))
        targets = {"stays": stays, "goes": goes, "moves": before}
        async with serve("a", push=targets) as a, publishing(a) as encoder:
            a.push.add(KEY, b.url("live/added"))
            await eventually(lambda: live_names(b) == {"stays", "goes", "before", "added"})
            stayed = b.registry.streams[StreamKey("live", "stays")].publication
            del targets["goes"]
            targets |= {"moves": after, "comes": comes}
            a.push.apply()
            await eventually(lambda: live_names(b) == {"stays", "after", "comes", "added"})
            assert b.registry.streams[StreamKey("live", "stays")].publication is stayed
            await eventually(lambda: {each.state for each in a.push.statuses()} == {"live"})
            assert [each.id for each in a.push.statuses()] == ["stays", "api-1", "moves", "comes"]
            assert b.context.stats.publishes_ended == {"finished": 2}
            encoder.check()
            targets.clear()
            a.push.apply()
            await eventually(lambda: live_names(b) == {"added"})


def live_names(server: Server) -> set[str]:
    streams = server.registry.streams.values()
    return {stream.key.name for stream in streams if stream.publication is not None}


async def test_a_target_added_late_begins_at_the_keyframe() -> None:
    async with serve("b") as b, serve("a") as a, watching(b) as viewer, publishing(a) as encoder:
        await encoder.send_video(inter(b"P1"), 40)
        await encoder.send_video(keyframe(b"K2"), 80)
        await encoder.send_video(inter(b"P3"), 120)
        await eventually(lambda: a.stream.stats.video.messages_in == 5)
        added = a.push.add(KEY, b.url("live/cam"))
        assert (added.id, added.state) == ("api-1", "idle")
        await eventually(viewer.has(inter(b"P3")))
        assert viewer.payloads == [METADATA, AAC_HEADER, AVC_HEADER, keyframe(b"K2"), inter(b"P3")]


async def test_a_target_waits_for_the_stream_and_comes_back_with_it() -> None:
    async with serve("b") as b, serve("a") as a:
        a.push.add(KEY, b.url())
        for _ in range(2):
            async with publishing(a), watching(b) as viewer:
                await eventually(viewer.has(keyframe(b"K0")))
            await eventually(lambda: not b.live)
            await eventually(a.push_is("idle"))
        assert a.pushes().retries == 0
        assert a.push.remove(KEY, "api-1")
        await eventually(lambda: a.push.statuses() == [])
        assert not a.push.remove(KEY, "api-1")


async def test_removing_a_live_target_ends_it_in_order() -> None:
    async with serve("b") as b, serve("a") as a, publishing(a) as encoder:
        a.push.add(KEY, b.url())
        await eventually(a.push_is("live"))
        a.push.remove(KEY, "api-1")
        await eventually(lambda: not b.live)
        await eventually(lambda: a.push.statuses() == [])
        assert b.context.stats.publishes_ended == {"finished": 1}
        encoder.check()


async def test_one_bad_target_hurts_nobody_else() -> None:
    async with serve("b") as b, serve("a") as a, watching(a) as viewer, watching(b) as far:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            # Accepts in the kernel and never says a word.
            a.push.add(KEY, f"rtmp://127.0.0.1:{deaf.getsockname()[1]}/live/cam")
            a.push.add(KEY, "rtmp://127.0.0.1:1/live/cam")
            a.push.add(KEY, "rtmp://no-such-host.invalid/live/cam")
            a.push.add(KEY, b.url())
            async with publishing(a) as encoder:
                await encoder.send_video(inter(b"P1"), 40)
                await eventually(viewer.has(inter(b"P1")))
                await eventually(far.has(inter(b"P1")))
                await eventually(lambda: a.push.statuses()[1].retries > 1)
                await eventually(lambda: a.push.statuses()[2].reason)
                states = [status.state for status in a.push.statuses()]
                assert (states[0], states[3]) == ("connecting", "live")
                assert "Connection refused" in a.push.statuses()[1].reason
                assert "cannot look up no-such-host.invalid" in a.push.statuses()[2].reason
            assert viewer.payloads == far.payloads


async def test_a_remote_that_goes_away_is_found_again_and_players_never_notice() -> None:
    async with serve("a") as a, watching(a) as viewer, publishing(a) as encoder:
        async with serve("b") as b:
            a.push.add(KEY, b.url())
            await eventually(lambda: b.live)
            port = b.port
        await eventually(a.push_is("backoff"))
        status = a.pushes()
        assert status.reason
        assert status.retry_in is not None
        async with serve("b", port=port) as b, watching(b) as far:
            await encoder.send_video(keyframe(b"K1"), 40)
            await eventually(far.has(keyframe(b"K1")))
            assert far.payloads[:3] == [METADATA, AAC_HEADER, AVC_HEADER]
            assert a.push_is("live")()
            assert a.pushes().reason == ""
        await eventually(viewer.has(keyframe(b"K1")))
        assert not viewer.over


async def test_what_becomes_of_a_target_is_told_once_for_each_state() -> None:
    told: list[str] = []
    async with serve("a") as a:
        a.push.tell = lambda status, origin: told.append(f"{status.id} {status.state} {origin.protocol}")
        async with publishing(a):
            async with serve("b") as b:
                added = a.push.add(KEY, b.url()).id
                await eventually(a.push_is("live"))
                port = b.port
            await eventually(lambda: a.pushes().retries > 2)
            async with serve("b", port=port):
                await eventually(a.push_is("live"))
                assert a.push.remove(KEY, added)
                await eventually(lambda: a.push.statuses() == [])
    assert told == [f"api-1 {state} rtmp" for state in ("live", "backoff", "live", "idle")]


async def test_a_target_that_waits_for_its_stream_is_told_to_be_idle() -> None:
    told: list[str] = []
    async with serve("b") as b, serve("a") as a:
        a.push.tell = lambda status, _origin: told.append(str(status.state))
        a.push.add(KEY, b.url())
        async with publishing(a):
            await eventually(a.push_is("live"))
        await eventually(a.push_is("idle"))
        async with publishing(a):
            await eventually(a.push_is("live"))
    assert told == ["live", "idle", "live", "idle"]


# -- remotes that misbehave


def refusing(code: str, text: str, times: int) -> Script:
    """A script that refuses publishes."""
    left = [times]

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PublishRequested) and left[0]:
            left[0] -= 1
            peer.session.reject_publish(event.stream_id, code, text, 0)
        else:
            accept(peer, event)

    return script


async def test_a_refusal_for_good_is_failed_asked_again_seldom_and_told_in_the_remotes_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = refusing(StatusCode.PUBLISH_DENIED, "Key s3cret of live_7 has expired.", times=2)
    async with scripted_server(script) as remote, serve("a", retry=QUICK) as a:
        with caplog.at_level(logging.INFO):
            a.push.add(KEY, f"{remote.url}/live_7?token=s3cret")
            async with publishing(a):
                await eventually(a.push_is("failed"))
                status = a.pushes()
                assert status.reason == "the server refused: Key *** of *** has expired."
                assert status.status.startswith("NetStream.Publish.Denied Key")
                assert status.retry_in is not None
                assert 0 < status.retry_in <= QUICK.failed
                await eventually(a.push_is("live"))
                assert a.pushes().retries == 2
        assert "s3cret" not in logged(caplog)
        assert "live_7" not in logged(caplog)


async def test_a_name_that_is_busy_is_tried_again_soon() -> None:
    script = refusing(StatusCode.PUBLISH_BAD_NAME, "busy", times=3)
    async with scripted_server(script) as remote, serve("a") as a, publishing(a):
        a.push.add(KEY, f"{remote.url}/cam")
        await eventually(a.push_is("live"))
        assert a.pushes().retries == 3


async def test_a_remote_that_ends_the_stream_is_asked_again() -> None:
    async with scripted_server() as remote, serve("a") as a, publishing(a):
        a.push.add(KEY, f"{remote.url}/cam")
        await eventually(a.push_is("live"))
        peer = await remote.peer()
        peer.session.end_publish(1, StatusCode.PUBLISH_FAILED, "Too many streams.")
        peer.advance()
        await remote.peer(1)
        await eventually(a.push_is("live"))
        assert a.pushes().retries == 1


@pytest.mark.parametrize("damage", ["close", "garbage", "http"])
async def test_a_remote_that_breaks_off_is_asked_again(damage: str) -> None:
    async with scripted_server() as remote, serve("a") as a, publishing(a):
        a.push.add(KEY, f"{remote.url}/cam")
        await eventually(a.push_is("live"))
        peer = await remote.peer()
        if damage == "close":
            peer.transport.abort()
        else:
            peer.transport.write(
                b"\xff" * 5000 if damage == "garbage" else b"HTTP/1.1 400 Bad Request\r\n\r\n"
            )
            await eventually(peer.closed.is_set)
        await remote.peer(1)
        await eventually(a.push_is("live"))


async def test_no_rtmp_at_the_other_end() -> None:
    async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" + bytes(3100))
        await writer.drain()
        writer.close()

    web = await asyncio.start_server(hello, "127.0.0.1", 0)
    async with web, serve("a") as a, publishing(a):
        a.push.add(KEY, f"rtmp://127.0.0.1:{web.sockets[0].getsockname()[1]}/live/cam")
        await eventually(lambda: a.pushes().retries)
        assert a.pushes().state in ("backoff", "connecting")
        assert "HTTP" in a.pushes().reason


async def test_a_slow_remote_loses_pictures_and_then_the_connection_but_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rtmpd.relay.push.target._TICK", 0.05)
    monkeypatch.setattr("rtmpd.relay.push.sink._STALLED_AFTER", 0.2)

    def deaf(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, PublishRequested):
            peer.transport.pause_reading()

    async with (
        scripted_server(deaf) as remote,
        serve("a") as a,
        watching(a) as viewer,
        publishing(a) as encoder,
    ):
        a.push.add(KEY, f"{remote.url}/cam")
        await eventually(a.push_is("live"))
        big = b"x" * 200_000
        for number in range(100):
            await encoder.send_video(keyframe(b"%03d" % number + big), number * 40)
        await eventually(viewer.has(keyframe(b"099" + big)))
        assert len(viewer.messages) >= 103
        await eventually(a.push_is("stalled"))
        status = a.pushes()
        assert 0 < status.lag_bytes <= 9 * 1024 * 1024
        assert status.lag_seconds > 0
        assert status.reason == "the server takes nothing more"
        (await remote.peer()).transport.resume_reading()
        await eventually(a.push_is("live"))
        assert a.pushes().retries == 0


async def test_a_burst_that_the_remote_does_not_take_counts_as_slow_at_once() -> None:
    def deaf(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, PublishRequested):
            peer.transport.pause_reading()

    async with scripted_server(deaf) as remote, serve("a") as a, publishing(a) as encoder:
        for number in range(80):
            await encoder.send_video(inter(b"x" * 150_000), number * 40)
        await eventually(lambda: a.stream.stats.video.messages_in == 82)
        a.push.add(KEY, f"{remote.url}/cam")
        await eventually(a.push_is("live"))
        (subscription,) = a.stream.subscriptions
        assert subscription.outlet.congestion is not None


async def test_a_remote_that_stays_slow_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    policy = SlowPlayerPolicy(max_backlog_seconds=0.05, disconnect_after=0.1)
    monkeypatch.setattr("rtmpd.relay.push.sink._OPTIONS", PlayOptions(policy=policy, audience=False))

    def deaf(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, PublishRequested):
            peer.transport.pause_reading()

    async with scripted_server(deaf) as remote, serve("a") as a, publishing(a) as encoder:
        a.push.add(KEY, f"{remote.url}/cam")
        await eventually(a.push_is("live"))
        for number in range(40):
            await encoder.send_video(keyframe(b"x" * 400_000), number * 40)
        await eventually(lambda: a.pushes().retries)
        encoder.check()
    assert "the server took too little for too long" in logged(caplog)


# -- TLS


def tls_of(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


async def test_rtmps_against_a_private_authority(authority: trustme.CA, ca_file: str) -> None:
    async with serve("b", tls=tls_of(authority, "localhost")) as b, serve("a", ca_file=ca_file) as a:
        a.push.add(KEY, b.url("live/cam", host="localhost", scheme="rtmps"))
        async with publishing(a) as encoder:
            await eventually(lambda: b.live)
            await encoder.send_video(inter(b"x" * 300_000), 40)
            await eventually(lambda: b.stream.stats.video.messages_in == 3)
            assert a.pushes().remote == f"rtmps://localhost:{b.port}/live"


async def test_a_target_has_authorities_of_its_own(authority: trustme.CA, ca_file: str) -> None:
    async with serve("b", tls=tls_of(authority, "localhost")) as b:
        url = b.url("live", host="localhost", scheme="rtmps")
        known = RelayTemplate.parse(url, name="known", ca_file=ca_file)
        strange = RelayTemplate.parse(url, name="strange")
        async with serve("a", push={"known": known, "strange": strange}) as a, publishing(a):
            await eventually(lambda: b.registry.streams.keys() == {StreamKey("live", "known")})
            await eventually(lambda: [each.state for each in a.push.statuses()] == ["live", "failed"])


async def test_rtmps_is_refused_when_the_name_does_not_match(
    authority: trustme.CA, ca_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve("b", tls=tls_of(authority, "example.org")) as b, serve("a", ca_file=ca_file) as a:
        a.push.add(KEY, b.url("live/cam", host="localhost", scheme="rtmps"))
        async with publishing(a):
            await eventually(a.push_is("failed"))
            reason = a.pushes().reason
    assert "cannot be trusted" in reason
    assert "localhost" in reason
    assert "push failed" in logged(caplog)


async def test_rtmps_is_refused_when_the_authority_is_unknown(authority: trustme.CA) -> None:
    async with serve("b", tls=tls_of(authority, "localhost")) as b, serve("a") as a, publishing(a):
        a.push.add(KEY, b.url("live/cam", host="localhost", scheme="rtmps"))
        await eventually(a.push_is("failed"))
        assert "cannot be trusted" in a.pushes().reason


# -- asking for targets


async def test_targets_that_cannot_be_had() -> None:
    async with serve("a") as a:
        a.push.add(KEY, "rtmp://127.0.0.1:1/live/{name}")
        for url, words in [
            ("rtmp://127.0.0.1:1/live/cam", "already"),
            ("http://127.0.0.1/live/cam", "rtmp://"),
            ("rtmp://127.0.0.1/live", "names no stream"),
            ("rtmp://{app}/live/cam", "host"),
            ("rtmp://127.0.0.1/{stream}/cam", "{stream}"),
        ]:
            with pytest.raises(UsageError, match=words):
                a.push.add(KEY, url)
        for number in range(15):
            a.push.add(KEY, f"rtmp://127.0.0.1:1/live/other{number}")
        with pytest.raises(UsageError, match="16 targets"):
            a.push.add(KEY, "rtmp://127.0.0.1:1/live/last")


async def test_the_connect_says_what_it_comes_through() -> None:
    seen: list[object] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            seen.append(event.params.connect_object["rtmpdVia"])
        accept(peer, event)

    async with scripted_server(script) as remote, serve("b") as b, serve("a") as a:
        a.push.add(KEY, b.url())
        b.push.add(KEY, f"{remote.url}/cam")
        async with publishing(a):
            await eventually(b.push_is("live"))
    assert seen == [("a", "b")]


# -- mistakes of ours


async def test_a_bug_costs_one_target_an_attempt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attach = PushSink.attach
    broken = ["cam_1", "cam_1"]

    def attach_or_break(sink: PushSink, key: StreamKey, branch: None, delay: float | None) -> None:
        if broken:
            broken.pop()
            raise KeyError("a bug")
        attach(sink, key, branch, delay)

    async with serve("b") as b, serve("a", push=[b.url("live/cam_1")]) as a:
        monkeypatch.setattr(PushSink, "attach", attach_or_break)
        async with publishing(a):
            await eventually(a.push_is("backoff"))
            assert a.pushes().reason == "a bug of this server: its log has the traceback"
            await eventually(a.push_is("live"))
            assert a.pushes().retries == 2
            async with watching(b, "cam_1") as viewer:
                await eventually(viewer.has(keyframe(b"K0")))
        told = [record for record in caplog.records if record.msg == "push broke"]
        assert [record.exc_info is not None for record in told] == [True, True]


# -- what outlasts a connection


async def test_bytes_are_counted_on_over_a_reconnect() -> None:
    async with scripted_server() as remote, serve("a") as a, publishing(a) as encoder:
        a.push.add(KEY, f"{remote.url}/cam")
        await encoder.send_video(keyframe(b"x" * 50_000), 40)
        await eventually(lambda: a.pushes().bytes > 50_000)
        before = a.pushes().bytes
        (await remote.peer()).transport.abort()
        await eventually(a.push_is("backoff"))
        assert a.pushes().bytes >= before
        await eventually(a.push_is("live"))
        # The group of pictures is sent once more.
        await eventually(lambda: a.pushes().bytes > before + 50_000)


def delays(caplog: pytest.LogCaptureFixture) -> list[float]:
    """Seconds to the next attempt, of each that failed."""
    return [record.__dict__["fields"]["retry_in"] for record in caplog.records if record.msg == "push failed"]


@pytest.mark.parametrize(
    ("steady", "expected"), [(0.0, [0.1, 0.1, 0.1]), (60.0, [0.1, 0.2, 0.4])], ids=["steady", "flapping"]
)
async def test_delays_begin_anew_once_a_push_was_steady(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, steady: float, expected: list[float]
) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)
    retry = RetryPolicy(initial=0.1, steady=steady)
    async with scripted_server() as remote, serve("a", retry=retry) as a, publishing(a):
        a.push.add(KEY, f"{remote.url}/cam")
        for number in range(3):
            await eventually(a.push_is("live"))
            (await remote.peer(number)).transport.abort()
            await eventually(lambda: len(delays(caplog)) > number)  # noqa: B023 - awaited at once
        assert delays(caplog) == expected


async def test_delays_begin_anew_with_the_next_publish(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)
    retry = RetryPolicy(initial=0.1, steady=60.0)
    async with scripted_server() as remote, serve("a", retry=retry) as a:
        a.push.add(KEY, f"{remote.url}/cam")
        for first, last in ((0, 2), (3, 4)):
            async with publishing(a):
                for number in range(first, last):
                    await eventually(a.push_is("live"))
                    (await remote.peer(number)).transport.abort()
                    await eventually(a.push_is("backoff"))
                await eventually(a.push_is("live"))
            await eventually(a.push_is("idle"))
        assert delays(caplog) == [0.1, 0.2, 0.1]


# -- names of hosts


async def test_names_that_nobody_answers_for_hold_up_no_other_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def look_up(host: str) -> Sequence[AddressInfo]:
        if host.startswith("dead"):
            answered.wait()
            raise OSError(1, "nobody knows")
        return socket.getaddrinfo("127.0.0.1", None, type=socket.SOCK_STREAM)

    monkeypatch.setattr(RESOLVER, "_look_up", look_up)
    try:
        async with serve("b") as b, serve("a") as a, publishing(a):
            for number in range(12):
                a.push.add(KEY, f"rtmp://dead{number}.example/live/cam")
            await eventually(lambda: {status.state for status in a.push.statuses()} == {"connecting"})
            a.push.add(KEY, b.url(host="alive.example"))
            await eventually(lambda: a.push.statuses()[-1].state == "live")
            assert {status.state for status in a.push.statuses()[:-1]} == {"connecting"}
            answered.set()
            await eventually(lambda: all(status.reason for status in a.push.statuses()[:-1]))
            assert a.push.statuses()[0].reason == "cannot look up dead0.example: nobody knows"
    finally:
        answered.set()


# -- codecs


def announcing(monkeypatch: pytest.MonkeyPatch, **said: object) -> None:
    """Servers of this process say this of Enhanced RTMP in their answer to connect, and no more."""
    whole = commands.connect_result

    def connect_result(*given: Any, **extra: Any) -> commands.Command:
        result = whole(*given, **extra)
        assert isinstance(result.command_object, dict)
        rest = {name: result.command_object[name] for name in ("fmsVer", "capabilities")}
        return replace(result, command_object=rest | said)

    monkeypatch.setattr(commands, "connect_result", connect_result)


AV1 = b"\x91av01K0"
OPUS = b"\x91Opusa"


@pytest.mark.parametrize(
    ("said", "unannounced"),
    [
        ({}, ("av01", "Opus")),
        ({"fourCcList": ["hvc1", "av01"]}, ("Opus",)),
        ({"videoFourCcInfoMap": {"av01": 4.0}, "audioFourCcInfoMap": {"*": 4.0}}, ()),
        ({"fourCcList": ["*"]}, ()),
    ],
)
async def test_codecs_that_the_remote_does_not_announce_are_told_once(
    said: dict[str, object],
    unannounced: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    announcing(monkeypatch, **said)
    async with serve("a", retry=QUICK) as a, publishing(a, headers=False) as encoder:
        await encoder.send_video(AV1, 0)
        await encoder.send_audio(OPUS, 0)
        await eventually(lambda: a.live and a.stream.stats.audio.codec)
        async with serve("b") as b, watching(b) as viewer:
            a.push.add(KEY, b.url())
            # They are sent all the same.
            await eventually(viewer.has(AV1))
            assert a.pushes().unannounced == unannounced
            port = b.port
        async with serve("b", port=port) as b:
            await eventually(a.push_is("live"))
            assert a.pushes().unannounced == unannounced
    warnings = [r for r in caplog.records if r.getMessage() == "push codecs not announced"]
    assert [record.fields["codecs"] for record in warnings] == (
        ["+".join(unannounced)] if unannounced else []
    )


async def test_what_rtmp_has_always_had_need_not_be_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    announcing(monkeypatch)
    async with serve("b") as b, serve("a", push=[b.url()]) as a, publishing(a), watching(b) as viewer:
        await eventually(viewer.has(keyframe(b"K0")))
        assert a.pushes().unannounced == ()


# -- tracks


SECOND_HEADER = b"\x96\x00avc1\x01" + AVC_HEADER[5:]
SECOND = b"\x96\x01avc1\x01" + bytes(3) + b"K1"


async def test_another_rtmpd_is_sent_all_tracks() -> None:
    async with serve("b") as b, serve("a", push=[b.url()]) as a, publishing(a) as encoder:
        await encoder.send_video(SECOND_HEADER, 0)
        await encoder.send_video(SECOND, 0)
        async with watching(b) as viewer:
            await eventually(viewer.has(SECOND))
            assert SECOND_HEADER in viewer.payloads


@pytest.mark.parametrize(
    ("track", "expected"),
    [
        (None, [AVC_HEADER, keyframe(b"K0")]),
        (0, [AVC_HEADER, keyframe(b"K0")]),
        (1, [AVC_HEADER, keyframe(b"K1")]),
        ("all", [AVC_HEADER, keyframe(b"K0"), SECOND, SECOND_HEADER]),
    ],
)
async def test_another_server_is_sent_one_track_as_if_there_were_no_others(
    track: object, expected: list[bytes]
) -> None:
    got: list[bytes] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PublishRequested):
            peer.session.accept_publish(event.stream_id, 0, keep)
        else:
            accept(peer, event)

    def keep(message: Message, _now: float) -> None:
        if message.type == 9:
            got.append(message.payload)

    async with scripted_server(script) as remote, serve("a") as a, publishing(a, headers=False) as encoder:
        for payload in (AVC_HEADER, SECOND_HEADER, keyframe(b"K0"), SECOND):
            await encoder.send_video(payload, 0)
        await eventually(lambda: a.live and a.stream.stats.video.messages_in == 4)
        a.push.add(KEY, f"{remote.url}/cam", track)
        await eventually(lambda: len(got) >= len(expected))
        assert sorted(got) == sorted(expected)


@pytest.mark.parametrize(("track", "height"), [("240p", 240), ("300p", 240), ("best", 360)])
async def test_a_track_is_pushed_by_its_name_or_the_nearest(track: str, height: int) -> None:
    got: list[bytes] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PublishRequested):
            peer.session.accept_publish(event.stream_id, 0, keep)
        else:
            accept(peer, event)

    def keep(message: Message, _now: float) -> None:
        if message.type == 9:
            got.append(message.payload)

    recorded = ChunkReader(Limits()).receive_data(load("obs32/obs32-multitrack-pub").chunks)
    async with scripted_server(script) as remote, serve("a") as a:
        status = a.push.add(KEY, f"{remote.url}/cam", track)
        async with publishing(a, headers=False) as encoder:
            for message in recorded:
                if message.type in (8, 9):
                    await encoder.send(message.type, message.payload, message.timestamp)
            await eventually(lambda: len(got) > 2)
        assert status.id
    infos = [info for payload in got if (info := video_info(payload)) is not None]
    assert [info.height for info in infos] == [height]
    assert not any(video_flags(payload) & MULTITRACK for payload in got)


async def test_an_audio_track_is_chosen_as_one_of_video_is() -> None:
    got: list[bytes] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PublishRequested):
            peer.session.accept_publish(event.stream_id, 0, lambda message, _now: got.append(message.payload))
        else:
            accept(peer, event)

    async with scripted_server(script) as remote:
        target = RelayTemplate.parse(remote.url, audio=1, name="cam")
        async with serve("a", push={"second": target}) as a, publishing(a, headers=False) as encoder:
            for payload in (AAC_HEADER, b"\x95\x00mp4a\x01" + AAC_HEADER[2:], sound(b"first")):
                await encoder.send_audio(payload, 0)
            await encoder.send_audio(b"\x95\x01mp4a\x01second", 0)
            await eventually(lambda: sound(b"second") in got)
            assert got == [AAC_HEADER, sound(b"second")]


async def test_one_address_is_pushed_to_once_whatever_the_track() -> None:
    async with serve("a") as a:
        a.push.add(KEY, "rtmp://127.0.0.1:1/live/cam")
        with pytest.raises(UsageError, match="already"):
            a.push.add(KEY, "rtmp://127.0.0.1:1/live/cam", "all")
        with pytest.raises(UsageError, match='"all" or a number from 0 to 255'):
            a.push.add(KEY, "rtmp://127.0.0.1:1/live/other", "some")


async def test_a_target_that_is_off_stays_off_until_it_is_on(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, str]] = []
    async with serve("b") as b, serve("a", push=[b.url()]) as a:
        a.push.tell = lambda status, _origin: told.append((status.id, str(status.state)))
        memory = a.push.memory = Notes()
        async with publishing(a):
            await eventually(a.push_is("live"))
            off = a.push.switch_off(KEY, "config-1")
            assert off is not None
            assert off == a.pushes() == a.push.switch_off(KEY, "config-1")
            assert (off.state, off.remote, off.reason) == ("off", b.url("live"), "switched off by hand")
            await eventually(lambda: not b.live)
        async with publishing(a):
            a.push.apply()
            assert [status.state for status in a.push.statuses()] == ["off"]
            with pytest.raises(UsageError, match="off: switch it on"):
                a.push.restart(KEY, "config-1")
            with pytest.raises(UsageError, match="for as long as the settings name it"):
                a.push.remove(KEY, "config-1")
            assert a.push.switch_on(KEY, "config-1") is not None
            await eventually(lambda: b.live)
            again = a.push.switch_on(KEY, "config-1")
            assert (again is not None, len(a.push.statuses())) == (True, 1)
        await eventually(lambda: a.push.statuses() == [])
        assert a.push.switch_off(KEY, "config-2") is a.push.switch_on(KEY, "config-2") is None
    assert told == [("config-1", each) for each in ("live", "off", "live", "idle")]
    assert memory.notes == [("config-1", False), ("config-1", True)]


class Notes(NoMemory):
    """Remembers what is done to targets."""

    def __init__(self) -> None:
        self.notes: list[tuple[object, ...]] = []

    def added(self, key: StreamKey, relay_id: str, url: str, track: object) -> None:
        self.notes.append((relay_id, url, track))

    def removed(self, key: StreamKey, relay_id: str) -> None:
        self.notes.append((relay_id,))

    def switched(self, key: StreamKey, relay_id: str, on: bool) -> None:
        self.notes.append((relay_id, on))


async def test_a_target_is_switched_off_before_anybody_publishes_and_forgotten_with_the_settings() -> None:
    async with serve("b") as b, serve("a", push=[b.url()]) as a:
        memory = a.push.memory = Notes()
        assert a.push.switch_off(KEY, "config-1") is not None
        a.push.apply()
        assert a.pushes().state == "off"
        # Nobody publishes: it is on, and not there.
        on = a.push.switch_on(KEY, "config-1")
        assert (on is not None and on.state, a.push.statuses()) == ("idle", [])
        assert a.push.switch_off(KEY, "config-1") is not None
        a.push._templates_of = lambda _key: {}
        a.push.apply()
        assert (a.push.statuses(), len(memory.notes)) == ([], 4)


async def test_one_that_was_added_is_switched_off_and_on_and_comes_back_to_life() -> None:
    async with serve("b") as b, serve("a") as a:
        memory = a.push.memory = Notes()
        added = a.push.add(KEY, b.url())
        async with publishing(a):
            await eventually(a.push_is("live"))
            assert a.push.switch_off(KEY, added.id) is not None
            await eventually(lambda: not b.live)
            with pytest.raises(UsageError, match="pushed there already"):
                a.push.add(KEY, b.url())
        assert a.push.switch_on(KEY, added.id) is not None
        assert a.pushes().state == "idle"
        async with publishing(a):
            await eventually(a.push_is("live"))
            assert a.push.switch_off(KEY, added.id) is not None
            assert (a.push.remove(KEY, added.id), a.push.statuses()) == (True, [])
        # As the next start has it from what was kept.
        assert a.push.restore(KEY, "api-7", b.url(), on=False).state == "off"
        assert a.push.add(KEY, b.url("live/other")).id == "api-8"
        url = b.url()
        assert memory.notes == [
            *((added.id, url, None), (added.id, False), (added.id, True), (added.id, False), (added.id,)),
            ("api-8", b.url("live/other"), None),
        ]


async def test_a_restart_leaves_before_it_comes_back() -> None:
    async with serve("b") as b, serve("a", push=[b.url()]) as a, publishing(a):
        await eventually(a.push_is("live"))
        before = b.stream.publication
        restarted = a.push.restart(KEY, "config-1")
        assert (restarted is not None, a.push.restart(KEY, "other")) == (True, None)
        await eventually(lambda: b.live and b.stream.publication is not before)
        await eventually(a.push_is("live"))
        assert (a.pushes().retries, len(a.push.statuses()), a.push._leaving) == (0, 1, {})
