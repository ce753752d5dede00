"""Who may come in, and how everybody leaves."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from net_kit import HEADERS, Client, Doorman, House, eventually, serve
from rtmp_dialogue import command, connect

import rtmpd.serving.connection as connection_module
import rtmpd.serving.identity as identity
from rtmpd.engine.registry import EngineLimits
from rtmpd.engine.sink import CloseReason
from rtmpd.net.listeners import BACKLOG
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.quirks import Quirk
from rtmpd.rtmp.server import ServerSession
from rtmpd.serving.deadlines import Deadlines
from rtmpd.serving.server import ConnectionLimits, RtmpServer


async def is_turned_away(client: Client) -> bool:
    """Whether the server closes without a word."""
    client.writer.write(b"\x03")
    try:
        return await client.rest() == []
    except ConnectionResetError:
        return True


def port_of(listener: asyncio.Server) -> int:
    return listener.sockets[0].getsockname()[1]


# The door


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system has other options")
async def test_who_comes_in_is_probed_while_silent() -> None:
    async with serve() as house:
        await house.client()
        (connection,) = house.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ConnectionLimits(max_connections=2), "max_connections"),
        (ConnectionLimits(max_connections_per_address=2), "max_connections_per_address"),
        (ConnectionLimits(max_pending_per_address=2), "max_pending_per_address"),
    ],
)
async def test_a_cap(limits: ConnectionLimits, reason: str) -> None:
    async with serve(connections=limits) as house:
        first, second = [await house.client() for _ in range(2)]
        assert await is_turned_away(await house.dial())
        assert house.stats.refusals == {reason: 1}
        assert house.stats.connections_total == 2
        # A place is free again when somebody leaves.
        await first.close()
        await eventually(lambda: house.open_connections == 1)
        await house.client()
        assert await is_turned_away(await house.dial())
        assert house.stats.refusals == {reason: 2}
        await second.close()


class Time:
    """A clock that can be put forward."""

    skipped = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.skipped


async def test_one_address_cannot_connect_and_leave_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = iter(["192.0.2.1"] * 4 + ["192.0.2.2", "192.0.2.1", "192.0.2.1"])
    monkeypatch.setattr(identity, "peer_ip", lambda _name: next(addresses))
    built: list[object] = []

    def build(**given: object) -> ServerSession:
        built.append(given)
        return ServerSession(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(connection_module, "ServerSession", build)
    time = Time()
    async with serve(connections=ConnectionLimits(max_connects_per_minute=4), clock=time) as house:
        for _ in range(2):
            await (await house.client()).close()
        for _ in range(2):
            assert await is_turned_away(await house.dial())
        await house.client()  # Another address has a rate of its own.
        time.skipped += 15.0
        await house.client()
        assert await is_turned_away(await house.dial())
        assert house.stats.refusals == {"connect_rate": 3}
        assert len(built) == house.stats.connections_total == 4


@pytest.mark.parametrize("limits", [ConnectionLimits(max_pending_per_address=1)])
async def test_who_publishes_or_plays_is_no_longer_pending(limits: ConnectionLimits) -> None:
    async with serve(connections=limits) as house:
        await (await house.client()).publish()
        await (await house.client()).play()
        stranger = await house.client()
        assert house.stats.connections == {"pending": 1, "publishing": 1, "playing": 1}
        assert await is_turned_away(await house.dial())
        await stranger.close()
        await eventually(lambda: house.stats.connections["pending"] == 0)
        await house.client()


async def test_one_stranger_too_many_costs_the_oldest_of_the_greediest_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    networks = iter(["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3", "192.0.2.3"])
    monkeypatch.setattr(identity, "peer_ip", lambda _name: next(networks))
    async with serve(connections=ConnectionLimits(max_pending=3)) as house:
        only, oldest, newer, late = [await house.client() for _ in range(4)]
        await oldest.closed()
        assert house.stats.refusals == {"max_pending": 1}
        await eventually(lambda: house.open_connections == 3)
        # Now two networks have as many: one that is past its place in line loses nothing it has begun.
        await late.publish()
        await house.client()
        assert house.stats.refusals == {"max_pending": 1}
        for client in (only, newer):
            client.say(connect())
            await client.until("_result 1 status NetConnection.Connect.Success")


async def test_ten_networks_of_strangers_lock_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = iter([f"192.0.2.{n % 10}" for n in range(60)] + ["198.51.100.7"])
    monkeypatch.setattr(identity, "peer_ip", lambda _name: next(addresses))
    async with serve(connections=ConnectionLimits(max_pending=50)) as house:
        for _ in range(60):
            await house.dial()
        await eventually(lambda: house.stats.connections_total == 60)
        await (await house.client()).publish()
        assert house.stats.refusals == {"max_pending": 11}
        assert (len(house.server._pending), house.stats.publishers) == (49, 1)


async def test_a_stranger_with_many_networks_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = "2001:db8:a::1"
    addresses = iter([honest, *(f"2001:db8:bad:{n:x}::1" for n in range(40))])
    monkeypatch.setattr(identity, "peer_ip", lambda _name: next(addresses))
    async with serve(connections=ConnectionLimits(max_pending=20)) as house:
        client = await house.client()
        for _ in range(40):
            await house.dial()
        await eventually(lambda: house.stats.connections_total == 41)
        assert house.stats.refusals == {"max_pending": 21}
        await client.publish()


async def test_the_last_files_are_not_for_connections(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as house:
        await house.client()
        (connection,) = house.connections
        files = connection.transport.get_extra_info("socket").fileno() + 1
        monkeypatch.setattr(house.server, "_max_files", files)
        for _ in range(3):
            assert await is_turned_away(await house.dial())
        assert house.stats.refusals == {"files": 3}
        (record,) = [record for record in caplog.records if record.message == "out of files"]
        assert record.fields == {"connections": 1, "files": files}


async def test_one_connection_cannot_ask_to_play_for_ever() -> None:
    async with serve(connections=ConnectionLimits(max_plays_per_minute=18)) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2))
        for name in ("one", "two", "three"):
            client.call("play", 0, name, on=1)
            await client.until("1: onStatus 0 status NetStream.Play.Start")
        client.call("play", 0, "four", on=1)
        assert await client.rest() == ["1: onStatus 0 error NetStream.Play.Failed"]
        assert house.stats.refusals == {"play_rate": 1}


async def test_without_limits_everybody_may_come() -> None:
    limits = ConnectionLimits(0, 0, 0, 0, 0, 0)
    async with serve(connections=limits) as house:
        clients = await asyncio.gather(*[house.client() for _ in range(100)])
        assert house.stats.connections == {"pending": len(clients)}
        assert house.stats.refusals == {}


async def test_nothing_is_kept_of_addresses_that_left() -> None:
    async with serve() as house:
        await (await house.client()).publish()
        await house.client()
        server = house.server
        assert (server._by_network, server._pending.of("127.0.0.1")) == ({"127.0.0.1": 2}, 1)
    assert (server._by_network, server._pending._members, len(server._pending)) == ({}, {}, 0)


SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
SOMAXCONN_VALUE = int(SOMAXCONN.read_text()) if SOMAXCONN.exists() else 0


@pytest.mark.skipif(not SOMAXCONN_VALUE, reason="asks the Linux kernel")
async def test_the_listener_has_the_backlog_that_was_asked_for() -> None:
    async with serve() as house:
        info = house.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
        tcpi_sacked = struct.unpack_from("6I", info, 8)[5]  # Of a listener: how many may wait.
        assert tcpi_sacked == min(BACKLOG, SOMAXCONN_VALUE)


# The close


async def test_the_close_ends_everybody_at_once_and_in_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rtmpd")
    doorman = Doorman()
    async with serve(wait_timeout=60.0) as house:
        publisher = await (await house.client()).publish()
        players = [await (await house.client()).play() for _ in range(3)]
        waiting = await (await house.client()).play("nothing")
        silent = await house.dial()
        await eventually(lambda: house.open_connections == 6)
        publisher.send(*HEADERS)
        for player in players:
            await player.until("1: AAC@0")
        closing = asyncio.create_task(house.server.close(60.0))
        assert await publisher.rest() == ["1: onStatus 0 error NetStream.Publish.Failed"]
        for client in (*players, waiting):
            assert "1: onStatus 0 status NetStream.Play.UnpublishNotify" in await client.rest()
            await client.close()
        assert await silent.rest() == []
        await silent.close()
        await publisher.close()
        await closing
        assert house.stats.publishes_ended == {CloseReason.SHUTDOWN: 1}
    assert doorman.requests == []
    reasons = {record.fields["reason"] for record in caplog.records if record.message == "closed"}
    assert reasons == {CloseReason.SHUTDOWN}
    assert "connections cut off" not in caplog.messages


async def test_who_does_not_leave_within_the_grace_is_cut_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_LINGER", 60.0)
    async with serve() as house:
        await (await house.client()).publish()
        await house.server.close(0.05)
        assert house.open_connections == 0
        (record,) = [record for record in caplog.records if record.message == "connections cut off"]
        assert record.fields == {"connections": 1}


async def test_a_request_that_is_being_authorized_ends_with_the_server() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        client = await house.client()
        client.say(connect(), command("createStream", 2), command("publish", 3, "cam", on=1))
        await eventually(lambda: doorman.requests)
        closing = asyncio.create_task(house.server.close(60.0))
        await client.rest()
        await client.close()
        await closing
        assert doorman.cancelled == 1


async def test_nobody_new_comes_in_during_the_close() -> None:
    async with serve() as house:
        held = await house.client()
        port = house.port
        closing = asyncio.create_task(house.server.close(60.0))
        await held.rest()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await held.close()
        await closing


async def test_who_was_accepted_while_the_server_closed_is_turned_away() -> None:
    async with serve() as house:
        await house.server.close(60.0)
        # As the loop does with what the kernel had accepted before the listener closed.
        listener = await asyncio.get_running_loop().create_server(
            lambda: connection_module.ServerConnection(house.context, house.server), "127.0.0.1", 0
        )
        late = House(house.context, house.server, house.listener, port_of(listener), house.clients)
        assert await is_turned_away(await late.dial())
        listener.close()
        assert house.stats.refusals == {"shutdown": 1}
        assert house.open_connections == 0


async def test_a_server_may_close_that_never_listened() -> None:
    async with serve() as house:
        await RtmpServer(house.context, ConnectionLimits()).close(60.0)


async def test_a_server_listens_on_more_than_one_socket() -> None:
    async with serve() as house:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        listener = await house.server.listen(sock)
        other = House(house.context, house.server, sock, listener.address.port, house.clients)
        await (await other.client()).publish()
        await (await house.client()).play()
        assert house.stats.players == house.stats.publishers == 1


async def test_one_address_cannot_ask_to_publish_for_ever() -> None:
    time = Time()
    async with serve(connections=ConnectionLimits(max_publishes_per_minute=2), clock=time) as house:
        clients = [await (await house.client()).publish(name) for name in ("one", "two")]
        third = await house.client()
        third._prepare(1)
        third.call("publish", 0, "three", on=1)
        lines = await third.rest()
        assert lines[-1] == "1: onStatus 0 error NetStream.Publish.Rejected"
        assert house.stats.refusals == {"publish_rate": 1}
        time.skipped += 30.0
        clients.append(await (await house.client()).publish("three"))
        for client in (*clients, third):
            await client.close()
        await eventually(lambda: house.open_connections == 0)


# Deadlines


def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the server looks at its connections from now on, by the loop's clock."""
    times: list[float] = []
    look = Deadlines._look

    def counted(deadlines: Deadlines) -> None:
        times.append(asyncio.get_running_loop().time())
        look(deadlines)

    monkeypatch.setattr(Deadlines, "_look", counted)
    return times


async def test_who_asks_for_a_look_has_it_in_time() -> None:
    """Nobody else has a deadline of less than 10 s, so otherwise the server looks once a second."""
    loop = asyncio.get_running_loop()
    async with serve(wait_timeout=0.1) as house:
        late: list[float] = []
        for name in ("one", "two"):
            player = await (await house.client()).play(name)
            asked = loop.time()
            await player.rest()
            late.append(loop.time() - asked - 0.1)
        assert min(late) < 0.4


async def test_a_peer_that_reads_our_last_words_for_ever_is_cut_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_module, "_LINGER", 0.1)
    loop = asyncio.get_running_loop()
    async with serve() as house:
        client = await (await house.client()).play()
        (connection,) = house.connections
        connection.end(CloseReason.KICKED)
        ended = loop.time()
        await client.rest()
        await eventually(lambda: house.open_connections == 0)
        assert loop.time() - ended < 0.5


async def test_a_crowd_that_asks_for_looks_makes_no_storm_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    times = looks(monkeypatch)
    async with serve() as house:
        await house.client()
        (connection,) = house.connections
        clock = house.context.clock
        asked = clock()
        for n in range(200, 0, -1):  # Each is sooner than all before.
            connection.look_by(asked + n / 1000)
        await eventually(lambda: times)
        for _ in range(100):
            connection.look_by(clock())
            await asyncio.sleep(0.002)
    assert len(times) >= 4
    assert min(later - sooner for sooner, later in pairwise(times)) > 0.045  # uvloop counts milliseconds.


async def test_who_asks_for_none_is_looked_at_when_everybody_is() -> None:
    now = 100.25
    async with serve(clock=lambda: now) as house:
        for _ in range(4):
            await house.client()
            now += 0.5
        connections = sorted(house.connections, key=lambda each: each.origin.connection)
        # 10 s is the shortest of the timeouts, and the server looks once a second.
        assert [connection.look_at for connection in connections] == [111.0, 111.0, 112.0, 112.0]


async def test_a_look_forgets_nobody_who_asked_for_a_later_one() -> None:
    now = 100.0
    async with serve(clock=lambda: now, wait_timeout=15.0) as house:
        await (await house.client()).play()
        (connection,) = house.connections
        assert connection.look_at == 110.0
        now = 111.0
        connection.look(now)
        assert connection.look_at == 115.0


async def test_a_bug_in_one_connection_s_deadlines_stops_nobody_else_s(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look = connection_module.ServerConnection.look

    def broken_for_the_first(connection: connection_module.ServerConnection, now: float) -> None:
        if connection.origin.connection == first:
            raise RuntimeError("bug")
        look(connection, now)

    monkeypatch.setattr(connection_module.ServerConnection, "look", broken_for_the_first)
    async with serve(limits=Limits(handshake_timeout=0.1)) as house:
        await house.dial()
        await eventually(lambda: house.open_connections == 1)
        first = next(iter(house.connections)).origin.connection
        await house.dial()
        await eventually(lambda: house.open_connections == 0)
        assert house.stats.handshake_failures == {"handshake_timeout": 1}
    assert "bug" in caplog.text


async def test_the_commands_of_one_address_cost_it_together() -> None:
    async with serve(connections=ConnectionLimits(max_command_cost_per_address=40)) as house:
        one, other = await house.client(), await house.client()
        first, second = [connection.session for connection in house.connections]
        assert first._shared_cost is second._shared_cost is not None
        for client in (one, other):
            client.say(connect(), *[command("getStreamLength", n, "x" * 600) for n in range(2, 22)])
        # 2 each, 40 in a second: neither is closed, and both have to wait.
        for client in (one, other):
            await client.until("_result 21 0")
        assert house.stats.sessions_failed == {}
        await one.close()
        await other.close()
        await eventually(lambda: house.open_connections == 0)
        # To leave and to come again is no way around it.
        await house.client()
        (connection,) = house.connections
        assert connection.session._shared_cost is first._shared_cost


async def test_what_the_commands_of_an_address_cost_is_forgotten_once_it_is_paid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = iter(["10.0.0.1", "10.0.0.2"])
    monkeypatch.setattr("rtmpd.serving.identity.peer_ip", lambda _: next(addresses))
    costs = ConnectionLimits(max_command_cost_per_address=10)
    async with serve(connections=costs, limits=Limits(handshake_timeout=0.5)) as house:
        leaves = await house.client()
        leaves.say(connect())
        await leaves.until("_result 1 status NetConnection.Connect.Success")
        await leaves.close()
        await (await house.client()).play()
        assert set(house.server._costs) == {"10.0.0.1", "10.0.0.2"}
        await eventually(lambda: set(house.server._costs) == {"10.0.0.2"})


# Memory


def unfinished(client: Client, size: int) -> tuple[bytes, bytes]:
    """A command of ``size`` bytes in two parts, the second a short one."""
    data = client.encode(Message(20, 0, 0, b"\x02\x00\x04none" + bytes(size - 7)))
    return data[:-100], data[-100:]


async def test_what_is_half_received_is_in_the_memory_budget_until_it_is_gone() -> None:
    async with serve() as house:
        budget = house.registry.budget
        client = await (await house.client()).play()
        first, last = unfinished(client, 50_000)
        client.writer.write(first)
        await eventually(lambda: 49_000 < budget.partial_bytes < 52_000)
        client.writer.write(last)
        await eventually(lambda: budget.partial_bytes == 0)
        client.writer.write(unfinished(client, 50_000)[0])
        await eventually(lambda: budget.partial_bytes > 49_000)
        client.reset()
        await eventually(lambda: budget.partial_bytes == 0)


async def test_when_memory_is_short_who_holds_most_half_received_goes_first() -> None:
    engine = EngineLimits(memory_bytes=100_000)
    async with serve(engine=engine) as house:
        clients = [await (await house.client()).play(f"cam{n}") for n in range(3)]
        for client, size in zip(clients, (20_000, 50_000, 40_000), strict=True):
            client.writer.write(unfinished(client, size)[0])
        await clients[1].closed()
        await eventually(lambda: house.stats.players == 2)
        assert house.registry.budget.partial_bytes < 65_000
        assert house.open_connections == 2


async def test_when_nothing_else_helps_a_publisher_that_leaves_most_unfinished_goes() -> None:
    async with serve(engine=EngineLimits(memory_bytes=3_000_000)) as house:
        publishers = [await (await house.client()).publish(f"cam{n}") for n in range(3)]
        for publisher, size in zip(publishers, (600_000, 1_500_000, 1_100_000), strict=True):
            publisher.writer.write(publisher.encode(Message(9, 0, 1, bytes(size)))[:-100])
        await publishers[1].closed()
        await eventually(lambda: house.stats.publishers == 2)
        assert house.stats.publishes_ended == {"memory": 1}
        assert house.registry.budget.partial_bytes < 1_800_000


async def test_who_sits_on_much_of_a_message_goes_before_anybody_else() -> None:
    """Not so a publisher that began one just now, nor one that holds less."""
    time = Time()
    async with serve(engine=EngineLimits(memory_bytes=5_000_000), clock=time) as house:
        budget = house.registry.budget
        publishers = [await (await house.client()).publish(f"cam{n}") for n in range(3)]
        for publisher, size in zip(publishers[:2], (900_000, 1_500_000), strict=True):
            publisher.writer.write(publisher.encode(Message(9, 0, 1, bytes(size)))[:-100])
        await eventually(lambda: budget.partial_bytes > 2_399_000)
        time.skipped += 5.0
        publishers[2].writer.write(publishers[2].encode(Message(9, 0, 1, bytes(2_000_000)))[:-100])
        await eventually(lambda: budget.partial_bytes > 4_399_000)
        left: list[int] = []
        house.registry.add_reliever(lambda unfinished: left.append(budget.partial_bytes))
        budget.charge_backlog(700_000)
        assert 2_800_000 < left[0] < 2_950_000
        budget.charge_backlog(-700_000)
        await publishers[1].closed()
        assert house.stats.publishes_ended == {"memory": 1}


# Reconnecting


async def test_those_who_know_how_are_asked_to_reconnect() -> None:
    async with serve() as house:
        able, other = await house.client(), await house.client()
        able.say(connect(capsEx=1.0))
        other.say(connect())
        for client in (able, other):
            await client.until("_result 1 status NetConnection.Connect.Success")
        assert house.server.request_reconnect("rtmp://other") == 1
        assert await able.hear() == "onStatus 0 status NetConnection.Connect.ReconnectRequest"
        # Both are served as before.
        for client in (able, other):
            client.call("createStream", 5)
            assert await client.hear() == "_result 5 1"


async def test_what_is_tolerated_is_counted() -> None:
    async with serve() as house:
        client = await house.client()
        client.say(connect(), Message(4, 0, 0, b"\0"))
        await client.until("_result 1 status NetConnection.Connect.Success")
        await client.close()
        await eventually(lambda: house.open_connections == 0)
        assert house.stats.tolerated == {Quirk.SHORT_CONTROL: 1}


# -- other settings while it runs


async def test_other_limits_hold_at_once_and_end_nobody() -> None:
    async with serve() as house:
        staying = [await house.client() for _ in range(2)]
        house.server.apply(house.context, ConnectionLimits(max_connections=2))
        turned_away = await house.dial()
        await turned_away.closed()
        assert house.stats.refusals == {"max_connections": 1}
        await staying[0].publish()
        await staying[1].play()
        house.server.apply(house.context, ConnectionLimits(max_connections=3))
        await (await house.client()).play()


async def test_rates_begin_anew_with_other_limits_and_only_then() -> None:
    limits = ConnectionLimits(max_connects_per_minute=2)
    async with serve(connections=limits, clock=Time()) as house:
        await house.client()
        house.server.apply(house.context, replace(limits, max_publishes_per_minute=5))
        await house.client()
        house.server.apply(house.context, replace(limits, max_publishes_per_minute=5))
        await (await house.dial()).closed()
        assert house.stats.refusals == {"connect_rate": 1}


async def test_what_a_session_is_bounded_by_changes_for_those_who_come() -> None:
    async with serve() as house:
        before = await house.client()
        limits = replace(house.context.limits, max_name_bytes=4)
        house.server.apply(replace(house.context, limits=limits), ConnectionLimits())
        await (await before.publish("long-name")).play("cam", on=2)
        after = await house.client()
        after.say(connect(), command("createStream", 2), command("publish", 3, "long-name", on=1))
        assert (await after.rest())[-1] == "1: onStatus 0 error NetStream.Publish.BadName"
