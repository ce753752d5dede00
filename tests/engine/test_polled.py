"""Sinks that cannot say when they are full: policy, accounts and budget are those of all others."""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections.abc import Sequence

import pytest
from aiohttp import web
from engine_kit import KEY, House, NamedWire, inter, keyframe, sound

from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.polled import PolledOutlet, PolledSink
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy

POLICY = SlowPlayerPolicy(
    max_backlog_bytes=1000, max_backlog_seconds=10.0, resume_backlog_bytes=200, disconnect_after=30.0
)
HIGH_WATER = 400


class Response:
    """What an HTTP handler has: a place to write to, whose backlog can be asked for and nothing else."""

    def __init__(self, house: House, *, stalled: bool = False, private: bool = False) -> None:
        self.wire_format = NamedWire()
        self.written = b""
        self.unsent = 0
        self.stalled = stalled
        self.calls: list[str] = []
        self.outlet = PolledOutlet(
            house.registry.outlets, self, house.loop.clock, HIGH_WATER, private=private
        )
        options, now = PlayOptions(policy=POLICY), house.loop.now
        self.subscription = house.registry.attach(
            KEY, PolledSink(self, self.outlet), self.outlet, options, now
        )
        self.subscription.join(now)

    def write(self, data: bytes) -> None:
        self.written += data
        if self.stalled:
            self.unsent += len(data)

    def write_all(self, images: Sequence[bytes]) -> None:
        self.write(b"".join(images))

    def stream_started(self) -> None:
        self.calls.append("started")

    def stream_ended(self) -> None:
        self.calls.append("ended")

    def close(self, reason: CloseReason) -> None:
        self.calls.append(f"close:{reason}")
        self.outlet.close()

    def backlog(self) -> int:
        return self.unsent

    def abort(self, reason: CloseReason) -> None:
        raise AssertionError(reason)

    def take(self) -> str:
        words, self.written = self.written.decode().split(), b""
        return " ".join(word.rstrip(".") for word in words)


def frame(word: str, size: int = 250) -> str:
    return word.ljust(size, ".")


def live(house: House, size: int = 10) -> Publication:
    publication = house.publish()
    house.send_headers(publication)
    house.send(publication, (0, keyframe(frame("K0", size))))
    return publication


@pytest.fixture
def house() -> House:
    return House()


def test_as_long_as_it_keeps_up_it_is_on_the_fast_list_and_nobody_looks(house: House) -> None:
    publication = live(house)
    response = Response(house)
    house.send(publication, (40, inter("P")))
    assert response.take() == "AAC@0 AVC@0 K0@0 P@40"
    assert response.subscription.on_fast_list
    publication.close(CloseReason.FINISHED)
    house.publish()
    assert response.calls == ["ended", "started"]


def test_one_that_stalls_falls_behind_and_recovers(house: House) -> None:
    publication = live(house)
    response = Response(house, stalled=True)
    house.send(publication, (40, inter(frame("P"))), (80, inter(frame("P"))))
    assert not response.subscription.on_fast_list
    unsent = response.unsent
    assert unsent > HIGH_WATER
    assert house.stats.unsent_bytes == house.registry.budget.backlog_bytes == unsent
    house.send(publication, (120, inter(frame("P"))), (130, sound("a")), (160, inter(frame("P"))))
    assert response.take() == "AAC@0 AVC@0 K0@0 P@40 P@80 P@120 a@130"
    assert house.stream.stats.totals.drops == {"slow_video": 1}
    house.registry.sample(0.0)
    assert house.registry.budget.backlog_bytes == response.unsent
    response.unsent = 150
    response.stalled = False
    house.send(publication, (200, inter("P")), (240, keyframe("K1")))
    # Not drained, but within what the policy lets a player resume at.
    assert response.take() == "K1@240"
    assert response.outlet.congestion is not None
    response.unsent = HIGH_WATER // 4
    house.send(publication, (280, inter("P")))
    assert response.take() == "P@280"
    assert response.subscription.on_fast_list
    assert house.stats.unsent_bytes == house.registry.budget.backlog_bytes == 0


def test_one_to_whom_nothing_is_written_is_looked_at_once_a_second(house: House) -> None:
    live(house)
    response = Response(house, stalled=True)
    house.send(house.stream.publication, (40, inter(frame("P", 500))))
    response.unsent = 0
    assert response.outlet.congestion is not None
    house.registry.sample(1.0)
    assert response.outlet.congestion is None
    assert response.subscription.on_fast_list


def test_one_that_does_not_come_back_is_closed_and_leaves_nothing(house: House) -> None:
    publication = live(house)
    used = house.registry.budget.used
    response = Response(house, stalled=True)
    for second in range(60):
        house.loop.now = float(second)
        house.send(publication, (40 + 1000 * second, inter(frame("P", 50))))
        house.registry.sample(house.loop.now)
        if response.calls:
            break
    # Full after six seconds, too old ten after that, for too long thirty after that.
    assert (response.calls, house.loop.now) == (["close:slow"], 46.0)
    assert house.stats.players_closed == {"slow": 1}
    assert (house.stats.unsent_bytes, house.registry.budget.backlog_bytes) == (0, 0)
    gone = [weakref.ref(response)]
    del response.outlet, response.subscription, response
    assert [reference() for reference in gone] == [None]
    publication.close(CloseReason.FINISHED)
    assert used > house.registry.budget.used == 0


def test_the_burst_is_owed_by_us(house: House) -> None:
    publication = live(house, size=5000)
    response = Response(house, stalled=True)
    assert response.outlet.congestion is not None
    house.send(publication, (40, inter(frame("P"))))
    assert response.take() == "AAC@0 AVC@0 K0@0 P@40"
    house.registry.sample(9.0)
    assert house.registry.budget.backlog_bytes == response.unsent
    assert house.stream.stats.totals.drops == {}


def test_it_shares_what_it_holds_with_the_others_of_its_format(house: House) -> None:
    publication = live(house)
    responses = [Response(house, stalled=True) for _ in range(5)]
    house.send(publication, (40, inter(frame("P", 500))))
    assert house.registry.budget.backlog_bytes == responses[0].unsent
    assert house.stats.unsent_bytes == 5 * responses[0].unsent


def test_what_it_encrypts_is_its_own(house: House) -> None:
    publication = live(house)
    responses = [Response(house, stalled=True, private=True) for _ in range(2)]
    house.send(publication, (40, inter(frame("P", 500))))
    assert house.registry.budget.backlog_bytes == 2 * responses[0].unsent


def test_it_goes_when_memory_is_short() -> None:
    house = House(EngineLimits(memory_bytes=100_000))
    publication = live(house)
    response = Response(house, stalled=True)
    house.send(publication, (40, inter(frame("P", 90_000))))
    assert response.calls == ["close:memory"]
    assert house.registry.budget.backlog_bytes == 0


class HttpPlay(Response):
    """The same on a real connection of aiohttp, which does not show a handler that it is full."""

    def __init__(self, house: House, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.over = asyncio.get_running_loop().create_future()
        super().__init__(house)

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def backlog(self) -> int:
        return self.transport.get_write_buffer_size()

    def close(self, reason: CloseReason) -> None:
        super().close(reason)
        self.transport.abort()
        self.over.set_result(reason)


async def test_a_handler_of_aiohttp_is_one(house: House) -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[HttpPlay] = loop.create_future()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        arrived.set_result(HttpPlay(house, request.transport))
        await arrived.result().over
        return response

    server = await loop.create_server(web.Server(handle), "127.0.0.1")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    async with server:
        with client:
            await loop.sock_connect(client, server.sockets[0].getsockname())
            await loop.sock_sendall(client, b"GET / HTTP/1.0\r\n\r\n")
            publication = live(house)
            play = await arrived
            await stall_and_recover(house, play, publication, client)
            await stall_for_ever(house, play, publication)


async def stall_and_recover(
    house: House, play: HttpPlay, publication: Publication, client: socket.socket
) -> None:
    loop = asyncio.get_running_loop()
    received = b""
    time = 0
    while not house.stream.stats.totals.drops:
        time += 40
        house.send(publication, (time, inter(frame("P", 300))))
        # Whatever the kernel takes it has.
        await asyncio.sleep(0)
    assert HIGH_WATER < play.backlog() <= POLICY.max_backlog_bytes
    assert house.registry.budget.backlog_bytes == house.stats.unsent_bytes == play.backlog()
    while play.backlog():
        received += await loop.sock_recv(client, 65536)
    house.registry.sample(house.loop.now)
    assert house.registry.budget.backlog_bytes == 0
    house.send(publication, (time + 40, keyframe("K1")))
    assert play.subscription.on_fast_list
    while b"K1@" not in received:
        received += await loop.sock_recv(client, 65536)
    assert house.stream.stats.totals.drops == {"slow_video": 1}


async def stall_for_ever(house: House, play: HttpPlay, publication: Publication) -> None:
    time = 1_000_000
    while house.stream.stats.totals.drops == {"slow_video": 1}:
        time += 40
        house.send(publication, (time, inter(frame("P", 300))))
        await asyncio.sleep(0)
    house.loop.now += POLICY.disconnect_after
    house.registry.sample(house.loop.now)
    assert await play.over == CloseReason.SLOW
    assert house.registry.budget.backlog_bytes == 0
