"""Listeners of the server: Unix sockets beside ports, opened and closed one by one."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from engine_kit import keyframe
from net_kit import HEADERS, Client, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.serving.server import ConnectionLimits

ONE_EACH = ConnectionLimits(
    max_connections_per_address=1,
    max_pending_per_address=1,
    max_connects_per_minute=2,
    max_publishes_per_minute=1,
)


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Address:
    return Address("", 0, str(tmp_path_factory.mktemp("u") / "rtmp.sock"))


def file_of(address: Address) -> list[Path]:
    """The file of a Unix socket, if it is there."""
    path = Path(address.path)
    return [each for each in path.parent.iterdir() if each == path]


async def dial(house: House, address: Address) -> Client:
    """A connection to one of the server's listeners that has done its handshake."""
    where = (
        asyncio.open_unix_connection(address.path)
        if address.path
        else asyncio.open_connection(address.host, address.port)
    )
    client = Client(*await where)
    house.clients.append(client)
    return await client.handshake()


async def test_peers_of_a_unix_socket_are_strangers_to_each_other(
    address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    """No limit of an address counts them together, and the log does not call them unknown."""
    caplog.set_level("INFO", "rtmpd")
    async with serve(connections=ONE_EACH) as house:
        await house.server.listen(open_listener(address))
        publishers = [await dial(house, address) for _ in range(3)]
        for number, client in enumerate(publishers):
            await client.publish(f"cam{number}")
            client.send(*HEADERS)
        player = await (await dial(house, address)).play("cam1")
        publishers[1].send((0, keyframe("A")))
        await player.until("1: A@0")
        assert house.stats.refusals == {}
        assert house.stats.connections == {"pending": 0, "publishing": 3, "playing": 1}
    clients = {vars(each)["fields"]["client"] for each in caplog.records if hasattr(each, "fields")}
    assert clients == {"unix"}


async def test_limits_of_a_connection_hold_on_a_unix_socket(address: Address) -> None:
    async with serve(connections=ONE_EACH) as house:
        await house.server.listen(open_listener(address))
        client = await dial(house, address)
        await client.publish()
        client.say(command("createStream", 3), command("publish", 4, "another", "live", on=2))
        await client.closed()
        assert house.stats.refusals == {"publish_rate": 1}


async def test_all_pending_ones_together_are_bounded(address: Address) -> None:
    async with serve(connections=ConnectionLimits(max_pending=2)) as house:
        await house.server.listen(open_listener(address))
        oldest, *others = [await dial(house, address) for _ in range(3)]
        await oldest.closed()
        assert house.stats.refusals == {"max_pending": 1}
        for client in others:
            client.say(connect())
            await client.until("_result 1 status NetConnection.Connect.Success")


async def test_listeners_open_and_close_one_by_one(address: Address) -> None:
    async with serve() as house:
        first = Address("127.0.0.1", house.port)
        port = await house.server.listen(open_listener(Address("127.0.0.1", 0)))
        file = await house.server.listen(open_listener(address))
        assert file.address == address
        staying = await dial(house, port.address)
        for listener in (port, file):
            house.server.stop_listening(listener)
            with pytest.raises(OSError, match=r"."):
                await dial(house, listener.address)
        assert not file_of(address)
        await staying.publish()
        await (await dial(house, first)).play()
        for closed in (port.address, address):
            opened = await house.server.listen(open_listener(closed))
            assert opened.address == closed
            await dial(house, closed)
        await eventually(lambda: house.open_connections == 4)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
async def test_of_two_listeners_on_one_port_each_closes_alone() -> None:
    """Every IPv4 address and every IPv6 address are bound to the same, as far as names tell."""
    async with serve() as house:
        four = await house.server.listen(open_listener(Address("0.0.0.0", 0)))
        six_only = socket.create_server(("::", four.address.port), family=socket.AF_INET6)
        six_only.setblocking(False)
        six = await house.server.listen(six_only)
        assert four.address == six.address
        house.server.stop_listening(six)
        await dial(house, Address("127.0.0.1", four.address.port))
        with pytest.raises(OSError, match=r"."):
            await dial(house, Address("::1", four.address.port))
