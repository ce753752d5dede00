"""Reading many publishers in rounds: the rounds with fakes, then real publishers on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import ssl
import struct
import termios
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trustme
from engine_kit import AAC_HEADER, keyframe, sound
from net_kit import HEADERS, Client, Doorman, House, OpenDoor, eventually, media_messages, serve
from rtmp_dialogue import command, connect

import rtmpd.serving.publishing as publishing_module
import rtmpd.serving.reading as reading_module
from rtmpd.engine.sink import CloseReason
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving.access import AccessRequest, Grant
from rtmpd.serving.connection import ServerConnection
from rtmpd.serving.publishing import Publisher
from rtmpd.serving.reading import SocketReader
from rtmpd.serving.sweeper import ENOUGH, MAX_SHARE, SHORTEST, UNWATCHED_WINDOWS, Sweepable, Sweeper


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Timers:
    """``call_later`` and a clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 0.0
        self._set: list[Timer] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self.now + delay, callback)
        self._set.append(timer)
        return timer

    def clock(self) -> float:
        return self.now

    @property
    def waiting(self) -> list[Timer]:
        return sorted((t for t in self._set if not t.cancelled), key=lambda timer: timer.when)

    def turn(self) -> None:
        """Move the clock to the next timer and run it."""
        timer = self.waiting[0]
        self._set.remove(timer)
        self.now = max(self.now, timer.when)
        timer.callback()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        turns = 0
        while self.waiting and self.waiting[0].when <= end:
            self.turn()
            turns += 1
            assert turns < 10_000, "the clock stands still"
        self.now = end


class Member:
    """Notes what is done to it; ``on_sweep`` says what a look at it does, and whether there is more."""

    def __init__(self, watched: bool = True) -> None:
        self.watched = watched
        self.swept = False
        self.reads = 0
        self.moves = 0
        """From the event loop to the rounds and back."""
        self.errors: list[Exception] = []
        self.on_sweep: Callable[[], object] = lambda: False

    def begin_sweeping(self) -> None:
        assert not self.swept
        self.swept = True
        self.moves += 1

    def end_sweeping(self) -> None:
        assert self.swept
        self.swept = False
        self.moves += 1

    def sweep(self) -> bool:
        self.reads += 1
        assert self.swept
        return bool(self.on_sweep())

    def sweep_failed(self, error: Exception) -> None:
        assert not self.swept
        self.errors.append(error)


def make(timers: Timers, window: float = 0.05) -> Sweeper:
    return Sweeper(timers.call_later, window, timers.clock)


def crowd(sweeper: Sweeper, number: int = ENOUGH, *, watched: bool = True) -> list[Member]:
    members = [Member(watched) for _ in range(number)]
    for member in members:
        sweeper.add(member)
    return members


def members_of(sweeper: Sweeper) -> set[Sweepable]:
    return {*sweeper.watched.members, *sweeper.unwatched.members}


def costing(timers: Timers, seconds: float) -> Callable[[], object]:
    def sweep() -> None:
        timers.now += seconds

    return sweep


# When there are rounds


def test_few_are_left_to_the_event_loop() -> None:
    timers = Timers()
    members = crowd(make(timers), ENOUGH - 1)
    assert not any(member.swept for member in members)
    assert timers.waiting == []


def test_many_are_read_in_rounds_and_so_is_who_comes_later() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    late = crowd(sweeper, 1)
    timers.turn()
    assert [member.reads for member in members + late] == [1] * (ENOUGH + 1)
    assert len(timers.waiting) == 1


def test_rounds_end_well_below_the_number_that_begins_them() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    while len(members) > ENOUGH // 2 + 1:
        gone = members.pop()
        sweeper.remove(gone)
        assert not gone.swept
        assert all(member.swept for member in members)
    sweeper.remove(members.pop())
    assert not any(member.swept for member in members)
    assert timers.waiting == []
    # And begin again where they began.
    more = crowd(sweeper, ENOUGH - len(members) - 1)
    assert timers.waiting == []
    more += crowd(sweeper, 1)
    timers.turn()
    assert [member.reads for member in members + more] == [1] * ENOUGH


def test_nobody_is_moved_to_and_fro_by_one_who_comes_and_goes() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    for _ in range(5):
        sweeper.remove(members[0])
        sweeper.add(members[0])
    assert {member.moves for member in members[1:]} == {1}


def test_adding_and_removing_twice_changes_nothing() -> None:
    timers = Timers()
    sweeper = make(timers)
    stranger = Member()
    sweeper.remove(stranger)
    members = crowd(sweeper, ENOUGH - 1)
    for member in members:
        sweeper.add(member)
    assert timers.waiting == []
    members += crowd(sweeper, 2)
    sweeper.add(members[0])
    sweeper.remove(members[0])
    sweeper.remove(members[0])
    sweeper.remove(stranger)
    assert [member.moves for member in members] == [2] + [1] * ENOUGH
    assert stranger.moves == 0
    timers.turn()
    assert [member.reads for member in members] == [0] + [1] * ENOUGH


def test_a_window_of_nothing_leaves_everybody_to_the_event_loop() -> None:
    timers = Timers()
    sweeper = make(timers, window=0.0)
    members = crowd(sweeper, 10 * ENOUGH)
    for member in members:
        sweeper.read_now(member)
        sweeper.remove(member)
    assert {(member.moves, member.reads) for member in members} == {(0, 0)}
    assert timers.waiting == []


def test_another_window_begins_rounds_and_ends_them() -> None:
    timers = Timers()
    sweeper = make(timers, window=0.0)
    members = crowd(sweeper, watched=True) + crowd(sweeper, watched=False)
    sweeper.apply(0.02)
    assert all(member.swept for member in members)
    for member in members:
        member.on_sweep = costing(timers, 0.01)
    timers.run(5.0)
    assert (sweeper.watched.interval, sweeper.unwatched.interval) == (0.02, 0.02 * UNWATCHED_WINDOWS)
    members[0].on_sweep = lambda: True
    timers.run(1.0)
    sweeper.apply(0.0)
    assert not any(member.swept for member in members)
    assert timers.waiting == []
    sweeper.apply(0.02)
    timers.run(1.0)
    assert all(member.swept and not member.errors for member in members)


# How often


def test_the_interval_follows_the_cost() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    for member in members:
        member.on_sweep = costing(timers, 0.0005 / ENOUGH)
    timers.run(1.0)
    assert sweeper.watched.interval == pytest.approx(0.0005 / MAX_SHARE)
    assert timers.waiting[0].when - timers.now <= sweeper.watched.interval
    for member in members:
        member.on_sweep = costing(timers, 0.0)
    timers.run(1.0)
    assert sweeper.watched.interval == SHORTEST


def test_the_interval_never_passes_the_window() -> None:
    timers = Timers()
    sweeper = make(timers, window=0.02)
    members = crowd(sweeper)
    for member in members:
        member.on_sweep = costing(timers, 0.001)
    timers.run(1.0)
    assert sweeper.watched.interval == 0.02
    before = timers.now = timers.waiting[0].when
    timers.turn()
    assert timers.waiting[0].when == pytest.approx(before + ENOUGH * 0.001 + 0.02)


def test_rounds_that_cost_nothing_leave_the_loop_its_sleep() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    timers.run(1.0)
    assert members[0].reads == pytest.approx(1.0 / SHORTEST, abs=1)


def test_what_nobody_watches_may_wait_for_longer() -> None:
    timers = Timers()
    sweeper = make(timers)
    for member in crowd(sweeper, watched=False):
        member.on_sweep = costing(timers, 0.01)
    timers.run(1.0)
    assert sweeper.unwatched.interval == pytest.approx(0.05 * UNWATCHED_WINDOWS)


def test_what_nobody_watches_makes_nobody_wait() -> None:
    timers = Timers()
    sweeper = make(timers)
    watched = crowd(sweeper)
    for member in crowd(sweeper, 10 * ENOUGH, watched=False):
        member.on_sweep = costing(timers, 0.000_1)
    timers.run(1.0)
    assert sweeper.watched.interval == SHORTEST
    # Few that are watched are not read in rounds at all, however many others there are.
    for member in watched[1:]:
        sweeper.remove(member)
    assert not watched[0].swept


def test_one_is_placed_anew_when_somebody_watches_and_when_nobody_does_any_more() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper, 2 * ENOUGH, watched=False)
    for member in members[:ENOUGH]:
        member.watched = True
    timers.turn()
    assert set(sweeper.watched.members) == set(members[:ENOUGH])
    assert all(member.swept for member in members)
    for member in members[:ENOUGH]:
        member.watched = False
    timers.run(1.0)
    assert not sweeper.watched.members
    assert all(member.swept for member in members)


def test_few_that_are_read_by_the_event_loop_are_placed_anew_too() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper, ENOUGH - 1)
    for member in members:
        member.watched = False
    crowd(sweeper, 1, watched=False)
    assert len(sweeper.unwatched.members) == ENOUGH
    # While there are rounds, they see to it.
    (late,) = crowd(sweeper, 1)
    late.watched = False
    timers.turn()
    assert late.swept


def test_who_has_more_than_is_read_at_once_need_not_wait_for_its_turn() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper, watched=False)
    for member in members:
        member.on_sweep = costing(timers, 0.01)
    timers.run(1.0)
    rest = [True, True, False]
    fast = members[3]
    fast.on_sweep = lambda: rest.pop(0)
    before = [member.reads for member in members]
    while fast.reads == before[3]:
        timers.turn()
    found = timers.now
    assert len(timers.waiting) == 2
    timers.turn()
    timers.turn()
    assert timers.now == pytest.approx(found + 2 * SHORTEST)
    assert rest == []
    steps = [member.reads - reads for member, reads in zip(members, before, strict=True)]
    assert steps == [3 if member is fast else 1 for member in members]
    assert len(timers.waiting) == 1


def test_the_rounds_go_on_while_somebody_never_finishes() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    for member in members:
        member.on_sweep = costing(timers, 0.01)
    members[0].on_sweep = lambda: True
    timers.run(10.0)
    assert members[1].reads > 10.0 / (ENOUGH * 0.01 + 0.05) - 2
    assert members[0].reads > 2 * members[1].reads
    sweeper.remove(members[0])
    assert len(timers.waiting) == 1


def test_one_is_read_out_of_turn_when_asked() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper, ENOUGH - 1)
    sweeper.read_now(members[0])
    assert members[0].reads == 0  # The event loop reads it.
    members += crowd(sweeper, 1)
    sweeper.read_now(members[0])
    assert [member.reads for member in members[:2]] == [1, 0]
    sweeper.remove(members[0])
    sweeper.read_now(members[0])
    assert members[0].reads == 1


# What may happen inside a round


def test_who_is_removed_by_another_inside_a_round_is_not_read() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    members[1].on_sweep = lambda: sweeper.remove(members[2])
    members[3].on_sweep = lambda: sweeper.remove(members[0])
    members[4].on_sweep = lambda: sweeper.remove(members[4])
    timers.turn()
    assert [member.reads for member in members] == [1, 1, 0] + [1] * (ENOUGH - 3)
    timers.turn()
    assert [member.reads for member in members] == [1, 2, 0, 2, 1] + [2] * (ENOUGH - 5)


def test_rounds_that_end_inside_a_round_leave_the_rest_to_the_event_loop() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)

    def end() -> bool:
        for member in members[ENOUGH // 2 :]:
            sweeper.remove(member)
        return False

    members[0].on_sweep = lambda: True
    members[1].on_sweep = end
    timers.turn()
    assert [member.reads for member in members] == [1, 1] + [0] * (ENOUGH - 2)
    assert not any(member.swept for member in members)
    assert timers.waiting == []


def test_rounds_that_end_and_begin_inside_a_round_have_one_timer() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)

    def end_and_begin() -> None:
        for member in members:
            sweeper.remove(member)
        for member in members:
            sweeper.add(member)

    members[0].on_sweep = end_and_begin
    timers.turn()
    assert len(timers.waiting) == 1


def test_a_bug_in_one_costs_the_others_nothing() -> None:
    timers = Timers()
    sweeper = make(timers)
    members = crowd(sweeper)
    error = RuntimeError("bug")

    def fail() -> None:
        raise error

    members[1].on_sweep = fail
    for _ in range(3):
        timers.turn()
    assert members[1].errors == [error]
    assert [member.reads for member in members] == [3, 1] + [3] * (ENOUGH - 2)


# Real publishers


class Rounds(Timers):
    """Rounds that come when a test says so; each is taken for so long that the next is a window away."""

    def __init__(self) -> None:
        super().__init__()
        self.sweeper = Sweeper(self.call_later, 0.05, self.count)  # type: ignore[arg-type]
        self._counted = 0

    def count(self) -> float:
        self._counted += 1
        return float(self._counted)

    def everybody(self) -> None:
        """As many as it takes to read everybody, what is watched or not."""
        self.run(0.05 * UNWATCHED_WINDOWS)


class Reads:
    """What is read with ``os.read``: how often from which file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: Counter[int] = Counter()
        self._read = reading_module.os.read
        monkeypatch.setattr(reading_module.os, "read", self)

    def __call__(self, fileno: int, size: int) -> bytes:
        self.of[fileno] += 1
        return self._read(fileno, size)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


async def publishers(house: House, number: int = ENOUGH, *, watched: bool = False) -> list[Client]:
    """Publishers of cam0, cam1 and so on, with a player each if they are to be watched."""

    async def publish(name: str) -> Client:
        if watched:
            await (await house.client()).play(name)
        return await (await house.client()).publish(name)

    return await asyncio.gather(*[publish(f"cam{n}") for n in range(number)])


def connection_of(house: House, name: str = "cam0") -> ServerConnection:
    (found,) = [
        connection
        for connection in house.connections
        for publisher in connection.requests.publishers
        if publisher._publication.key.name == name
    ]
    return found


def swept(house: House) -> int:
    """How many are read in rounds; of each, exactly one of rounds and transport may read."""
    publishing = [c for c in house.connections if c.publishes]
    for connection in publishing:
        assert connection.transport.is_reading() == (
            connection.reader.reading and not connection.reader.swept
        )
    return sum(connection.reader.swept for connection in publishing)


def unread(connection: ServerConnection) -> int:
    """Bytes that wait in the socket."""
    return struct.unpack("i", fcntl.ioctl(connection.reader.fileno, termios.FIONREAD, bytes(4)))[0]


def frames(client: Client, number: int, size: int) -> bytes:
    """Headers and key frames called by their numbers, 40 ms apart, as they go over the wire."""
    media = [(40 * n, keyframe(str(n).ljust(size, "."))) for n in range(number)]
    return client.encode(*media_messages(*HEADERS, *media))


def videos(house: House, name: str = "cam0") -> int:
    return house.stream(name).stats.video.messages_in


async def test_everything_arrives_in_order_and_complete(reads: Reads) -> None:
    async with serve() as house:
        players = [await house.client() for _ in range(ENOUGH)]
        await asyncio.gather(*[player.play(f"cam{n}") for n, player in enumerate(players)])
        encoders = await publishers(house, 2 * ENOUGH)  # Half of them have nobody who watches.
        assert swept(house) == 2 * ENOUGH
        data = frames(encoders[0], 30, 3000)
        for start in range(0, len(data), 7919):
            for encoder in encoders:
                encoder.writer.write(data[start : start + 7919])
            await asyncio.sleep(0)
        for player in players:
            heard = await player.until("1: 29@1160")
            assert [line for line in heard if "@" in line] == [
                "1: AVC@0", "1: AAC@0", *[f"1: {n}@{40 * n}" for n in range(30)]
            ]  # fmt: skip
        await eventually(lambda: all(videos(house, f"cam{n}") == 31 for n in range(2 * ENOUGH)))
        assert swept(house) == 2 * ENOUGH
        assert set(reads.of) == {c.reader.fileno for c in house.connections if c.publishes}
        assert house.stats.drops == {}


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (lambda client: client.call("deleteStream", 7, 1), CloseReason.FINISHED),
        (lambda client: client.call("FCUnpublish", 6, "cam3"), CloseReason.FINISHED),
        (lambda client: client.writer.write_eof(), CloseReason.CONNECTION_LOST),
        (lambda client: client.writer.close(), CloseReason.CONNECTION_LOST),
        (lambda client: client.reset(), CloseReason.CONNECTION_LOST),
        (lambda client: client.writer.write(b"\xff" * 100), CloseReason.PROTOCOL_ERROR),
    ],
    ids=["deleteStream", "FCUnpublish", "half-close", "close", "reset", "garbage"],
)
@pytest.mark.parametrize("first", [b"", bytes(1)], ids=["", "behind-a-byte"])
async def test_the_name_of_one_who_leaves_is_free_again(leave, reason: CloseReason, first: bytes) -> None:
    async with serve() as house:
        encoders = await publishers(house)
        if first:
            encoders[3].send(*HEADERS)
        leave(encoders[3])
        await eventually(lambda: house.stats.publishers == ENOUGH - 1)
        assert house.stats.publishes_ended == {reason: 1}
        assert swept(house) == ENOUGH - 1
        await (await house.client()).publish("cam3")
        assert swept(house) == ENOUGH


@pytest.mark.parametrize("unread_data", [False, True])
async def test_the_end_and_a_reset_are_met_in_a_round(unread_data: bool) -> None:
    rounds = Rounds()
    async with serve(sweeper=rounds.sweeper) as house:
        encoders = await publishers(house)
        ended, broken = connection_of(house, "cam0"), connection_of(house, "cam1")
        if unread_data:
            for encoder in encoders[:2]:
                encoder.send(*HEADERS)
            await eventually(lambda: unread(ended) and unread(broken))
        encoders[0].writer.write_eof()
        encoders[1].reset()
        await encoders[1].close()
        # One look for what is unread, one for what comes after it.
        for _ in range(2 if unread_data else 1):
            assert members_of(rounds.sweeper) >= {ended.reader, broken.reader}
            rounds.everybody()
        assert not members_of(rounds.sweeper) & {ended.reader, broken.reader}
        await eventually(lambda: house.stats.publishers == ENOUGH - 2)
        assert house.stats.publishes_ended == {CloseReason.CONNECTION_LOST: 2}


async def test_the_file_of_one_who_left_is_not_read_when_it_is_another_s(reads: Reads) -> None:
    rounds = Rounds()
    async with serve(sweeper=rounds.sweeper) as house:
        encoders = await publishers(house, ENOUGH + 4)
        gone = [connection_of(house, f"cam{n}") for n in range(4)]
        gone[0].abort(CloseReason.KICKED)
        gone[1].end(CloseReason.KICKED)
        gone[2].transport.abort()
        gone[3].transport.close()
        assert not any(connection.reader in members_of(rounds.sweeper) for connection in gone[:2])
        for encoder in encoders[:4]:
            await encoder.closed()
            await encoder.close()
        await eventually(lambda: house.open_connections == ENOUGH)
        freed = {connection.reader.fileno for connection in gone}
        others = [await house.client() for _ in range(8)]
        sockets = [other.transport.get_extra_info("socket") for other in house.connections]
        assert freed & {sock.fileno() for sock in sockets}
        rounds.everybody()
        assert not freed & set(reads.of)
        assert len(others) == 8


async def test_one_publishes_again_on_the_same_connection() -> None:
    async with serve() as house:
        encoders = await publishers(house, watched=True)
        player = await (await house.client()).play("again")
        connection = connection_of(house, "cam0")
        encoders[0].call("deleteStream", 0, 1)
        await eventually(lambda: house.stats.publishers == ENOUGH - 1)
        assert not connection.reader.swept
        assert connection.transport.is_reading()
        encoders[0].say(command("createStream", 8), command("publish", 9, "again", on=1))
        await encoders[0].until("1: onStatus 0 status NetStream.Publish.Start")
        assert connection.reader.swept
        encoders[0].send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        # And without a pause, in one piece.
        encoders[0].say(
            command("deleteStream", 0, 1),
            command("createStream", 8),
            command("publish", 9, "again", on=1),
            *media_messages((0, AAC_HEADER), (40, sound("B"))),
        )
        await player.until("1: B@40")
        assert swept(house) == ENOUGH


async def test_what_follows_the_end_of_a_publish_is_left_to_the_transport(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading_module, "_READ_SIZE", 32)
    rounds = Rounds()
    async with serve(sweeper=rounds.sweeper) as house:
        encoders = await publishers(house)
        connection = connection_of(house)
        ask = command("getStreamLength", 9, "x" * 200)
        encoders[0].say(command("deleteStream", 0, 1), ask)
        size = len(encoders[0].encode(command("deleteStream", 0, 1), ask))
        await eventually(lambda: unread(connection) == size)
        rounds.everybody()
        assert unread(connection) > 200
        assert not connection.reader.swept
        await encoders[0].until("_result 9 0")


async def test_below_the_threshold_the_event_loop_reads_again(reads: Reads) -> None:
    async with serve() as house:
        encoders = await publishers(house, watched=True)
        player = await (await house.client()).play("cam0")
        encoders[0].send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        assert swept(house) == ENOUGH
        for encoder in encoders[ENOUGH // 2 :]:
            await encoder.close()
        await eventually(lambda: house.stats.publishers == ENOUGH // 2)
        assert swept(house) == 0
        reads.of.clear()
        encoders[0].send((40, keyframe("B")))
        await player.until("1: B@40")
        await eventually(lambda: house.open_connections == ENOUGH // 2 + 1 + ENOUGH)
        assert reads.of == {}


async def test_what_lay_in_the_socket_survives_both_handovers() -> None:
    rounds = Rounds()
    async with serve(sweeper=rounds.sweeper) as house:
        encoders = await publishers(house, ENOUGH - 1, watched=True)
        player = await (await house.client()).play("cam0")
        await (await house.client()).play("last")
        data = frames(encoders[0], 6, 10)
        third = len(data) // 3
        connection = connection_of(house)
        encoders[0].writer.write(data[:third])
        encoders += [await (await house.client()).publish("last")]
        assert swept(house) == ENOUGH
        encoders[0].writer.write(data[third : 2 * third])
        await eventually(lambda: unread(connection))
        for name in range(1, ENOUGH // 2 + 1):
            connection_of(house, f"cam{name}").end(CloseReason.KICKED)
        assert swept(house) == 0
        encoders[0].writer.write(data[2 * third :])
        assert (await player.until("1: 5@200"))[2:] == [f"1: {n}@{40 * n}" for n in range(6)]


async def test_a_fast_one_is_neither_lost_nor_does_it_hold_up_others(
    monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    most = 0
    sweep = SocketReader.sweep

    def watch(reader: SocketReader) -> bool:
        nonlocal most
        before = reads.of[reader.fileno]
        unfinished = sweep(reader)
        most = max(most, reads.of[reader.fileno] - before)
        return unfinished

    monkeypatch.setattr(SocketReader, "sweep", watch)
    monkeypatch.setattr(reading_module, "_READ_SIZE", 2048)
    async with serve() as house:
        encoders = await publishers(house, watched=True)
        player = await (await house.client()).play("cam0")
        encoders[0].writer.write(frames(encoders[0], 40, 100_000))
        encoders[1].writer.write(frames(encoders[1], 10, 100))
        for n in range(40):
            await player.until(f"1: {n}@{40 * n}")
        assert (videos(house), videos(house, "cam1")) == (41, 11)
        assert most == reading_module._MAX_READS


async def test_a_fast_one_need_not_wait_for_rounds_that_are_far_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading_module, "_READ_SIZE", 256)
    sweeper = Sweeper(asyncio.get_running_loop().call_later, 0.2, Rounds().count)
    async with serve(sweeper=sweeper) as house:
        encoders = await publishers(house)
        await eventually(lambda: sweeper.unwatched.interval == 0.2 * UNWATCHED_WINDOWS)
        # Thirteen looks, and as nobody watches, 0.8 seconds from one to the next.
        encoders[0].writer.write(frames(encoders[0], 50, 1000))
        await eventually(lambda: videos(house) == 51)


async def test_one_with_too_many_messages_is_read_later_and_loses_nothing(reads: Reads) -> None:
    rounds = Rounds()
    limits = Limits(max_messages=400, max_messages_burst=50)
    async with serve(sweeper=rounds.sweeper, limits=limits) as house:
        encoders = await publishers(house, watched=True)
        player = await (await house.client()).play("cam0")
        connection = connection_of(house)
        encoders[0].send((0, AAC_HEADER), *[(n, sound(str(n))) for n in range(120)])
        await eventually(lambda: unread(connection))
        rounds.everybody()
        await player.until("1: 119@119")
        assert not connection.reader.reading
        encoders[0].send((120, sound("120")))
        await eventually(lambda: unread(connection))
        reads.of.clear()
        rounds.everybody()
        assert reads.of[connection.reader.fileno] == 0
        assert swept(house) == ENOUGH
        await eventually(lambda: connection.reader.reading)
        rounds.everybody()
        await player.until("1: 120@120")


class Hesitant(OpenDoor):
    """Opens to everybody but the publisher of ``late``, who waits for the doorman."""

    def __init__(self) -> None:
        self.doorman = Doorman()

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        door = self.doorman if request.key.name == "late" else super()
        return door.authorize(request)


async def test_nothing_is_read_while_a_request_waits_for_its_answer(reads: Reads) -> None:
    rounds = Rounds()
    door = Hesitant()
    async with serve(sweeper=rounds.sweeper, authorizer=door) as house:
        encoders = await publishers(house)
        connection = connection_of(house)
        encoders[0].say(command("createStream", 8), command("publish", 9, "late", on=2))
        await eventually(lambda: unread(connection))
        rounds.everybody()
        await eventually(lambda: door.doorman.requests)
        encoders[0].say(Message(8, 0, 2, AAC_HEADER), Message(8, 40, 2, sound("A")))
        await eventually(lambda: unread(connection))
        reads.of.clear()
        rounds.everybody()
        assert (reads.of[connection.reader.fileno], swept(house)) == (0, ENOUGH)
        door.doorman.grant()
        await encoders[0].until("2: onStatus 0 status NetStream.Publish.Start")
        rounds.everybody()
        assert house.stream("late").stats.audio.messages_in == 2
        # The end of one publish leaves the other where it is.
        encoders[0].call("deleteStream", 0, 1)
        await eventually(lambda: unread(connection))
        rounds.everybody()
        assert house.stats.publishers == swept(house) == ENOUGH


async def test_one_that_its_own_first_media_ended_is_not_read_in_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Trouble(Publisher):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            if self._publication.key.name == "late":
                self.receive = lambda message, now: self.close(CloseReason.KICKED)

    monkeypatch.setattr(publishing_module, "Publisher", Trouble)
    door = Hesitant()
    async with serve(authorizer=door) as house:
        await publishers(house)
        client = await house.client()
        client.say(connect(), command("createStream", 2), command("publish", 3, "late", on=1))
        client.say(Message(8, 0, 1, AAC_HEADER))
        await eventually(lambda: door.doorman.requests)
        door.doorman.grant()
        await client.rest()
        assert len(members_of(house.context.sweeper)) == ENOUGH


async def test_a_deadline_waits_for_what_waits_for_its_round() -> None:
    rounds = Rounds()
    now = 0.0
    # The shortest of the limits says how often deadlines are looked at.
    limits = Limits(ping_timeout=0.05)
    async with serve(sweeper=rounds.sweeper, limits=limits, clock=lambda: now) as house:
        encoders = await publishers(house)
        connections = [connection_of(house, f"cam{n}") for n in range(ENOUGH)]
        for encoder in encoders:
            encoder.send(*HEADERS)
        await eventually(lambda: all(unread(connection) for connection in connections))
        rounds.everybody()
        for encoder in encoders:
            encoder.send((40, sound()))
        await eventually(lambda: all(unread(connection) for connection in connections))
        now = 1000.0
        await eventually(lambda: house.stats.sessions_failed or not any(map(unread, connections)))
        assert house.stats.sessions_failed == {}
        assert {house.stream(f"cam{n}").stats.audio.messages_in for n in range(ENOUGH)} == {2}
        # And does strike who is silent, and does not answer a ping.
        now = 2000.0
        await eventually(lambda: all(connection.look_at > now for connection in connections))
        assert house.stats.publishers == ENOUGH
        now = 3000.0
        await eventually(lambda: house.stats.publishers == 0)
        assert house.stats.sessions_failed == {"idle": ENOUGH}


async def test_tls_is_left_to_its_transport(reads: Reads) -> None:
    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    async with serve() as house:
        listener = await asyncio.get_running_loop().create_server(
            lambda: ServerConnection(house.context, house.server), "127.0.0.1", 0, ssl=ours
        )
        with contextlib.closing(listener):
            encoders = await publishers(house, watched=True)
            port = listener.sockets[0].getsockname()[1]
            link = await asyncio.open_connection("127.0.0.1", port, ssl=theirs, server_hostname="localhost")
            client = Client(*link)
            house.clients.append(client)
            await (await client.handshake()).publish("secret")
            players = [await (await house.client()).play(name) for name in ("secret", "cam0")]
            for encoder in (client, encoders[0]):
                encoder.send(*HEADERS, (0, keyframe("A")))
            for player in players:
                await player.until("1: A@0")
            encrypted = connection_of(house, "secret")
            assert swept(house) == ENOUGH
            assert encrypted._socket.fileno() not in reads.of
            assert connection_of(house).reader.fileno in reads.of
            await client.close()
            await eventually(lambda: house.stats.publishers == ENOUGH)


class Breaks:
    """A session with a bug in what every byte goes through."""

    def __init__(self, session: ServerSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> object:
        if name == "receive_data":
            raise RuntimeError("bug")
        return getattr(self._session, name)


async def test_a_bug_closes_one_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as house:
        encoders = await publishers(house, watched=True)
        player = await (await house.client()).play("cam0")
        broken = connection_of(house, "cam1")
        monkeypatch.setattr(broken, "session", Breaks(broken.session))
        encoders[1].send(*HEADERS)
        await encoders[1].closed()
        assert house.stats.publishes_ended == {CloseReason.INTERNAL_ERROR: 1}
        assert swept(house) == ENOUGH - 1
        encoders[0].send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        number = broken.origin.connection
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (record.message, record.exc_info is not None) == ("reading failed", True)
    assert record.fields == {"client": "127.0.0.1", "connection": number}


async def test_the_server_closes_in_order_while_rounds_go_on() -> None:
    async with serve() as house:
        encoders = await publishers(house, 2 * ENOUGH)
        for encoder in encoders:
            encoder.send(*HEADERS, (0, keyframe("A" * 1000)))
        closing = asyncio.create_task(house.server.close(60.0))
        for encoder in encoders:
            assert (await encoder.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Failed"
            await encoder.close()
        await closing
        assert house.stats.publishes_ended == {CloseReason.SHUTDOWN: 2 * ENOUGH}
        assert not house.context.sweeper.unwatched.running


async def test_who_is_cut_off_leaves_no_rounds_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.serving.connection._LINGER", 60.0)
    async with serve() as house:
        await publishers(house)
        await house.server.close(0.05)
        assert house.open_connections == 0
        assert not house.context.sweeper.unwatched.running
