"""Looking names up: one that hangs holds up no other, and costs one thread however often it is asked for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from rtmpd.exceptions import ConnectFailed
from rtmpd.net.resolver import MAX_LOOKUPS, AddressInfo, Resolver


class NameServer:
    """Knows every name but those that begin with ``unknown`` or ``bad``; ``dead`` ones take for ever."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.end = threading.Event()

    def look_up(self, host: str) -> list[AddressInfo]:
        self.asked[host] += 1
        if host.startswith("dead"):
            self.end.wait()
        if host.startswith("unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host.startswith("bad"):
            raise ValueError("embedded null byte")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]


@pytest.fixture
def names() -> Iterator[NameServer]:
    names = NameServer()
    yield names
    names.end.set()


@pytest.fixture
def resolver(names: NameServer) -> Resolver:
    return Resolver(names.look_up)


async def given_up(attempt: asyncio.Task[list[AddressInfo]]) -> None:
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_dead_names_hold_up_no_other(names: NameServer, resolver: Resolver) -> None:
    dead = [asyncio.create_task(resolver.resolve(f"dead{i}", 1)) for i in range(MAX_LOOKUPS - 1)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        [(_, _, _, _, address)] = await resolver.resolve("alive", 1935)
    assert address == ("192.0.2.1", 1935)
    for attempt in dead:
        await given_up(attempt)


async def test_who_asks_for_the_same_name_waits_for_the_same_answer(
    names: NameServer, resolver: Resolver
) -> None:
    """Also after those before have given up: a relay that tries again must not cost a thread each time."""
    for _ in range(3):
        attempt = asyncio.create_task(resolver.resolve("dead", 1))
        await asyncio.sleep(0)
        await given_up(attempt)
    waiting = [asyncio.create_task(resolver.resolve("dead", port)) for port in (1, 2)]
    await asyncio.sleep(0)
    names.end.set()
    assert [(await attempt)[0][4] for attempt in waiting] == [("192.0.2.1", 1), ("192.0.2.1", 2)]
    assert names.asked == {"dead": 1}
    await resolver.resolve("dead", 1)
    assert names.asked == {"dead": 2}, "answers are the system's to remember"


async def test_more_names_than_threads(names: NameServer, resolver: Resolver) -> None:
    dead = [asyncio.create_task(resolver.resolve(f"dead{i}", 1)) for i in range(MAX_LOOKUPS)]
    await asyncio.sleep(0)
    with pytest.raises(ConnectFailed, match="cannot look up alive: 64 other names are being looked up"):
        await resolver.resolve("alive", 1)
    names.end.set()
    await asyncio.gather(*dead)
    assert await resolver.resolve("alive", 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%1"])
async def test_addresses_are_not_looked_up(names: NameServer, resolver: Resolver, host: str) -> None:
    [(_, _, _, _, address)] = await resolver.resolve(host, 1935)
    assert address[1] == 1935
    assert not names.asked


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("unknown.example", "Name or service not known"),
        ("bad", "embedded null byte"),
        ("x" * 64, "not a host name"),
        ("a..b", "not a host name"),
    ],
)
async def test_names_that_are_none(resolver: Resolver, host: str, text: str) -> None:
    with pytest.raises(ConnectFailed, match=f"cannot look up {host}: {text}"):
        await resolver.resolve(host, 1)
    with pytest.raises(ConnectFailed, match=text):
        await resolver.resolve(host, 1)


async def test_without_threads(monkeypatch: pytest.MonkeyPatch, resolver: Resolver) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(ConnectFailed, match="can't start new thread"):
            await resolver.resolve("alive", 1)
    assert await resolver.resolve("alive", 1)


def test_an_event_loop_that_has_ended(names: NameServer, resolver: Resolver) -> None:
    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver.resolve("dead", 1)

    asyncio.run(ask())
    [thread] = [thread for thread in threading.enumerate() if thread.name == "resolve-dead"]
    names.end.set()
    thread.join(5)
    assert not thread.is_alive()


async def test_the_systems_resolver() -> None:
    assert {info[4][0] for info in await Resolver().resolve("localhost", 1)} & {"127.0.0.1", "::1"}
