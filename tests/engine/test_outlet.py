"""Several plays on one transport, and what transports hold together."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from engine_kit import FakeSink, House, NamedWire, inter, keyframe, sound

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy
from rtmpd.engine.subscriber import Subscription

POLICY = SlowPlayerPolicy(
    max_backlog_bytes=1000, max_backlog_seconds=10.0, resume_backlog_bytes=200, disconnect_after=30.0
)


class Transport:
    """A transport with a high-water mark that reads only when it is told to."""

    def __init__(self, house: House, high_water: int = 300, *, private: bool = False) -> None:
        self.house = house
        self.high_water = high_water
        self.unsent = 0
        self.aborted: list[CloseReason] = []
        self.outlet = Outlet(house.registry.outlets, self, private=private)

    def backlog(self) -> int:
        return self.unsent

    def abort(self, reason: CloseReason) -> None:
        self.aborted.append(reason)

    def wrote(self, size: int) -> None:
        self.unsent += size
        if self.unsent > self.high_water:
            self.outlet.pause_writing(self.house.loop.now)

    def drain(self) -> None:
        """The peer has read everything."""
        self.unsent = 0
        self.outlet.resume_writing(self.house.loop.now)


class Play(FakeSink):
    """One play on a transport."""

    def __init__(self, transport: Transport, wire: NamedWire | None = None) -> None:
        super().__init__(wire)
        self.transport = transport
        self.outlet = transport.outlet

    def write(self, data: bytes) -> None:
        super().write(data)
        self.transport.wrote(len(data))


def play(transport: Transport, name: str = "cam", wire: NamedWire | None = None) -> tuple[Play, Subscription]:
    sink = Play(transport, wire)
    options = PlayOptions(policy=POLICY)
    _, subscription = transport.house.play(options, sink, StreamKey("live", name))
    return sink, subscription


def live(house: House, name: str = "cam", size: int = 500) -> Publication:
    """A stream with a group of pictures of ``size`` bytes."""
    publication = house.publish(StreamKey("live", name))
    house.send_headers(publication)
    house.send(publication, (0, keyframe("K".ljust(size, "."))))
    return publication


@pytest.fixture
def house() -> House:
    return House()


def test_who_does_not_read_is_sent_no_second_burst_until_it_does(house: House) -> None:
    publication = live(house)
    transport = Transport(house)
    first, subscription = play(transport)
    assert first.take() == "AAC@0 AVC@0 K@0"
    subscription.detach()
    unsent = transport.unsent
    for _ in range(60):
        again, subscription = play(transport)
        subscription.detach()
        assert again.writes == []
    assert transport.unsent == unsent
    last, _ = play(transport)
    house.send(publication, (40, inter()))
    assert last.writes == []
    transport.drain()
    assert last.take() == "AAC@0 AVC@0 K@0 P@40"
    house.send(publication, (80, inter()))
    assert last.take() == "P@80"


def test_playing_again_does_not_start_the_clock_anew(house: House) -> None:
    publication = live(house)
    transport = Transport(house)
    _, subscription = play(transport)
    closed: list[float] = []
    for at in range(0, 60, 5):
        house.loop.now = float(at)
        house.send(publication, (at * 1000, sound()))
        house.registry.sample(house.loop.now)
        if not subscription.attached:
            closed.append(house.loop.now)
        else:
            subscription.detach()
        _, subscription = play(transport)
    # Too old 10 s after the first byte behind the burst, for too long 30 s after that.
    assert closed[:1] == [40.0]
    assert house.stats.players_closed["slow"] == len(closed)


def test_a_pause_of_the_transport_is_a_pause_of_every_play(house: House) -> None:
    publication = live(house, size=10)
    live(house, "other", size=10)
    transport = Transport(house)
    plays = [play(transport), play(transport, "other")]
    assert all(subscription.fast for _, subscription in plays)
    house.send(publication, (40, inter("x" * 300)))
    assert not any(subscription.fast for _, subscription in plays)
    transport.drain()
    assert all(subscription.fast for _, subscription in plays)


def test_a_transport_is_charged_once_however_many_plays_it_has(house: House) -> None:
    live(house)
    transport = Transport(house, high_water=1500)
    plays = [play(transport, wire=NamedWire(str(number))) for number in range(3)]
    assert transport.outlet.congestion is not None
    assert len(plays[-1][0].writes) == 1
    assert house.registry.budget.backlog_bytes == transport.unsent
    assert house.stats.unsent_bytes == transport.unsent


def test_plays_of_the_same_images_are_charged_as_the_one_that_holds_most(house: House) -> None:
    publication = live(house)
    transports = [Transport(house) for _ in range(5)]
    for transport in transports:
        play(transport)
    house.send(publication, (40, inter("x" * 100)))
    transports[0].unsent = 50
    house.registry.sample(0.0)
    assert house.registry.budget.backlog_bytes == transports[1].unsent > 600
    for transport in transports[1:]:
        transport.drain()
    house.registry.sample(0.0)
    assert house.registry.budget.backlog_bytes == 50
    transports[0].outlet.close()
    assert house.registry.budget.backlog_bytes == 0


def test_a_push_and_the_players_are_charged_together(house: House) -> None:
    @dataclass(frozen=True)
    class Push(NamedWire):
        @property
        def for_frames(self) -> NamedWire:
            return NamedWire()

    live(house)
    transports = [Transport(house) for _ in range(2)]
    play(transports[0])
    play(transports[1], wire=Push("push:"))
    assert house.registry.budget.backlog_bytes == max(transport.unsent for transport in transports)


def test_other_formats_and_encrypted_transports_hold_bytes_of_their_own(house: House) -> None:
    live(house)
    transports = [Transport(house), Transport(house), Transport(house, private=True)]
    play(transports[0])
    play(transports[1], wire=NamedWire("x:"))
    play(transports[2])
    assert house.registry.budget.backlog_bytes == sum(transport.unsent for transport in transports)


def test_what_was_chosen_for_one_player_alone_is_charged_to_it(house: House) -> None:
    publication = live(house)
    transports = [Transport(house) for _ in range(2)]
    (sink, first), _ = [play(transport) for transport in transports]
    first.receive_video(False)
    house.send(publication, (40, inter("x" * 50)), (50, sound("y" * 20)))
    shared = max(transport.unsent for transport in transports)
    house.registry.sample(0.0)
    assert house.registry.budget.backlog_bytes == shared + len(sink.writes[-1])


def test_a_burst_larger_than_the_bound_costs_a_player_that_reads_nothing(house: House) -> None:
    publication = live(house, size=5000)
    transport = Transport(house)
    sink, subscription = play(transport)
    for at in range(40, 440, 40):
        house.loop.now += 0.04
        transport.unsent -= 400
        house.send(publication, (at, inter("x" * 50)))
    assert house.stream.stats.totals.drops == {}
    assert len(sink.words) == 3 + 10
    assert subscription.attached


def test_the_end_of_a_slow_transport_is_that_of_all_its_plays(house: House) -> None:
    live(house)
    live(house, "other")
    transport = Transport(house, high_water=1500)
    plays = [play(transport, name, wire) for name in ("cam", "other") for wire in (None, NamedWire("x:"))]
    house.send(house.stream.publication, (40, inter("x" * 1000)))
    house.registry.sample(0.0)
    house.registry.sample(31.0)
    assert [sink.calls[-1:] for sink, _ in plays] == [["close:slow"]] * 4
    assert transport.aborted == []
    assert house.registry.budget.backlog_bytes == 0


def test_one_connection_with_many_plays_takes_nobodys_picture_away() -> None:
    house = House(EngineLimits(memory_bytes=400_000))
    live(house, "innocent", size=50_000)
    publication = live(house, size=50_000)
    transports = [Transport(house) for _ in range(20)]
    wires = [NamedWire(f"{number}:") for number in range(8)]
    for transport in transports:
        for wire in wires:
            play(transport, wire=wire)
    for at in range(40, 4000, 40):
        house.send(publication, (at, inter("x" * 500)))
    assert house.stats.gop_trims == 0
    late, _ = play(Transport(house, high_water=10**9), "innocent")
    assert [word.split("@")[0][:1] for word in late.words] == ["A", "A", "K"]


def test_unread_bytes_without_a_play_go_too_when_memory_is_short() -> None:
    house = House(EngineLimits(memory_bytes=100_000))
    transport = Transport(house)
    transport.wrote(90_001)
    assert house.registry.budget.backlog_bytes == 90_001
    transport.unsent = 100_001
    house.registry.sample(1.0)
    assert transport.aborted == [CloseReason.MEMORY]
    assert house.registry.budget.used == 0


def test_relief_may_close_the_transport_that_asked() -> None:
    house = House(EngineLimits(memory_bytes=100_000))
    live(house, size=1000)
    transport = Transport(house)
    sink, subscription = play(transport)
    transport.unsent = 200_000
    house.registry.sample(1.0)
    assert sink.calls == ["close:memory"]
    assert not subscription.attached
    assert house.registry.budget.backlog_bytes == house.stats.unsent_bytes == 0
