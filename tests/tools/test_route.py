"""Going where servers send us: a few times, to the same scheme, and home when nobody is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from client_kit import Peer, accept, scripted_server

from rtmpd.client.connect import Connection, connect
from rtmpd.exceptions import CallFailed, ConnectFailed, ConnectionLost
from rtmpd.rtmp import commands
from rtmpd.rtmp.constants import StatusCode, StatusLevel
from rtmpd.rtmp.events import ConnectRequested, ServerEvent
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools import route as route_module
from rtmpd.tools.route import MAX_MOVES, Route


def sends_to(target: Callable[[], str]) -> Callable[[Peer, ServerEvent], None]:
    """A script that grants everything, and asks everybody to go elsewhere."""

    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, ConnectRequested):
            code = StatusCode.CONNECT_RECONNECT_REQUEST
            peer.session.send_command(commands.on_status(StatusLevel.STATUS, code, "", tcUrl=target()))

    return script


class Traveller:
    def __init__(self, url: str) -> None:
        self.moves: list[str] = []
        self.route = Route(RtmpUrl.parse(url), connect, lambda url: self.moves.append(url.full))

    async def visit(self) -> tuple[str, bool]:
        """Where the way leads, and whether the server there wants us elsewhere."""
        async with self.route.connected() as connection:
            await heard_out(connection)
            return connection.url.full, self.route.moving.is_set()


async def heard_out(connection: Connection) -> None:
    """Wait until what the server said before is known: it answers in order."""
    with contextlib.suppress(CallFailed):
        await connection.call("unknown")
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_few_times_in_a_row() -> None:
    async with scripted_server(sends_to(lambda: f"{server.url}/{len(server.peers)}?t=1")) as server:
        traveller = Traveller(f"{server.url}/cam")
        visited = [await traveller.visit() for _ in range(MAX_MOVES + 2)]
    assert visited == [
        (f"{server.url}/cam", True),
        (f"{server.url}/1/cam", True),
        (f"{server.url}/2/cam", True),
        (f"{server.url}/3/cam", False),
        (f"{server.url}/cam", False),
    ]
    assert traveller.moves == [url for url, _ in visited[1:4]]


async def test_a_steady_time_lets_it_move_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_module, "STEADY_SECONDS", 0.0)
    async with scripted_server(sends_to(lambda: server.url)) as server:
        traveller = Traveller(f"{server.url}/cam")
        assert all([(await traveller.visit())[1] for _ in range(3 * MAX_MOVES)])


@pytest.mark.parametrize("target", ["rtmps://127.0.0.1/live", "http://127.0.0.1/live", "rtmp://[/live"])
async def test_places_that_nobody_goes_to(target: str) -> None:
    async with scripted_server(sends_to(lambda: target)) as server:
        traveller = Traveller(f"{server.url}/cam")
        assert await traveller.visit() == (f"{server.url}/cam", False)
    assert traveller.moves == []


async def test_home_when_nobody_is_there(unused_tcp_port: int) -> None:
    async with scripted_server(sends_to(lambda: f"rtmp://127.0.0.1:{unused_tcp_port}/live")) as server:
        traveller = Traveller(f"{server.url}/cam")
        assert (await traveller.visit())[1]
        with pytest.raises(ConnectFailed):
            await traveller.visit()
        assert (await traveller.visit())[0] == f"{server.url}/cam"


async def test_a_connection_that_breaks_is_its_users_to_notice() -> None:
    async with (
        scripted_server() as server,
        Traveller(f"{server.url}/cam").route.connected() as connection,
    ):
        (await server.peer()).transport.write(b"\x02" + bytes(6) + b"\x01" + bytes(40))
        await connection.wait_closed()
        assert isinstance(connection.exception, ConnectionLost)


async def test_a_play_goes_on_elsewhere() -> None:
    async with scripted_server() as there, scripted_server(sends_to(lambda: there.url)) as here:
        traveller = Traveller(f"{here.url}/cam")
        plays = traveller.route.plays()
        first = await anext(plays)
        assert [packet async for packet in first if packet.type != 18] == []
        second = await anext(plays)
        (await there.peer()).transport.close()
        assert [packet async for packet in second if packet.type != 18] == []
        with pytest.raises(StopAsyncIteration):
            await anext(plays)
    assert traveller.moves == [f"{there.url}/cam"]
