"""RTMP over TLS: the same as without, and half a handshake is nobody's way around the limits."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trustme
from engine_kit import keyframe
from net_kit import HEADERS, PATIENCE, Client, House, eventually, serve
from rtmp_dialogue import HANDSHAKE

from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener
from rtmpd.reasons import Refusal
from rtmpd.rtmp.limits import Limits
from rtmpd.serving.access import NoGuard
from rtmpd.serving.server import ConnectionLimits

HELLO = b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03"
"""How the first record of a client begins; the rest never comes."""


class Street:
    """A server with a second door, for TLS, and clients in front of it."""

    def __init__(
        self, house: House, authority: trustme.CA, context: ssl.SSLContext, address: Address
    ) -> None:
        self.house = house
        self.context = context
        self.place = (address.host, address.port)
        self._authority = authority
        self._socks: list[socket.socket] = []

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    async def client(self) -> Client:
        link = await asyncio.open_connection(*self.place, ssl=self.trusting(), server_hostname="localhost")
        client = Client(*link)
        self.house.clients.append(client)
        return await client.handshake()

    async def half(self, said: bytes = HELLO) -> socket.socket:
        """A connection whose TLS handshake gets no further than ``said``."""
        sock = socket.socket()
        sock.setblocking(False)
        self._socks.append(sock)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, self.place)
        await loop.sock_sendall(sock, said)
        return sock

    def hang_up(self) -> None:
        for sock in self._socks:
            sock.close()

    @property
    def states(self) -> dict[str, int]:
        return {state: number for state, number in self.house.stats.connections.items() if number}


@asynccontextmanager
async def street(
    connections: ConnectionLimits | None = None, handshake_timeout: float = PATIENCE
) -> AsyncIterator[Street]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with serve(connections=connections, limits=Limits(handshake_timeout=handshake_timeout)) as house:
        listener = house.server.listen_behind(open_listener(Address("127.0.0.1", 0)), tls=lambda: context)
        there = Street(house, authority, context, listener.address)
        yield there
        there.hang_up()
        await eventually(lambda: not house.server._porch._arrivals)


async def over(sock: socket.socket) -> None:
    """Wait until the server has closed it, orderly or not."""
    try:
        async with asyncio.timeout(PATIENCE):
            while await asyncio.get_running_loop().sock_recv(sock, 4096):
                pass
    except ConnectionResetError:
        pass


async def test_publishers_and_players_of_either_door_meet() -> None:
    async with street() as there:
        encoder = await (await there.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("A")))
        for player in (await there.client(), await there.house.client()):
            await (await player.play()).until("1: A@0")
        publication = there.house.stream().publication
        assert publication is not None
        origin = publication.origin
        assert (origin.tls, origin.address, origin.listener) == (
            True,
            "127.0.0.1",
            "{}:{}".format(*there.place),
        )
        assert there.states == {"publishing": 1, "playing": 2}
        assert there.house.stats.handshake_failures == {}


async def test_half_a_handshake_counts_as_pending_with_all_others() -> None:
    async with street(ConnectionLimits(max_pending_per_address=3)) as there:
        await there.half()
        await there.half(b"")
        await there.house.dial()
        await eventually(lambda: there.states == {"pending": 3})
        await over(await there.half())
        plain = await there.house.dial()
        await plain.closed()
        assert there.house.stats.refusals == {"max_pending_per_address": 2}
        assert there.states == {"pending": 3}
        there.hang_up()
        await eventually(lambda: there.states == {"pending": 1})
        await (await there.client()).publish()


async def test_a_bug_in_a_handshake_leaves_nothing_pending(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_arguments: object, **_options: object) -> None:
        raise LookupError("a bug")

    async with street() as there:
        monkeypatch.setattr(asyncio.get_running_loop(), "connect_accepted_socket", broken)
        await over(await there.half())
        await eventually(lambda: there.states == {})
        assert there.house.server._porch._arrivals == {}
    assert [record.message for record in caplog.records if record.exc_info] == ["task failed"]


async def test_the_oldest_handshake_makes_room_when_too_many_are_under_way() -> None:
    async with street(ConnectionLimits(max_pending=2)) as there:
        first = await there.half()
        await eventually(lambda: there.states == {"pending": 1})
        await there.half()
        await eventually(lambda: there.states == {"pending": 2})
        await (await there.client()).publish()
        await over(first)
        assert there.house.stats.refusals == {"max_pending": 1}
        assert there.house.stats.handshake_failures == {}
        assert there.states == {"pending": 1, "publishing": 1}


async def test_handshakes_count_among_the_connections() -> None:
    async with street(ConnectionLimits(max_connections=2)) as there:
        await there.half()
        await (await there.client()).publish()
        await over(await there.half())
        assert there.house.stats.refusals == {"max_connections": 1}


async def test_the_deadline_holds_however_slowly_the_bytes_come() -> None:
    async with street(handshake_timeout=0.2) as there:
        silent, slow = await there.half(b""), await there.half(HELLO)

        async def drip() -> None:
            loop = asyncio.get_running_loop()
            while True:
                await loop.sock_sendall(slow, b"\0")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        await over(silent)
        with pytest.raises(OSError):
            await dripping
        await eventually(lambda: there.house.stats.handshake_failures == {"handshake_timeout": 2})
        assert there.states == {}


async def test_after_tls_the_deadline_of_rtmp_holds() -> None:
    async with street(handshake_timeout=0.2) as there:
        link = await asyncio.open_connection(*there.place, ssl=there.trusting(), server_hostname="localhost")
        client = Client(*link)
        there.house.clients.append(client)
        await client.closed()
        assert there.house.stats.handshake_failures == {"handshake_timeout": 1}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (HANDSHAKE, "not_tls"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "not_tls"),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "tls_failed"),
    ],
)
async def test_what_is_no_tls_is_closed_and_told_without_a_traceback(
    said: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with street() as there:
        await over(await there.half(said))
        await eventually(lambda: there.house.stats.handshake_failures == {reason: 1})
        assert there.states == {}
    (line,) = [each for each in caplog.records if each.name.startswith("rtmpd")]
    assert line.getMessage() == "TLS handshake failed"
    assert vars(line)["fields"]["reason"] == reason
    assert all(each.exc_info is None and each.levelno <= logging.INFO for each in caplog.records)


def shake_hands(place: tuple[str, int], context: ssl.SSLContext) -> None:
    """As a client does that waits for everything; a failure is told to the server before it leaves."""
    with (
        socket.create_connection(place, PATIENCE) as sock,
        context.wrap_socket(sock, server_hostname="localhost"),
    ):
        pass


async def test_a_client_that_does_not_trust_us_is_counted() -> None:
    async with street() as there:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(shake_hands, there.place, ssl.create_default_context())
        await eventually(lambda: there.house.stats.handshake_failures == {"tls_refused": 1})


async def test_old_versions_are_refused() -> None:
    async with street() as there:
        there.context.minimum_version = ssl.TLSVersion.TLSv1_3
        old = there.trusting()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(shake_hands, there.place, old)
        await eventually(lambda: there.house.stats.handshake_failures == {"tls_version": 1})


async def test_who_leaves_in_the_middle_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with street() as there:
        (await there.half()).close()
        await eventually(lambda: there.house.stats.handshake_failures == {"tls_left": 1})
    assert [each for each in caplog.records if each.name.startswith("rtmpd")] == []


async def test_the_end_of_the_server_waits_for_no_handshake() -> None:
    async with street() as there:
        sock = await there.half()
        await eventually(lambda: there.states == {"pending": 1})
        async with asyncio.timeout(PATIENCE / 2):
            await there.house.server.close(PATIENCE)
        await over(sock)
        assert there.house.stats.handshake_failures == {}


async def test_a_listener_that_closes_lets_those_go_on_who_have_come() -> None:
    async with street() as there:
        client = await there.client()
        there.house.server.stop_listening(there.house.server._listeners[1])
        with pytest.raises(ConnectionRefusedError):
            await there.half()
        await client.publish()


class EverybodyIsBanned(NoGuard):
    def turns_away(self, _network: str) -> bool:
        return True


async def test_who_is_banned_is_turned_away_before_the_handshake() -> None:
    async with street() as there:
        context = replace(there.house.context, guard=EverybodyIsBanned())
        there.house.server.apply(context, ConnectionLimits())
        with pytest.raises(OSError):
            await there.client()
        assert there.house.stats.refusals == {Refusal.BANNED: 1}
        assert (there.states, there.house.stats.handshake_failures) == ({}, {})
