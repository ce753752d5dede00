"""One client's connection over TCP, on both event loops: in, out, deadlines, and every way to end."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, keyframe, sound
from golden_captures import HANDSHAKE_BYTES, load, names
from net_kit import HEADERS, Client, Doorman, OpenDoor, eventually, pending_timers, serve
from rtmp_dialogue import HANDSHAKE, command, connect

import rtmpd.serving.connection as connection_module
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import CloseReason
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.command_scan import parse_command
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving.access import AccessRequest, Action, Authorizer, Grant
from rtmpd.serving.accounts import End
from rtmpd.serving.server import ConnectionLimits


def lines_of(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    return [(record.message, getattr(record, "fields", {})) for record in caplog.records]


def fields_of(caplog: pytest.LogCaptureFixture, message: str) -> dict[str, object]:
    """The fields of the only log line with this message."""
    (fields,) = [fields for text, fields in lines_of(caplog) if text == message]
    return fields


# What real encoders send


def media_of(messages: list[Message]) -> list[bytes]:
    return [m.payload for m in messages if m.type in (MessageType.AUDIO, MessageType.VIDEO)]


@pytest.mark.parametrize("name", names(role="pub"))
async def test_a_real_encoder_publishes_in_one_segment(name: str) -> None:
    capture = load(name)
    sent = ChunkReader(Limits()).receive_data(capture.chunks)
    asked = [parse_command(m, Limits()) for m in sent if m.type == MessageType.COMMAND_AMF0]
    (app,) = [ConnectParams.from_command(c, Limits()).app for c in asked if c.name == "connect"]
    (stream,) = [str(c.args[0]).partition("?")[0] for c in asked if c.name == "publish"]
    async with serve() as house:
        player = await house.client()
        play = f"{stream}?track=all"
        player.say(connect(app), command("createStream", 2), command("play", 3, play, on=1))
        await player.until("1: onStatus 0 status NetStream.Play.Start")
        encoder = await house.dial()
        encoder.writer.write(capture.handshake + capture.chunks)
        heard: list[Message] = []
        wanted = media_of(sent)
        while len(media_of(heard)) < len(wanted):
            heard.append(await player.hear_message())
        assert media_of(heard) == wanted
        assert house.stats.drops == {}


async def test_a_segment_may_end_anywhere() -> None:
    capture = load("obs29-pub")
    data = capture.handshake + capture.chunks[:30000]
    async with serve() as house:
        encoder = await house.dial()
        for start in range(0, len(data), 997):
            encoder.writer.write(data[start : start + 997])
            await asyncio.sleep(0)
        await eventually(lambda: house.stats.bytes_in == len(data))
        assert house.stats.publishers == 1


# What is not RTMP


@pytest.mark.parametrize(
    ("first", "reason", "named"),
    [
        (b"GET / HTTP/1.1\r\nHost: rtmp.example\r\n\r\n", "http", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls", "TLS"),
        (b"\x06" + bytes(1536), "rtmpe", "RTMPE"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_rtmp", "RTMP"),
    ],
)
async def test_other_protocols_are_closed_cleanly_and_named(
    first: bytes, reason: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "rtmpd")
    async with serve() as house:
        client = await house.dial()
        client.writer.write(first)
        assert await client.rest() == []
        assert house.stats.handshake_failures == {reason: 1}
        fields = fields_of(caplog, "protocol error")
        assert fields["reason"] == reason
        assert named in str(fields["detail"])
    assert fields_of(caplog, "closed")["reason"] == reason
    assert max(record.levelno for record in caplog.records) == logging.INFO


async def test_a_health_check_that_says_nothing_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rtmpd")
    async with serve() as house:
        client = await house.dial()
        await eventually(lambda: house.open_connections == 1)
        await client.close()
        await eventually(lambda: house.open_connections == 0)
        assert (house.stats.handshake_failures, house.stats.sessions_failed) == ({}, {})
    assert caplog.records == []


@pytest.mark.parametrize(
    ("app", "tc_url", "shown"),
    [
        ("live", "rtmp://h/live", ("live", "rtmp://h/live")),
        ("live", "rtmp://h:1935/live/?a=b", ("live", "rtmp://h:1935/live/?***")),
        ("live", "rtmp://h/live/KEY", ("live", "***")),
        ("live\0KEY", "rtmp://h/live\0KEY", ("live", "***")),
        ("live/KEY", "rtmp://h/live/KEY", ("live/~", "***")),
        ("KEY", "rtmp://h/KEY", ("~", "***")),
    ],
)
async def test_what_a_connect_calls_its_app_is_shown_as_far_as_it_may_be(
    app: str, tc_url: str, shown: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    def hide(_action: Action, key: StreamKey) -> StreamKey:
        return StreamKey(*("~" if part == "KEY" else part for part in (key.app, key.name)))

    caplog.set_level(logging.DEBUG, "rtmpd")
    async with serve(as_public=hide) as house:
        client = await house.client()
        client.say(connect(app, tcUrl=tc_url))
        await client.until("_result 1 status NetConnection.Connect.Success")
    fields = fields_of(caplog, "connected")
    assert (fields["app"], fields["tc_url"]) == shown
    assert fields_of(caplog, "closed")["app"] == shown[0]


# Last words


async def test_a_refusal_is_read_by_a_peer_that_has_sent_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_LINGER", 60.0)
    async with serve() as house:
        await (await house.client()).publish()
        second = await house.client()
        second.say(connect(), command("createStream", 2), command("publish", 3, "cam", on=1))
        second.send(*HEADERS, *[(40 * n, keyframe("x" * 100_000)) for n in range(80)])
        lines = await second.rest()  # Raises ConnectionResetError when the close is not orderly.
        assert lines[-1] == "1: onStatus 0 error NetStream.Publish.BadName"
        assert house.stats.publishers == 1
        # Reading was held for the answer; without reading on, the peer's close would not be noticed.
        await second.close()
        await eventually(lambda: house.open_connections == 1)


async def test_a_peer_that_never_closes_its_side_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_LINGER", 0.1)
    async with serve() as house:
        client = await house.dial()
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.rest() == []
        client.writer.write(b"more")
        assert house.open_connections == 1
        await eventually(lambda: house.open_connections == 0)


async def test_the_end_of_a_connection_that_the_peer_has_reset_already() -> None:
    async with serve() as house:
        client = await (await house.client()).publish()
        (connection,) = house.connections
        connection.transport.pause_reading()  # So that the loop does not notice.
        client.reset()
        await client.close()
        connection.end(CloseReason.KICKED)
        await eventually(lambda: house.open_connections == 0)


async def test_nothing_is_said_after_the_last_words() -> None:
    async with serve() as house:
        client = await (await house.client()).play()
        (connection,) = house.connections
        connection.end(CloseReason.KICKED)
        connection.end(CloseReason.SHUTDOWN)
        connection.flush()
        connection.advance()
        client.call("getStreamLength", 9, "cam")
        assert await client.rest() == []


async def test_no_deadline_of_a_connection_has_a_timer_of_its_own() -> None:
    async with serve(wait_timeout=60.0) as house:
        clients = [await (await house.client()).play() for _ in range(3)]
        ended, *waiting = house.connections
        ended.end(CloseReason.KICKED)
        assert min(ended.look_at, *[each.look_at for each in waiting]) < math.inf
        loop = asyncio.get_running_loop()
        assert len([timer for timer in pending_timers(loop) if timer.when() > loop.time() + 0.1]) <= 1
        assert len(clients) == 3


async def test_why_it_has_ended_does_not_change() -> None:
    async with serve() as house:
        client = await (await house.client()).publish()
        (connection,) = house.connections
        assert connection.ended is None
        connection.end(CloseReason.KICKED, "by hand")
        connection.abort(CloseReason.SHUTDOWN)
        assert connection.ended == End(CloseReason.KICKED, "by hand")
        assert house.stats.publishes_ended == {CloseReason.KICKED: 1}
        client.reset()


# How encoders leave


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (lambda client: client.call("deleteStream", 7, 1), CloseReason.FINISHED),
        (lambda client: client.call("FCUnpublish", 6, "cam"), CloseReason.FINISHED),
        (lambda client: client.call("closeStream", 0, on=1), CloseReason.FINISHED),
        (lambda client: client.writer.write_eof(), CloseReason.CONNECTION_LOST),
        (lambda client: client.writer.close(), CloseReason.CONNECTION_LOST),
        (lambda client: client.reset(), CloseReason.CONNECTION_LOST),
        (lambda client: client.writer.write(b"\xff" * 100), CloseReason.PROTOCOL_ERROR),
    ],
    ids=["deleteStream", "FCUnpublish", "closeStream", "half-close", "close", "reset", "garbage"],
)
async def test_a_name_is_free_again(leave, reason: CloseReason) -> None:
    async with serve() as house:
        leave(await (await house.client()).publish())
        await eventually(lambda: house.stats.publishers == 0)
        assert house.stats.publishes_ended == {reason: 1}
        await (await house.client()).publish()


# Deadlines


async def until_connect(client: Client) -> None:
    await client.handshake()


async def until_request(client: Client) -> None:
    await client.handshake()
    client.say(connect())


async def until_half_a_handshake(client: Client) -> None:
    client.writer.write(HANDSHAKE[:1000])


async def until_publish(client: Client) -> None:
    await (await client.handshake()).publish()


async def until_media(client: Client) -> None:
    await until_publish(client)
    client.send(*HEADERS)


async def until_metadata(client: Client) -> None:
    await until_publish(client)
    client.send((0, b"\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09"))


async def until_half_a_message(client: Client) -> None:
    await (await client.handshake()).play()
    client.writer.write(client.encode(command("getStreamLength", 9, "x" * 90))[:50])


async def until_play(client: Client) -> None:
    await (await client.handshake()).play()


@pytest.mark.parametrize(
    ("reach", "limits", "reason"),
    [
        (until_half_a_handshake, {"handshake_timeout": 0.1}, "handshake_timeout"),
        (until_connect, {"handshake_timeout": 0.1}, "connect_timeout"),
        (until_request, {"request_timeout": 0.1}, "request_timeout"),
        (until_half_a_message, {"partial_message_timeout": 0.1}, "partial_message_timeout"),
        (until_play, {"ping_interval": 0.05, "ping_timeout": 0.05}, "idle"),
    ],
)
async def test_a_deadline(reach, limits: dict[str, float], reason: str) -> None:
    async with serve(limits=Limits(**limits)) as house:
        client = await house.dial()
        await reach(client)
        await client.rest()
        assert house.stats.sessions_failed | house.stats.handshake_failures == {reason: 1}
        assert house.stats.publishers == 0
        await client.close()
        await eventually(lambda: house.open_connections == 0)


@pytest.mark.parametrize(
    ("reach", "limits", "reason"),
    [
        (until_publish, {"first_media_timeout": 0.1}, "first_media_timeout"),
        (until_metadata, {"first_media_timeout": 0.1}, "first_media_timeout"),
        (until_media, {"idle_publisher_timeout": 0.1}, "publisher_idle"),
    ],
)
async def test_a_publisher_without_media_loses_its_name_whatever_else_it_says(
    reach, limits: dict[str, float], reason: str
) -> None:
    async with serve(engine=EngineLimits(**limits), sample_every=0.02) as house:
        client = await house.dial()
        await reach(client)
        with suppress(ConnectionError):
            for number in range(100):
                client.call("getStreamLength", number + 10, "cam")
                await asyncio.sleep(0.02)
                if not house.stats.publishers:
                    break
        assert house.stats.sessions_failed == {reason: 1}
        assert house.stats.publishes_ended == {CloseReason.IDLE: 1}
        await client.closed()
        await (await house.client()).publish()


async def test_who_answers_pings_stays() -> None:
    async with serve(limits=Limits(ping_interval=0.02, ping_timeout=0.5)) as house:
        player = await (await house.client()).play()
        for _ in range(5):
            assert (await player.hear()).startswith("PingRequest ")
            player.call("getStreamLength", 0)  # Anything counts as an answer.
        assert house.open_connections == 1


# Who sends too much, or reads nothing


async def test_an_encoder_with_too_many_messages_is_read_later_and_loses_nothing() -> None:
    limits = Limits(max_messages=400, max_messages_burst=50)
    async with serve(limits=limits) as house:
        player = await (await house.client()).play()
        encoder = await (await house.client()).publish()
        frames = [(n, sound(str(n))) for n in range(120)]
        encoder.send((0, AAC_HEADER), *frames)
        await player.until("1: 119@119")
        (throttled,) = [c for c in house.connections if not c.reader.reading]
        assert throttled.state == "publishing"
        # Not reading costs the encoder nothing: the deadlines wait for it.
        encoder.call("getStreamLength", 9)
        assert "_result 9 0" in await encoder.until("_result 9 0")


async def test_who_is_read_as_its_bytes_come_has_no_reader_of_its_own() -> None:
    """Most players, most of the time."""
    async with serve() as house:
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        player.call("getStreamLength", 9)
        await player.until("_result 9 0")
        of = {connection.state: connection for connection in house.connections}
        of["playing"].pause_writing()
        of["playing"].resume_writing()
        assert of["playing"]._reader is None
        assert of["publishing"]._reader is not None


async def test_a_connection_that_ends_while_it_is_throttled_leaves_no_timer() -> None:
    limits = Limits(max_messages=1, max_messages_burst=50)
    async with serve(limits=limits) as house:
        encoder = await (await house.client()).publish()
        encoder.send((0, AAC_HEADER), *[(n, sound()) for n in range(1000)])
        await eventually(lambda: any(not c.reader.reading for c in house.connections))
        (connection,) = house.connections
        connection.end(CloseReason.KICKED)
        assert await encoder.rest() == []


async def test_a_short_wait_does_not_end_a_long_one() -> None:
    """An answer may let a connection go on that is held for seconds, and run into the next reason to wait."""
    async with serve() as house:
        client = await house.client()
        (connection,) = house.connections
        connection.reader.hold(0.2)
        connection.reader.hold(0.0)
        client.say(connect())
        for _ in range(10):
            await asyncio.sleep(0.001)
            assert connection.reader.held
        await client.until("_result 1 status NetConnection.Connect.Success")
        assert not connection.reader.held


@pytest.mark.parametrize(
    ("reach", "limits", "reason"),
    [
        (until_connect, {"handshake_timeout": 0.2}, "connect_timeout"),
        (until_request, {"request_timeout": 0.2}, "request_timeout"),
    ],
)
async def test_who_is_made_to_wait_keeps_its_deadlines(reach, limits: dict[str, float], reason: str) -> None:
    limits |= {"max_messages": 1, "max_messages_burst": 50, "max_control_messages": 10**9}
    async with serve(limits=Limits(**limits)) as house:
        client = await house.dial()
        await reach(client)
        (connection,) = house.connections
        client.writer.write(client.encode(Message(3, 0, 0, bytes(4))) * 2000)
        await eventually(lambda: connection.reader.held)
        await eventually(lambda: house.stats.sessions_failed)
        assert house.stats.sessions_failed == {reason: 1}
        client.reset()


async def test_who_does_not_read_our_answers_is_not_read() -> None:
    limits = Limits(
        max_control_messages=10**9, max_command_cost=10**9, max_messages=10**9, max_messages_burst=10**9
    )
    async with serve(limits=limits, high_water_bytes=64 * 1024, send_buffer=4096) as house:
        client = await (await house.client(receive_buffer=4096)).publish()
        (connection,) = house.connections
        client.send((0, AAC_HEADER))
        flood = client.encode(*[command("getStreamLength", n, "cam") for n in range(1, 1000)])
        while connection.reader.reading:
            client.writer.write(flood)
            await asyncio.sleep(0)
        assert connection.transport.get_write_buffer_size() < 1024 * 1024
        # As soon as it reads, everything goes on.
        heard = 0
        while not connection.reader.reading:
            await client.hear()
            heard += 1
        client.call("getStreamLength", 7777, "cam")
        await client.until("_result 7777 0")


async def test_who_never_reads_our_answers_is_cut() -> None:
    limits = Limits(
        max_control_messages=10**9, max_command_cost=10**9, max_messages=10**9, max_messages_burst=10**9,
    )  # fmt: skip
    engine = EngineLimits(idle_publisher_timeout=0.1)
    async with serve(
        limits=limits, engine=engine, sample_every=0.02, high_water_bytes=64 * 1024, send_buffer=4096
    ) as house:
        client = await (await house.client(receive_buffer=4096)).publish()
        flood = client.encode(command("getStreamLength", 9, "cam"))
        client.send((0, AAC_HEADER))
        client.writer.write(flood * 100_000)
        await eventually(lambda: house.stats.sessions_failed)
        assert house.stats.sessions_failed == {"publisher_idle": 1}
        client.reset()


# Several message streams


async def test_publish_and_play_mixed_on_one_connection() -> None:
    async with serve() as house:
        client = await (await house.client()).publish("a")
        await client.publish("b", on=2)
        await client.play("a", on=3)
        client.send(*HEADERS, (0, keyframe("A")), on=1)
        client.send(*HEADERS, (0, keyframe("B")), on=2)
        assert await client.until("3: A@0") == ["3: AVC@0", "3: AAC@0", "3: A@0"]
        assert house.stream("b").stats.keyframes == 1
        # The end of one ends no other.
        client.call("deleteStream", 0, 2)
        await eventually(lambda: house.stats.publishers == 1)
        client.send((40, keyframe("C")), on=1)
        await client.until("3: C@40")
        # Its own end is told to itself as to everybody.
        client.call("deleteStream", 0, 1)
        await client.until("3: onStatus 0 status NetStream.Play.UnpublishNotify")
        assert house.stats.players == 1


async def test_the_end_of_a_connection_that_plays_what_it_publishes() -> None:
    async with serve(wait_timeout=60.0) as house:
        client = await (await house.client()).publish()
        await client.play(on=2)
        client.send(*HEADERS, (0, keyframe("A")))
        await client.until("2: A@0")
        client.writer.write(b"\xff" * 100)
        # The farewell of the publish reaches the play on its way out.
        assert (await client.rest())[-1] == "2: onStatus 0 status NetStream.Play.UnpublishNotify"


async def test_one_refusal_ends_everything_on_the_connection() -> None:
    async with serve() as house:
        await (await house.client()).publish("taken")
        client = await (await house.client()).publish("mine")
        client.call("createStream", 9)
        client.call("publish", 0, "taken", on=2)
        assert (await client.rest())[-1] == "2: onStatus 0 error NetStream.Publish.BadName"
        assert house.stats.publishes_ended == {CloseReason.REFUSED: 1}


async def test_a_pipelined_end_and_the_next_publish() -> None:
    async with serve() as house:
        client = await house.client()
        client.say(
            connect(),
            command("createStream", 2),
            command("publish", 3, "one", on=1),
            command("deleteStream", 0, 1),
            command("createStream", 4),
            command("play", 5, "one", on=1),
            command("closeStream", 0, on=1),
            command("publish", 6, "two", on=1),
        )
        await client.until("1: onStatus 0 status NetStream.Publish.Start")
        await client.until("1: onStatus 0 status NetStream.Publish.Start")
        assert set(house.registry.streams) == {StreamKey("live", "two")}


async def test_what_gets_no_answer_is_acknowledged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged: list[object] = []
    monkeypatch.setattr(connection_module, "acknowledge_quickly", acknowledged.append)
    async with serve() as house:
        client = await house.dial()
        await eventually(lambda: house.open_connections)
        (connection,) = house.connections
        said = 0
        # Half of C1 is answered with nothing, the rest with S0 S1 S2, C2 with nothing.
        for piece, total in ((HANDSHAKE[:800], 1), (HANDSHAKE[800:1537], 1), (HANDSHAKE[1537:], 2)):
            client.writer.write(piece)
            said += len(piece)
            await eventually(lambda: connection.session.bytes_received == said)  # noqa: B023
            assert len(acknowledged) == total
        await client.reader.readexactly(len(HANDSHAKE))
        client.say(connect())
        await client.until("_result 1 status NetConnection.Connect.Success")
        assert len(acknowledged) == 2


async def test_a_request_behind_the_media_that_made_the_engine_close_us_is_not_begun() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2), command("createStream", 3))
        client.say(command("publish", 4, "cam", on=1))
        await eventually(lambda: doorman.requests)
        doorman.grant()
        await client.until("1: onStatus 0 status NetStream.Publish.Start")
        (connection,) = house.connections
        (publisher,) = connection.requests.publishers
        connection.session._media_streams = {1: lambda message, now: publisher.close(CloseReason.KICKED)}
        client.writer.write(client.encode(Message(8, 0, 1, AAC_HEADER), command("publish", 5, "other", on=2)))
        await client.rest()
        assert len(doorman.requests) == 1
        assert house.stats.publishers == 0


class Asking:
    """An authorizer that asks somebody first."""

    async def authorize(self, request: AccessRequest) -> Grant:
        await asyncio.sleep(0)
        return Grant(request.key)


@pytest.mark.parametrize(("authorizer", "tasks"), [(OpenDoor(), 0), (Asking(), 4)])
async def test_only_an_answer_that_is_waited_for_takes_a_task(authorizer: Authorizer, tasks: int) -> None:
    made: list[asyncio.Task[Any]] = []

    def make(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        made.append(asyncio.Task(work, loop=loop, **options))
        return made[-1]

    async with serve(authorizer=authorizer) as house:
        asyncio.get_running_loop().set_task_factory(make)
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await (await (await house.client()).play()).until("1: A@0")
        asyncio.get_running_loop().set_task_factory(None)
    assert len([task for task in made if task.get_name().startswith("request")]) == tasks


async def test_requests_that_come_together_are_answered_one_after_the_other() -> None:
    plays = 500
    limits = Limits(max_command_cost=1_000_000, max_control_messages=1_000_000)
    connections = ConnectionLimits(max_plays_per_minute=0, max_command_cost_per_address=0)
    async with serve(connections=connections, limits=limits) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2))
        for _ in range(plays):
            client.say(command("play", 0, "cam", on=1), command("closeStream", 0, on=1))
        client.call("play", 0, "last", on=1)
        await eventually(lambda: house.stats.plays_total == plays + 1)
        assert set(house.registry.streams) == {StreamKey("live", "last")}


# Our own bugs


class Nonsense:
    async def authorize(self, request: AccessRequest) -> Grant:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize("request_name", ["publish", "play"])
async def test_a_bug_closes_the_connection_and_is_logged(
    request_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(authorizer=Nonsense()) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2), command(request_name, 3, "cam", on=1))
        await client.rest()
        await client.close()
    (record,) = [record for record in caplog.records if record.message == "request failed"]
    assert record.exc_info is not None


class Broken:
    """A session but for one method; the compiled form lets nobody replace a method of the real one."""

    def __init__(self, session: ServerSession, method: str) -> None:
        self._session = session
        self._method = method

    def __getattr__(self, name: str) -> object:
        return None if name == self._method else getattr(self._session, name)


async def test_a_bug_in_what_came_behind_a_request_is_logged_and_closes_it_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorman = Doorman({Action.CONNECT})
    async with serve(authorizer=doorman) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2))
        await eventually(lambda: len(doorman.requests) == 1)
        (connection,) = house.connections
        monkeypatch.setattr(connection, "session", Broken(connection.session, "events_received"))
        doorman.grant()
        await client.rest()
        await client.close()
    (record,) = [record for record in caplog.records if record.message == "request failed"]
    assert record.exc_info is not None


async def test_a_publish_that_breaks_after_the_claim_frees_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2))
        await client.until("_result 2 1")
        (connection,) = house.connections
        monkeypatch.setattr(connection, "session", Broken(connection.session, "accept_publish"))
        client.call("publish", 3, "cam", on=1)
        await client.rest()
        assert (house.stats.publishes_total, house.stats.publishers) == (1, 0)


# What is logged and counted


async def test_every_step_is_logged_once_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rtmpd")
    async with serve() as house:
        client = await house.client()
        client.say(
            connect(
                "live?key=SECRET", tcUrl="rtmp://me:SECRET@host/live?key=SECRET", flashVer="FMLE/3.0\x1b"
            ),
            command("createStream", 2),
            command("publish", 3, "cam?token=SECRET", on=1),
            command("createStream", 4),
            command("play", 5, "cam?token=SECRET", on=2),
        )
        client.send(*HEADERS, (0, keyframe("A")))
        await client.until("2: A@0")
        client.call("publish", 3, "cam?token=SECRET", on=2)
        await client.rest()
    lines = lines_of(caplog)
    assert [message for message, _ in lines] == [
        "connected", "publish started", "play started", "protocol error",
        "publish ended", "play ended", "closed",
    ]  # fmt: skip
    assert "SECRET" not in caplog.text + str(lines)
    connected, started, _, _, published, played, closed = [fields for _, fields in lines]
    number = connected["connection"]
    assert connected == {
        "client": "127.0.0.1", "connection": number, "app": "live", "agent": "FMLE/3.0\x1b",
        "tc_url": "rtmp://me:***@host/live?***",
    }  # fmt: skip
    sizes = len(AVC_HEADER) + len(AAC_HEADER) + len(keyframe("A"))
    assert 0 <= published.pop("duration") < 5
    session = published["session"]
    assert uuid.UUID(session).version == 7
    assert started == {
        "client": "127.0.0.1", "connection": number, "session": session,
        "app": "live", "stream": "cam", "agent": "FMLE/3.0\x1b", "account": None, "source": None,
    }  # fmt: skip
    assert published == {
        "client": "127.0.0.1", "connection": number, "session": session,
        "app": "live", "stream": "cam", "bytes": sizes,
        "codecs": "avc1+mp4a", "agent": "FMLE/3.0\x1b", "account": None, "reason": "publish_twice",
        "by": None,
    }  # fmt: skip
    assert 0 <= played.pop("duration") < 5
    assert played.pop("bytes") > sizes
    assert played == {
        "client": "127.0.0.1", "connection": number, "session": session,
        "app": "live", "stream": "cam", "dropped": 0,
        "codecs": "avc1+mp4a", "agent": "FMLE/3.0\x1b", "account": None, "reason": "publish_twice",
        "by": None,
    }  # fmt: skip
    assert (closed["reason"], closed["connection"]) == ("publish_twice", number)


async def test_at_info_who_is_refused_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rtmpd")
    async with serve() as house:
        await (await house.client()).publish()
        second = await house.client()
        second.say(connect(), command("createStream", 2), command("publish", 3, "cam", on=1))
        await second.rest()
        disorderly = await house.client()
        disorderly.say(connect(), connect())
        await disorderly.rest()
        await eventually(lambda: house.open_connections == 1)
        told = [message for message, _ in lines_of(caplog)]
    assert told == ["publish started", "publish refused", "protocol error"]


async def test_at_info_a_player_is_one_line_and_an_encoder_two(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rtmpd")
    async with serve() as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("A")))
        player = await (await house.client()).play()
        await player.until("1: A@0")
        visitor = await house.client()
        visitor.say(connect())
        await visitor.until("_result 1 status NetConnection.Connect.Success")
        for client in (player, encoder, visitor):
            before = house.open_connections
            await client.close()
            await eventually(lambda before=before: house.open_connections < before)
    assert [message for message, _ in lines_of(caplog)] == [
        "publish started", "play ended", "publish ended", "closed",
    ]  # fmt: skip


async def test_the_last_line_of_a_player_tells_what_was_said_and_what_it_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "rtmpd")
    async with serve() as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("A")))
        player = await (await house.client()).play()
        await player.until("1: A@0")
        await player.close()
        await eventually(lambda: house.open_connections == 1)
        closed, played = fields_of(caplog, "closed"), fields_of(caplog, "play ended")
    assert (closed["bytes_in"], closed["bytes_out"]) == (player.bytes_said, player.bytes_heard)
    assert 0 < played["bytes"] < closed["bytes_out"]
    assert 0 <= played["duration"] <= closed["duration"] < 5


async def test_bytes_and_messages_are_counted() -> None:
    async with serve() as house:
        client = await (await house.client()).publish()
        client.send(*HEADERS)
        await eventually(lambda: house.stream().stats.audio.messages_in)
        assert house.stats.bytes_in == client.bytes_said
        assert house.stats.messages_in == 5
        assert house.stats.bytes_out == client.bytes_heard


def test_the_handshake_of_the_captures_and_ours_are_of_one_size() -> None:
    assert len(HANDSHAKE) == HANDSHAKE_BYTES
