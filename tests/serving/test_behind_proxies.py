"""PROXY headers: who a client is, when a proxy that is trusted says it, and nobody else."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from engine_kit import keyframe
from net_kit import HEADERS, PATIENCE, Client, House, eventually, serve
from rtmp_dialogue import HANDSHAKE

from rtmpd.net.addresses import Address
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.listeners import open_listener
from rtmpd.net.proxies import TrustedProxies
from rtmpd.net.proxy_header import OWN, SIGNATURE
from rtmpd.rtmp.limits import Limits
from rtmpd.serving.access import Guard, NoGuard
from rtmpd.serving.server import ConnectionLimits

TRUSTED = TrustedProxies([ipaddress.ip_network("127.0.0.0/8")])
NOBODY = TrustedProxies([ipaddress.ip_network("192.0.2.0/24")])
BROKEN = b"PROXY TCP4 x\r\n"
UNKNOWN = b"PROXY UNKNOWN\r\n"


def v1(address: str) -> bytes:
    return f"PROXY TCP4 {address} 198.51.100.1 40000 1935\r\n".encode()


def v2(address: str, tlvs: bytes = b"") -> bytes:
    ip = ipaddress.ip_address(address)
    family, target = (0x11, "198.51.100.1") if ip.version == 4 else (0x21, "2001:db8::1")
    ends = ip.packed + ipaddress.ip_address(target).packed + struct.pack("!HH", 40000, 1935)
    body = ends + tlvs
    return SIGNATURE + bytes((0x21, family)) + struct.pack("!H", len(body)) + body


HALF = v2("10.0.0.1")[:20]


class Street:
    """A server whose second listener is behind proxies."""

    def __init__(self, house: House, address: Address, trust: ssl.SSLContext | None) -> None:
        self.house = house
        self.address = address
        self._trust = trust
        self._socks: list[socket.socket] = []

    async def say(self, *parts: bytes) -> socket.socket:
        """A connection that has said this much, one part after the other."""
        sock = socket.socket(socket.AF_UNIX if self.address.path else socket.AF_INET)
        sock.setblocking(False)
        if not self.address.path:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socks.append(sock)
        loop = asyncio.get_running_loop()
        place = self.address.path or (self.address.host, self.address.port)
        await loop.sock_connect(sock, place)
        for part in parts:
            await loop.sock_sendall(sock, part)
            if len(parts) > 1:
                await asyncio.sleep(0.001)
        return sock

    async def client(self, *header: bytes) -> Client:
        """One who has got through, TLS behind the header and all."""
        sock = await self.say(*header)
        self._socks.remove(sock)
        name = "localhost" if self._trust else None
        link = await asyncio.open_connection(sock=sock, ssl=self._trust, server_hostname=name)
        client = Client(*link)
        self.house.clients.append(client)
        return await client.handshake()

    @property
    def states(self) -> dict[str, int]:
        return {state: number for state, number in self.house.stats.connections.items() if number}

    @property
    def failures(self) -> dict[str, int]:
        return {str(reason): number for reason, number in self.house.stats.handshake_failures.items()}

    def hang_up(self) -> None:
        for sock in self._socks:
            sock.close()
        self._socks.clear()


@asynccontextmanager
async def street(
    proxy: ProxyUse = ProxyUse.REQUIRE,
    *,
    proxies: TrustedProxies = TRUSTED,
    connections: ConnectionLimits | None = None,
    patience: float = PATIENCE,
    tls: bool = False,
    path: Path | None = None,
    guard: Guard | None = None,
) -> AsyncIterator[Street]:
    authority = trustme.CA()
    context, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(trust)
    limits = Limits(handshake_timeout=patience)
    guarded = guard or NoGuard()
    async with serve(connections=connections, limits=limits, proxies=proxies, guard=guarded) as house:
        address = Address("", 0, str(path)) if path else Address("127.0.0.1", 0)
        sock = open_listener(address)
        listener = house.server.listen_behind(sock, proxy, (lambda: context) if tls else None)
        there = Street(house, listener.address, trust if tls else None)
        yield there
        there.hang_up()
        await eventually(lambda: not len(house.server._porch))


async def over(sock: socket.socket) -> None:
    """Wait until the server has closed it, orderly or not."""
    try:
        async with asyncio.timeout(PATIENCE):
            while await asyncio.get_running_loop().sock_recv(sock, 4096):
                pass
    except ConnectionResetError:
        pass


def addresses(house: House) -> list[str]:
    return sorted(each.origin.address for each in house.connections)


CASES: dict[str, tuple[Sequence[bytes], str]] = {
    "v1": ([v1("203.0.113.7")], "203.0.113.7"),
    "v2": ([v2("203.0.113.7")], "203.0.113.7"),
    "v2 over IPv6": ([v2("2001:db8::7")], "2001:db8::7"),
    "v2 with TLVs": ([v2("203.0.113.7", b"\xea\x00\x03\x01vp")], "203.0.113.7"),
    "v1 byte by byte": ([bytes((each,)) for each in v1("203.0.113.7")], "203.0.113.7"),
    "v2 byte by byte": ([bytes((each,)) for each in v2("203.0.113.7")], "203.0.113.7"),
    "the proxy itself": ([OWN], "127.0.0.1"),
    "nobody knows who": ([UNKNOWN], "unknown"),
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(("header", "address"), CASES.values(), ids=CASES)
async def test_a_client_is_who_its_proxy_says(header: Sequence[bytes], address: str, tls: bool) -> None:
    async with street(tls=tls) as there:
        client = await (await there.client(*header)).publish()
        client.send(*HEADERS, (0, keyframe("A")))
        await (await (await there.house.client()).play()).until("1: A@0")
        publication = there.house.stream().publication
        assert publication is not None
        origin = publication.origin
        assert (origin.address, origin.tls, origin.listener) == (address, tls, str(there.address))
        assert origin.nameless is (address == "unknown")
        assert there.states == {"publishing": 1, "playing": 1}
        assert there.failures == {}


async def test_what_follows_in_the_same_packet_is_the_client_s() -> None:
    async with street() as there:
        sock = await there.say(v2("203.0.113.7") + HANDSHAKE)
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.get_running_loop().sock_recv(sock, 1) == HANDSHAKE[:1]
        assert addresses(there.house) == ["203.0.113.7"]


REFUSED: dict[str, tuple[bytes, str]] = {
    "no header": (HANDSHAKE, "proxy_missing"),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "proxy_missing"),
    "TLS": (b"\x16\x03\x01\x00\xf4\x01\x00", "proxy_missing"),
    "a broken line": (b"PROXY TCP4 nonsense\r\n", "proxy_broken"),
    "an endless line": (b"PROXY TCP4 " + b"1" * 200, "proxy_broken"),
    "64 KB": (SIGNATURE + b"\x21\x11\xff\xff" + bytes(65535), "proxy_broken"),
    "UDP": (SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12), "proxy_broken"),
}


@pytest.mark.parametrize(("said", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_what_is_no_header_is_refused_at_once_and_told(
    said: bytes, reason: str, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with street(tls=tls) as there:
        await over(await there.say(said))
        await eventually(lambda: there.failures == {reason: 1})
        assert there.states == {}
    (line,) = [each for each in caplog.records if each.name.startswith("rtmpd")]
    assert line.getMessage() == "PROXY header refused"
    fields = vars(line)["fields"]
    assert (fields["client"], fields["reason"]) == ("127.0.0.1", reason)
    assert all(each.exc_info is None for each in caplog.records)


@pytest.mark.parametrize("said", [v1("192.168.1.5"), v2("127.0.0.1")], ids=["v1", "v2"])
async def test_before_tls_that_takes_no_header_one_is_told_apart(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with street(ProxyUse.OFF, tls=True) as there:
        await over(await there.say(said))
        await eventually(lambda: there.failures == {"proxy": 1})
        await over(await there.say(b"GET / HTTP/1.1\r\n\r\n"))
        await eventually(lambda: there.failures == {"proxy": 1, "not_tls": 1})
        await (await there.client(b"")).publish()
    line, other = [each for each in caplog.records if "refused" in each.msg or "failed" in each.msg]
    assert (line.msg, other.msg) == ("PROXY header refused", "TLS handshake failed")
    assert "proxy=require" in vars(line)["fields"]["detail"]


@pytest.mark.parametrize(
    "said", [v1("192.168.1.5"), v2("127.0.0.1"), v2("10.0.0.1")[:20], b"PROXY TCP4 x\r\n"]
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_nobody_is_believed_who_is_not_trusted(
    said: bytes, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with street(ProxyUse.ACCEPT, proxies=NOBODY, tls=tls, patience=0.3) as there:
        await over(await there.say(said))
        whole = said != HALF
        await eventually(lambda: there.failures == {"proxy_untrusted" if whole else "handshake_timeout": 1})
        assert there.states == {}
    (line,) = [each for each in caplog.records if each.name.startswith("rtmpd")]
    if whole:
        detail = "if this is a proxy of yours, name its address in network.trusted_proxies"
        assert vars(line)["fields"]["detail"] == detail


async def test_where_headers_are_taken_others_come_directly() -> None:
    for proxies in (TRUSTED, NOBODY):
        async with street(ProxyUse.ACCEPT, proxies=proxies) as there:
            await (await there.client(b"")).publish()
            assert addresses(there.house) == ["127.0.0.1"]
            assert there.failures == {}


async def test_where_they_are_required_strangers_get_no_further() -> None:
    async with street(proxies=NOBODY) as there:
        for said in (b"", v2("127.0.0.1"), HANDSHAKE):
            await over(await there.say(said))
        assert there.failures == {"proxy_untrusted": 3}
        assert there.house.stats.connections_total == 0


async def test_limits_are_those_of_the_clients_and_not_of_the_proxy() -> None:
    limits = ConnectionLimits(max_connections_per_address=1, max_pending_per_address=1)
    async with street(connections=limits) as there:
        clients = [await there.client(v2(f"203.0.113.{number}")) for number in range(5)]
        await over(await there.say(v2("203.0.113.2") + HANDSHAKE))
        assert there.house.stats.refusals == {"max_connections_per_address": 1}
        assert there.states == {"pending": len(clients)}
        assert len(there.house.server._by_network) == len(clients)


@dataclass
class Bouncer(NoGuard):
    """Bans the networks that a test names."""

    banned: set[str]

    def turns_away(self, network: str) -> bool:
        return network in self.banned


async def test_bans_are_of_clients() -> None:
    """That of the proxy's own address, which trusted proxies never have, keeps nobody out either."""
    async with street(guard=Bouncer({"203.0.113.7", "127.0.0.1"})) as there:
        await over(await there.say(v2("203.0.113.7")))
        await there.client(v2("203.0.113.8"))
        assert there.house.stats.refusals == {"banned": 1}
        assert addresses(there.house) == ["203.0.113.8"]


async def test_rates_are_those_of_the_clients() -> None:
    async with street(connections=ConnectionLimits(max_connects_per_minute=2)) as there:
        await there.client(v2("203.0.113.1"))
        await there.client(v2("203.0.113.2"))
        await over(await there.say(v2("203.0.113.1")))
        assert there.house.stats.refusals == {"connect_rate": 1}


async def test_half_a_header_is_pending_and_takes_no_client_s_share() -> None:
    limits = ConnectionLimits(max_pending_per_address=1, max_connections_per_address=1)
    async with street(connections=limits, patience=0.5) as there:
        halves = [await there.say(v2("203.0.113.7")[:13]) for _ in range(3)]
        await eventually(lambda: there.states == {"pending": 3})
        await there.house.client()  # From the proxy's address, and not one too many.
        await (await there.client(v2("203.0.113.7"))).publish()
        for half in halves:
            await over(half)
        assert there.failures == {"handshake_timeout": 3}
        assert there.states == {"pending": 1, "publishing": 1}


async def test_when_all_places_are_taken_the_oldest_half_header_goes() -> None:
    async with street(connections=ConnectionLimits(max_pending=2)) as there:
        first = await there.say(b"PROXY TCP4 ")
        await eventually(lambda: there.states == {"pending": 1})
        await there.say(b"")
        await eventually(lambda: there.states == {"pending": 2})
        await there.client(v2("203.0.113.7"))
        await over(first)
        assert there.house.stats.refusals == {"max_pending": 1}
        assert there.failures == {}


async def test_who_loses_its_place_with_its_header_already_there_is_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All of them are accepted before the first header is read."""
    async with street(connections=ConnectionLimits(max_pending=2)) as there:
        crowd = []
        for number in range(6):
            sock = socket.create_connection((there.address.host, there.address.port))
            sock.sendall(v2(f"203.0.113.{number}"))
            crowd.append(sock)
        await eventually(lambda: there.states == {"pending": 2} and len(addresses(there.house)) == 2)
        for sock in crowd:
            sock.close()
        await eventually(lambda: there.states == {})
        assert there.house.stats.refusals == {"max_pending": 4}
        assert (len(there.house.server._by_network), len(there.house.server._pending)) == (0, 0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_half_headers_count_among_all_connections() -> None:
    async with street(connections=ConnectionLimits(max_connections=1)) as there:
        await there.say(b"PROXY")
        await eventually(lambda: there.states == {"pending": 1})
        await over(await there.say(v2("203.0.113.7")))
        assert there.house.stats.refusals == {"max_connections": 1}


async def test_one_byte_now_and_then_gains_no_time() -> None:
    async with street(patience=0.2) as there:
        sock = await there.say(b"P")

        async def drip() -> None:
            for byte in b"ROXY TCP4 203.0.113.7" * 100:
                await asyncio.get_running_loop().sock_sendall(sock, bytes((byte,)))
                await asyncio.sleep(0.02)

        async with asyncio.timeout(PATIENCE):
            with pytest.raises(OSError):
                await drip()
        assert there.failures.keys() <= {"handshake_timeout", "proxy_broken"}
        assert there.states == {}


async def test_who_connects_and_leaves_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with street() as there:
        (await there.say(b"")).close()
        (await there.say(OWN)).close()
        await eventually(lambda: there.house.stats.connections_total == 2 and there.states == {})
        assert there.failures == {}
    assert [each for each in caplog.records if each.name.startswith("rtmpd")] == []


async def test_a_header_behind_the_hello_of_tls_is_no_header() -> None:
    async with street(ProxyUse.ACCEPT, tls=True) as there:
        client = ssl.create_default_context().wrap_bio(
            ssl.MemoryBIO(), outgoing := ssl.MemoryBIO(), server_hostname="localhost"
        )
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        await over(await there.say(outgoing.read(), v2("192.168.1.1")))
        await eventually(lambda: there.failures)
        assert there.failures.keys() <= {"tls_failed", "not_tls"}
        assert there.states == {}


async def test_a_second_header_is_the_client_s_and_no_header() -> None:
    async with street() as there:
        await over(await there.say(v2("203.0.113.7") + v2("192.168.1.1")))
        assert there.failures == {"proxy": 1}


async def test_the_end_of_the_server_waits_for_no_header() -> None:
    async with street() as there:
        halves = [await there.say(b"PROXY TCP4 "), await there.say(b"")]
        await eventually(lambda: there.states == {"pending": 2})
        async with asyncio.timeout(PATIENCE / 2):
            await there.house.server.close(PATIENCE)
        for half in halves:
            await over(half)
        assert there.failures == {}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_whoever_may_open_a_unix_socket_is_believed(
    tmp_path_factory: pytest.TempPathFactory, tls: bool
) -> None:
    path = tmp_path_factory.mktemp("u") / "rtmp.sock"
    limits = ConnectionLimits(max_connections_per_address=1, max_pending_per_address=1)
    async with street(proxies=NOBODY, path=path, tls=tls, connections=limits) as there:
        for header, address in ((v2("203.0.113.7"), "203.0.113.7"), (OWN, "unix"), (OWN, "unix")):
            before = addresses(there.house)
            await there.client(header)
            assert addresses(there.house) == sorted([*before, address])
        assert await asyncio.to_thread(path.exists)
    assert not await asyncio.to_thread(path.exists)
