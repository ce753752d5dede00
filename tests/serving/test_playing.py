"""From play to a subscription and back: who comes first, who stays, who is too slow."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from engine_kit import AAC_HEADER, AVC_HEADER, AVC_HEADER_2, inter, keyframe, metadata, sound
from net_kit import HEADERS, Client, Doorman, House, describe, eventually, pending_timers, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy
from rtmpd.exceptions import Refused, ResourceExhausted
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.messages import Message
from rtmpd.serving.access import Action, PlayRules
from rtmpd.serving.connection import ServerConnection

STARTED = "1: onStatus 0 status NetStream.Play.Start"
CAME = ["StreamBegin 1", "1: onStatus 0 status NetStream.Play.PublishNotify"]
LEFT = ["StreamEof 1", "1: onStatus 0 status NetStream.Play.UnpublishNotify"]


def ask(client: Client, name: str = "cam?token=SECRET") -> None:
    client.say(connect(), command("createStream", 2), command("play", 3, name, on=1))


async def asked(house: House, doorman: Doorman) -> Client:
    client = await house.client()
    ask(client)
    await eventually(lambda: doorman.requests)
    return client


async def test_a_late_joiner_hears_the_start_then_headers_then_the_gop() -> None:
    async with serve() as house:
        encoder = await (await house.client()).publish()
        encoder.send((0, metadata(width=640)), *HEADERS, (0, keyframe("A")), (40, inter("B")))
        await eventually(lambda: house.stream().stats.video.messages_in == 3)
        player = await house.client()
        ask(player, "cam")
        assert await player.until("1: B@40") == [
            "_result 1 status NetConnection.Connect.Success",
            "_result 2 1",
            "StreamBegin 1",
            "1: onStatus 0 status NetStream.Play.Reset",
            STARTED,
            "1: meta@0",
            "1: AAC@0",
            "1: AVC@0",
            "1: A@0",
            "1: B@40",
        ]
        assert house.stats.time_to_first_frame.count == 1


async def test_players_that_come_first_are_told_and_stay() -> None:
    async with serve() as house:
        player = await (await house.client()).play()
        for session, header in enumerate((AVC_HEADER, AVC_HEADER_2, AVC_HEADER)):
            encoder = await (await house.client()).publish()
            encoder.send((0, header), (0, AAC_HEADER), (0, keyframe(f"K{session}")), (40, inter()))
            encoder.call("FCUnpublish", 6, "cam")
            assert await player.until(LEFT[-1]) == [
                *CAME,
                "1: AVC2@0" if header == AVC_HEADER_2 else "1: AVC@0",
                "1: AAC@0",
                f"1: K{session}@0",
                "1: P@40",
                *LEFT,
            ]


async def test_nobody_waits_for_ever_if_told_so() -> None:
    async with serve(wait_timeout=0.05) as house:
        player = await (await house.client()).play()
        assert await player.rest() == ["1: onStatus 0 error NetStream.Play.StreamNotFound"]
        assert dict(house.registry.streams) == {}


@pytest.mark.parametrize("published", [True, False])
async def test_a_play_lasts_as_long_as_it_may(published: bool) -> None:
    rules = PlayRules(wait_timeout=60.0, max_duration=0.1)
    async with serve(play_rules=lambda _key: rules) as house:
        if published:
            await (await house.client()).publish()
        player = await (await house.client()).play()
        assert (await player.rest())[-1] == "1: onStatus 0 error NetStream.Play.Failed"
        assert house.stats.players_closed == {CloseReason.MAX_DURATION: 1}
        await (await house.client()).play()


async def test_the_patience_of_a_player_begins_anew_when_its_publisher_leaves() -> None:
    async with serve(wait_timeout=0.1) as house:
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        loop = asyncio.get_running_loop()
        joined = loop.time()
        await eventually(lambda: loop.time() > joined + 0.2)
        assert house.stats.players == 1
        encoder.call("FCUnpublish", 6, "cam")
        assert await player.rest() == [*LEFT, "1: onStatus 0 error NetStream.Play.StreamNotFound"]


async def test_a_player_that_costs_its_publisher_the_last_memory_waits_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(engine=EngineLimits(memory_bytes=150_000), wait_timeout=0.1) as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("K" * 90_000)))
        await eventually(lambda: house.stream().stats.video.messages_in == 2)
        (publisher,) = house.connections
        house.registry.add_reliever(lambda _: publisher.abort(CloseReason.MEMORY))
        player = await (await house.client()).play()
        await player.close()
        await asyncio.sleep(0.15)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_the_patience_of_a_player_ends_when_a_publisher_comes() -> None:
    async with serve(wait_timeout=0.1) as house:
        player = await (await house.client()).play()
        await (await house.client()).publish()
        await player.until(CAME[-1])
        loop = asyncio.get_running_loop()
        came = loop.time()
        await eventually(lambda: loop.time() > came + 0.2)
        assert house.stats.players == 1


async def test_pause_and_receive_audio() -> None:
    async with serve() as house:
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        player.call("pause", 0, True, 0, on=1)
        await player.until("1: onStatus 0 status NetStream.Pause.Notify")
        (subscription,) = house.stream().subscriptions
        await eventually(lambda: subscription.paused)
        encoder.send((40, inter("B")), (80, keyframe("C")))
        await eventually(lambda: house.stream().stats.keyframes == 2)
        player.call("pause", 0, False, 0, on=1)
        player.call("receiveAudio", 0, False, on=1)
        player.call("seek", 0, 0, on=1)
        await player.until("1: onStatus 0 status NetStream.Seek.Notify")
        encoder.send((120, inter("D")), (160, keyframe("E")), (160, sound("s")), (200, inter("F")))
        assert (await player.until("1: F@200"))[-2:] == ["1: E@160", "1: F@200"]


# Names


@pytest.mark.parametrize(
    ("asked_for", "published"),
    [
        ("mp4:cam", "cam"),
        ("flv:cam", "cam"),
        ("cam.flv", "cam"),
        ("mp4:cam.mp4", "cam.mp4"),
        ("mp4:cam.f4v", "cam"),
        ("room/mp4:cam.mp4", "room/cam"),
        ("mp4:cam.mp4", "mp4:cam.mp4"),
    ],
)
async def test_the_kind_of_a_file_in_a_player_s_name(asked_for: str, published: str) -> None:
    async with serve() as house:
        encoder = await (await house.client()).publish(published)
        encoder.send(*HEADERS, (0, keyframe("A")))
        player = await (await house.client()).play(asked_for)
        await player.until("1: A@0")
        assert set(house.registry.streams) == {StreamKey("live", published)}


@pytest.mark.parametrize(
    ("asked_for", "published"),
    [
        ("mp4:cam", "cam"),
        ("flv:room/flv:cam", "room/cam"),
        ("cam.flv", "cam.flv"),
        ("mp4:cam.mp4", "mp4:cam.mp4"),
    ],
)
async def test_a_player_that_comes_first_waits_for_what_encoders_publish(
    asked_for: str, published: str
) -> None:
    async with serve() as house:
        player = await (await house.client()).play(asked_for)
        await eventually(lambda: house.stats.players)
        encoder = await (await house.client()).publish(published)
        encoder.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        assert set(house.registry.streams) == {StreamKey("live", published)}


async def test_the_literal_name_wins_over_what_it_may_stand_for() -> None:
    async with serve() as house:
        for name in ("cam", "cam.mp4"):
            encoder = await (await house.client()).publish(name)
            encoder.send(*HEADERS, (0, keyframe(name)))
        player = await (await house.client()).play("cam.mp4")
        await player.until("1: cam.mp4@0")
        assert (house.stream("cam").players, house.stream("cam.mp4").players) == (0, 1)


async def test_an_encoder_means_what_it_says() -> None:
    async with serve() as house:
        await (await house.client()).publish("cam")
        await (await house.client()).publish("mp4:cam.mp4")
        assert set(house.registry.streams) == {StreamKey("live", "cam"), StreamKey("live", "mp4:cam.mp4")}


# Refusals


async def test_a_play_that_cannot_be_attached_is_not_accepted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as house:

        def full(*_args: object) -> None:
            raise ResourceExhausted(StatusCode.PLAY_FAILED, "Full just now.", Refusal.PLAYERS)

        monkeypatch.setattr(house.registry, "attach", full)
        player = await house.client()
        ask(player, "cam")
        assert await player.rest() == [
            "_result 1 status NetConnection.Connect.Success",
            "_result 2 1",
            "1: onStatus 0 error NetStream.Play.Failed",
        ]


async def test_a_denied_player_is_told_and_closed() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        player = await asked(house, doorman)
        assert (doorman.requests[0].action, doorman.requests[0].query) == (Action.PLAY, "token=SECRET")
        doorman.fail(Refused(StatusCode.PLAY_FAILED, "Members only.", Refusal.NOBODY))
        assert (await player.rest())[-1] == "1: onStatus 0 error NetStream.Play.Failed"
        assert house.stats.refusals == {Refusal.NOBODY: 1}


async def test_an_authorizer_that_fails_lets_nobody_look() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        player = await asked(house, doorman)
        doorman.fail(LookupError("a bug"))
        assert (await player.rest())[-1] == "1: onStatus 0 error NetStream.Play.Failed"
        assert house.stats.refusals == {"authorizer_failed": 1}


@pytest.mark.parametrize(
    ("name", "limits", "code", "reason"),
    [
        ("a b", {}, "StreamNotFound", "name_character"),
        ("cam", {"max_players": 1}, "Failed", "players"),
        ("first", {"max_players_per_stream": 1}, "Failed", "players_per_stream"),
        ("cam", {"max_waiting_names": 1}, "StreamNotFound", "waiting_names"),
        ("cam", {"max_waiting_names_per_network": 1}, "StreamNotFound", "waiting_names_per_address"),
    ],
)
async def test_a_play_that_cannot_be(name: str, limits: dict[str, int], code: str, reason: str) -> None:
    async with serve(engine=EngineLimits(**limits)) as house:
        await (await house.client()).play("first")
        player = await house.client()
        ask(player, name)
        assert await player.rest() == [
            "_result 1 status NetConnection.Connect.Success",
            "_result 2 1",
            f"1: onStatus 0 error NetStream.Play.{code}",
        ]
        assert house.stats.refusals == {reason: 1}


async def test_a_player_that_is_gone_before_the_answer_is_not_attached() -> None:
    doorman = Doorman(swallow=True)
    async with serve(authorizer=doorman) as house:
        await asked(house, doorman)
        (connection,) = house.connections
        connection.abort(CloseReason.KICKED)
        await eventually(lambda: doorman.cancelled and house.open_connections == 0)
        assert house.stats.plays_total == 0


# The end


@pytest.mark.parametrize(
    ("reason", "code"), [(CloseReason.KICKED, "Failed"), (CloseReason.CROWDED, "StreamNotFound")]
)
async def test_the_engine_ends_a_play_and_the_player_is_told(reason: CloseReason, code: str) -> None:
    async with serve() as house:
        player = await (await house.client()).play()
        (subscription,) = house.stream().subscriptions
        subscription.close(reason)
        assert await player.rest() == [f"1: onStatus 0 error NetStream.Play.{code}"]
        assert house.stats.players_closed == {reason: 1}


async def test_a_player_may_play_something_else() -> None:
    async with serve() as house:
        for name in ("one", "two"):
            encoder = await (await house.client()).publish(name)
            encoder.send(*HEADERS, (0, keyframe(name)))
        player = await (await house.client()).play("one")
        await player.until("1: one@0")
        player.call("play", 0, "two", on=1)
        assert (await player.until("1: two@0"))[-3:] == ["1: AAC@0", "1: AVC@0", "1: two@0"]
        assert len(house.stream("one").subscriptions) == 0


# Slow players


POLICY = SlowPlayerPolicy(
    max_backlog_bytes=512 * 1024,
    max_backlog_seconds=60.0,
    resume_backlog_bytes=64 * 1024,
    disconnect_after=0.2,
)
FRAME = 50_000


async def stuck_player(house: House, name: str = "cam") -> Client:
    """One that reads nothing more than it takes to play."""
    return await (await house.client(receive_buffer=4096)).play(name)


async def test_a_player_that_stops_reading_is_dropped_and_delays_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rtmpd.serving.playing")
    options = PlayOptions(policy=POLICY)
    async with serve(play_options=options, send_buffer=4096, high_water_bytes=64 * 1024) as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS)
        quick = await (await house.client()).play()
        await stuck_player(house)
        number = 0
        while house.stats.players == 2:
            encoder.send((40 * number, keyframe(str(number) + "." * FRAME)))
            # Every frame reaches the quick one before the next is sent.
            await quick.until(f"1: {number}@{40 * number}")
            number += 1
            house.registry.sample(asyncio.get_running_loop().time())
        assert house.stats.players_closed == {CloseReason.SLOW: 1}
        assert house.stats.drops["slow_video"] > 0
        (congested,) = [record.fields for record in caplog.records if record.message == "play ended"]
        assert (congested["reason"], congested["dropped"] > 0) == (CloseReason.SLOW, True)


async def test_the_second_play_of_a_congested_connection_is_congested_from_the_start() -> None:
    policy = replace(POLICY, max_backlog_bytes=64 * 1024 * 1024, disconnect_after=60.0)
    high = 4 * 1024 * 1024
    options = PlayOptions(policy=policy)
    async with serve(play_options=options, send_buffer=4096, high_water_bytes=high) as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        player = await stuck_player(house)
        (connection,) = [c for c in house.connections if c.state == "playing"]
        while not connection.outlet.congestion:
            encoder.send((40, inter("." * FRAME)))
            await encoder.writer.drain()
            await asyncio.sleep(0)
        # Below the mark at which flow control would pause it, and above the one at which it resumes.
        while connection.transport.get_write_buffer_size() >= high:
            await player.reader.read(4096)
            await asyncio.sleep(0)
        assert connection.outlet.congestion
        player.call("createStream", 4)
        player.call("play", 0, "other", on=2)
        await eventually(lambda: house.stats.players == 2)
        (second,) = house.stream("other").subscriptions
        assert second.outlet is connection.outlet
        assert not second.begun
        player.reset()


SO_MEMINFO, WMEM_QUEUED = 55, 5
"""Linux: what a socket holds of the kernel's memory, and where in it the send queue is."""


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="asks the Linux kernel")
async def test_the_kernel_holds_little_for_players_that_do_not_read() -> None:
    count, sent = 20, 2 * 1024 * 1024
    async with serve() as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        for _ in range(count):
            await stuck_player(house)
        for number in range(sent // FRAME):
            encoder.send((40 * number, inter("." * FRAME)))
        await eventually(lambda: house.stream().stats.video.bytes_in > sent - FRAME)
        players = [c for c in house.connections if c.state == "playing"]
        # Every one of them is known to be behind long before its kernel would have taken 4 MiB.
        await eventually(lambda: all(player.outlet.congestion for player in players))
        queued = [
            struct.unpack("9I", player._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[WMEM_QUEUED]
            for player in players
        ]
        assert len(queued) == count
        assert sum(queued) < 10 * 1024 * 1024


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="asks the Linux kernel")
async def test_a_player_that_vanished_is_found_dead_by_the_kernel() -> None:
    policy = replace(POLICY, max_backlog_seconds=10.0, disconnect_after=30.0)
    async with serve(play_options=PlayOptions(policy=policy)) as house:
        await (await house.client()).publish()
        await (await house.client()).play()
        timeouts = {
            connection.state: connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            for connection in house.connections
        }
        # Later than the slow-player policy would decide; an encoder that never reads is none of its business.
        assert timeouts == {"playing": 60_000, "publishing": 0}


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="asks the Linux kernel")
async def test_a_connection_that_the_kernel_gave_up_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(send_buffer=4096) as house:
        encoder = await (await house.client()).publish()
        await stuck_player(house)
        (connection,) = [c for c in house.connections if c.state == "playing"]
        connection._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 100)
        encoder.send(*HEADERS, (0, keyframe("." * 300_000)))
        await eventually(lambda: house.stats.connections["playing"] == 0)
        assert house.stats.players == 0
    assert caplog.records == []


# Years of it


FILES = Path("/proc/self/fd")


def open_files() -> int:
    return len(list(FILES.iterdir())) if FILES.exists() else 0


async def session_of(house: House, number: int, *, crash: bool) -> None:
    """One life of a publisher whose headers and media name it."""
    encoder = await (await house.client()).publish()
    header = AVC_HEADER[:-1] + bytes([number])
    encoder.send((0, header), (0, AAC_HEADER), (0, keyframe(f"K{number}")), (40, inter(f"P{number}")))
    await eventually(lambda: house.stream().stats.video.messages_in == 3)
    if crash:
        encoder.reset()
    else:
        encoder.call("FCUnpublish", 6, "cam")
        encoder.call("deleteStream", 7, 1)
    await encoder.close()
    house.clients.remove(encoder)
    await eventually(lambda: house.stats.connections["publishing"] == 0)


async def test_twenty_restarts_of_a_publisher_under_ten_players() -> None:
    restarts, count = 20, 10
    async with serve() as house:
        players = [await (await house.client()).play() for _ in range(count)]
        connections = set(house.connections)
        tasks = asyncio.all_tasks()
        listeners = [asyncio.create_task(lives_heard_by(player, restarts + 1)) for player in players]
        await session_of(house, 0, crash=False)
        gc.collect()
        files = open_files()
        for number in range(1, restarts + 1):
            await session_of(house, number, crash=bool(number % 2))
            assert set(house.connections) == connections
            assert len(house.registry.streams) == 1
            assert house.registry.budget.used == 0
        for heard in await asyncio.gather(*listeners):
            assert heard == [life_of(number) for number in range(restarts + 1)]
        gc.collect()
        assert open_files() == files
        assert asyncio.all_tasks() == tasks
        # One for the deadlines of all connections.
        assert len(pending_timers(asyncio.get_running_loop())) in (0, 1)
        stats = house.stats
        assert (stats.players, stats.plays_total, stats.publishes_total) == (count, count, restarts + 1)


def life_of(number: int) -> list[str]:
    return [*CAME, f"header {number}", "1: AAC@0", f"1: K{number}@0", f"1: P{number}@40", *LEFT]


async def lives_heard_by(player: Client, lives: int) -> list[list[str]]:
    return [await life_heard_by(player) for _ in range(lives)]


async def life_heard_by(player: Client) -> list[str]:
    heard: list[str] = []
    while not heard or heard[-1] != LEFT[-1]:
        message = await player.hear_message()
        if message.payload.startswith(AVC_HEADER[:-1]):
            heard.append(f"header {message.payload[-1]}")
        elif (line := describe(message)) is not None:
            heard.append(line)
    return heard


# Memory gives out in the middle of a call


async def test_a_joiner_that_costs_itself_the_last_memory_is_closed_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its burst is encoded, memory is short, and what it has half sent makes it the one to go."""
    async with serve(engine=EngineLimits(memory_bytes=200_000)) as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("K" * 90_000)))
        await eventually(lambda: house.stream().stats.video.messages_in == 2)
        player = await house.client()
        half = player.encode(
            connect(),
            command("createStream", 2),
            command("play", 3, "cam", on=1),
            Message(20, 0, 0, bytes(60_000)),
        )
        player.writer.write(half[:-100])
        await player.closed()
        await eventually(lambda: house.open_connections == 1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_farewell_that_costs_the_last_memory_is_said_quietly(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(wait_timeout=5.0) as house:
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        player = await (await house.client()).play()
        (connection,) = [each for each in house.connections if each.state == "playing"]
        # As when the farewell fills the transport and the budget.
        flush = ServerConnection.flush
        monkeypatch.setattr(
            ServerConnection,
            "flush",
            lambda each: each.abort(CloseReason.MEMORY) if each is connection else flush(each),
        )
        encoder.call("FCUnpublish", 6, "cam")
        await player.closed()
        await eventually(lambda: house.open_connections == 1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
