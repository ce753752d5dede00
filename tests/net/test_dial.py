"""Happy eyeballs: several addresses in a race, and nothing left open after it."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import AsyncIterator

import pytest

from rtmpd.exceptions import ConnectFailed
from rtmpd.net.dial import open_socket, tls_context, tls_failure
from rtmpd.net.resolver import AddressInfo, Resolver
from rtmpd.net.trust import Trust
from rtmpd.rtmp.url import RtmpUrl

V4, V6 = socket.AF_INET, socket.AF_INET6


class Network:
    """Addresses by what they do when somebody connects."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.tried: list[str] = []
        self.sockets: list[socket.socket] = []
        self.both_tried = asyncio.Event()
        self.released = asyncio.Event()

    def look_up(self, _host: str) -> list[AddressInfo]:
        return [
            (V6 if ":" in address else V4, socket.SOCK_STREAM, 0, "", (address, 0))
            for address in self.addresses
        ]

    async def open(self, stagger: float = 0.25) -> socket.socket:
        return await open_socket("host", 1935, stagger=stagger, resolver=Resolver(self.look_up))

    async def sock_connect(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.tried.append(address[0])
        self.sockets.append(sock)
        if len(self.tried) == 2:
            self.both_tried.set()
        match self.addresses[address[0]]:
            case "refuses":
                raise OSError(errno.ECONNREFUSED, "refused")
            case "is far":
                raise OSError(errno.ENETUNREACH, "far")
            case "breaks":
                raise RuntimeError("unable to perform operation")
            case "hangs":
                await self.released.wait()
                await asyncio.sleep(0)
            case _:
                await asyncio.sleep(0)

    def open_sockets(self) -> list[socket.socket]:
        return [sock for sock in self.sockets if sock.fileno() != -1]


@pytest.fixture
async def network(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    network = Network({})
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "sock_connect", network.sock_connect)
    yield network
    for sock in network.sockets:
        sock.close()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_address_answers(network: Network) -> None:
    network.addresses = {"::1": "answers", "::2": "answers", "10.0.0.1": "answers"}
    sock = await network.open()
    assert network.tried == ["::1"]
    assert network.open_sockets() == [sock]


async def test_families_take_turns(network: Network) -> None:
    network.addresses = {"::1": "refuses", "::2": "refuses", "10.0.0.1": "refuses"}
    with pytest.raises(ConnectFailed, match="cannot connect to host port 1935: Connection refused") as caught:
        await network.open()
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert network.tried == ["::1", "10.0.0.1", "::2"]
    assert network.open_sockets() == []


async def test_addresses_that_fail_each_in_its_way(network: Network) -> None:
    network.addresses = {"::1": "is far", "10.0.0.1": "refuses"}
    with pytest.raises(ConnectFailed, match=r"port 1935: \[Errno \d+\] far, \[Errno \d+\] refused$"):
        await network.open()
    network.addresses = {"10.0.0.1": "breaks"}
    with pytest.raises(ConnectFailed, match=r"port 1935: unable to perform operation$"):
        await network.open()
    assert network.open_sockets() == []


async def test_an_address_that_hangs_loses_the_race(network: Network) -> None:
    network.addresses = {"::1": "hangs", "10.0.0.1": "answers"}
    sock = await network.open(stagger=0.01)
    assert network.tried == ["::1", "10.0.0.1"]
    await settled()
    assert network.open_sockets() == [sock]


async def test_a_slow_address_wins_when_nobody_else_does(network: Network) -> None:
    network.addresses = {"::1": "hangs", "10.0.0.1": "refuses"}
    attempt = asyncio.create_task(network.open(stagger=0.001))
    await network.both_tried.wait()
    network.released.set()
    sock = await attempt
    assert network.open_sockets() == [sock]


async def test_two_that_answer_at_once(network: Network) -> None:
    network.addresses = {"::1": "hangs", "10.0.0.1": "hangs"}
    attempt = asyncio.create_task(network.open(stagger=0.001))
    await network.both_tried.wait()
    network.released.set()
    sock = await attempt
    await settled()
    assert network.open_sockets() == [sock]


@pytest.mark.parametrize("just_answered", [False, True])
async def test_cancelling_closes_everything(network: Network, just_answered: bool) -> None:
    network.addresses = {"::1": "hangs", "10.0.0.1": "hangs"}
    attempt = asyncio.create_task(network.open(stagger=0.001))
    await network.both_tried.wait()
    if just_answered:
        network.released.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await settled()
    assert network.open_sockets() == []


async def test_a_local_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        sock = await open_socket("127.0.0.1", port, local_addr=("127.0.0.1", 0))
        assert sock.getsockname()[0] == "127.0.0.1"
        sock.close()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "does not speak TLS"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "broke off the TLS handshake: reset"),
        (ConnectionAbortedError("too slow"), "broke off the TLS handshake: too slow"),
        (ConnectionResetError(), "broke off the TLS handshake: it closed the connection"),
        (ConnectionResetError(errno.ECONNRESET, ""), "broke off the TLS handshake: "),
    ],
)
def test_tls_failures(error: OSError, text: str) -> None:
    assert text in str(tls_failure("host", 443, error))


async def test_authorities_are_read_beside_the_event_loop_and_within_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_read = threading.Event()
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: may_read.wait(10.0))
    monkeypatch.setattr("rtmpd.net.dial.TRUST", Trust())
    try:
        with pytest.raises(ConnectFailed, match=r"cannot read the authorities in the system within 0\.05 s"):
            await tls_context(RtmpUrl.parse("rtmps://host/live"), None, None, within=0.05)
    finally:
        may_read.set()
