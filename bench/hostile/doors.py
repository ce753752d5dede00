"""Attacks on what all share: places, names, descriptors, the log and the admin port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from hostile.scene import Scene, attack
from hostile.stranger import HANDSHAKE, Stranger, greeting, request

_MOST_LINES: Final = 100
"""Log lines a second that one address may cause, with all that it does."""
_MOST_LINES_OF_A_BAN: Final = 25
"""Ten refusals and ends of connections, and who is banned."""
_LEAST_SERVED: Final = 0.9
_LEAST_TRIES: Final = 5
_BAD_REQUESTS: Final = (
    ("a number of 60,000 digits", "127.0.0.1", "application/json", b'{"url": ' + b"9" * 60_000 + b"}"),
    ("no such charset", "127.0.0.1", "application/json; charset=nope", b'{"url": "x"}'),
    ("not JSON", "127.0.0.1", "application/json", b"\xff\xfe"),
    ("deep JSON", "127.0.0.1", "application/json", b"[" * 30_000),
    ("another host", "evil.example", "application/json", b'{"url": "rtmp://127.0.0.1:1/live/x"}'),
)


@attack(seconds=10, connections=300, most_growth_mb=40)
async def pending_lockout(scene: Scene) -> None:
    """10 addresses keep 200 silent connections each, and replace 240 a second."""

    async def hold(address: str) -> None:
        mine: list[Stranger] = []
        async for _ in scene.paced(24.0):
            for _ in range(20 if len(mine) < 200 else 1):
                with contextlib.suppress(OSError, TimeoutError):
                    mine.append(await scene.crowd.join(address))
            if len(mine) > 200:
                mine.pop(0).leave()

    for _ in range(10):
        scene.start(hold(scene.crowd.address()))
    served = await _try_again(scene, lambda: _can_play(scene, "canary"), after=3.0)
    scene.expect("strangers let in", served, least=_LEAST_SERVED)


@attack(seconds=8, connections=125, most_growth_mb=40, quick=True)
async def waiting_names_lockout(scene: Scene) -> None:
    """One address waits for 1,000 names that nobody publishes."""
    for _ in range(125):
        with contextlib.suppress(OSError, TimeoutError):
            player = await scene.crowd.join("127.0.0.3")
            names = [scene.name("never") for _ in range(8)]
            player.say(_greeting_of_eight() + b"".join(_each("play", names, -2)))
    served = await _try_again(scene, lambda: _can_play(scene, scene.name("soon")))
    scene.expect("players before their encoder", served, least=_LEAST_SERVED)


@attack(seconds=8, connections=125, most_growth_mb=40)
async def streams_lockout(scene: Scene) -> None:
    """One address publishes 1,000 streams."""
    # Who is refused is closed, with all that he publishes: the last ones publish one each.
    for number in [8] * 124 + [1] * 10:
        with contextlib.suppress(OSError, TimeoutError):
            publisher = await scene.crowd.join("127.0.0.4")
            names = [scene.name("mine") for _ in range(number)]
            publisher.say(_greeting_of_eight() + b"".join(_each("publish", names, "live")))
    served = await _try_again(scene, lambda: _can_publish(scene))
    scene.expect("encoders let in", served, least=_LEAST_SERVED)


@attack(seconds=16, connections=0, most_growth_mb=30)
async def admin_slow_headers(scene: Scene) -> None:
    """200 connections to the admin port send a header byte by byte, 400 nothing."""
    slow = [await _dial_admin(scene) for _ in range(200)]
    silent = [await _dial_admin(scene) for _ in range(400)]
    for writer in slow:
        writer.say(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    async for _ in scene.paced(1.0):
        for writer in slow:
            writer.say(b"x")
    scene.expect("closed of 200 slow", sum(each.closed.is_set() for each in slow), least=200)
    scene.expect("closed of 400 silent", sum(each.closed.is_set() for each in silent), least=400)
    for each in slow + silent:
        each.leave()


@attack(seconds=8, connections=0, files=256)
async def admin_takes_files(scene: Scene) -> None:
    """400 idle connections to the admin port of a server that may open 256 files."""
    idle = []
    with contextlib.suppress(OSError, TimeoutError):
        idle.extend([await _dial_admin(scene) for _ in range(400)])
    served = await _try_again(scene, lambda: _can_play(scene, "canary"))
    scene.expect("players let in", served, least=_LEAST_SERVED)
    for each in idle:
        each.leave()


@attack(seconds=3, connections=0, quick=True)
async def admin_bad_input(scene: Scene) -> None:
    """Requests that no client would send: none may be our fault, none may be taken."""
    for what, host, content_type, body in _BAD_REQUESTS:
        status = await _post(scene, "/api/v1/streams/live/x/push", host, content_type, body)
        scene.expect(f"status of {what}", status, least=400, most=499)
    status = await _get(scene, "/api/v1/relays", "evil.example")
    scene.expect("status for a rebound name", status, least=400, most=499)
    scene.expect("tracebacks", scene.target.log_text().count("Traceback"), most=0)


@attack(seconds=8, connections=200, most_growth_mb=60)
async def scrape_storm(scene: Scene) -> None:
    """16 clients scrape a page of 200 streams 10 times a second each."""
    for _ in range(25):
        publisher = await scene.crowd.join(scene.crowd.address())
        names = [scene.name("scraped") for _ in range(8)]
        publisher.say(_greeting_of_eight() + b"".join(_each("publish", names, "live")))

    async def scrape() -> None:
        async for _ in scene.paced(10.0):
            await _get(scene, "/metrics", "127.0.0.1")

    await asyncio.gather(*(scrape() for _ in range(16)))


@attack(seconds=8, connections=4, rounds=1.0, quick=True)
async def connect_and_leave(scene: Scene) -> None:
    """Strangers of one address connect and leave, as fast as they are answered."""

    async def visit() -> None:
        stranger = await scene.crowd.join()
        stranger.say(greeting())
        await stranger.hear(b"_result", 1.0)
        stranger.leave()

    await _flood(scene, visit, 4)


@attack(
    seconds=8,
    connections=4,
    settings=(f"apps.locked.publish.keys.show=sha256:{'0' * 64}", "bans.local=true"),
    most_growth_mb=10,
    most_cpu=0.05,
    rounds=1.0,
    quick=True,
)
async def wrong_keys(scene: Scene) -> None:
    """An encoder with a wrong key comes 200 times a second, from one address."""
    source = scene.crowd.address()
    said = greeting("locked") + request("publish", "no-key-of-this-server", "live")

    async def attempt() -> None:
        with contextlib.suppress(OSError, TimeoutError):
            encoder = await scene.crowd.join(source)
            encoder.say(said)
            await encoder.hear(b"NetStream.Publish", 1.0)
            encoder.leave()

    before = scene.target.log_lines()
    attempts = [asyncio.create_task(attempt()) async for _ in scene.paced(200.0)]
    await asyncio.gather(*attempts)
    lines = scene.target.log_lines() - before
    scene.expect("log lines", lines, most=_MOST_LINES_OF_A_BAN)
    scene.expect("bans", await scene.metric("rtmpd_bans_total"), least=1, most=2)


@attack(seconds=8, connections=4, rounds=1.0)
async def refused_publishes(scene: Scene) -> None:
    """Encoders of one address ask for a name that is taken, as fast as they are refused."""
    name = await scene.publish_gop(0.1)

    async def visit() -> None:
        stranger = await scene.crowd.join()
        stranger.say(greeting() + request("publish", name, "live"))
        await stranger.hear(b"BadName", 1.0)
        stranger.leave()

    await _flood(scene, visit, 4)


@attack(seconds=8, connections=4, rounds=1.0)
async def garbage(scene: Scene) -> None:
    """Strangers of one address send a byte that no RTMP begins with."""

    async def visit() -> None:
        stranger = await scene.crowd.join()
        stranger.say(b"\xff")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stranger.closed.wait(), 1.0)
        stranger.leave()

    await _flood(scene, visit, 4)


@attack(seconds=8, connections=20, rounds=1.0)
async def play_and_delete(scene: Scene) -> None:
    """20 connections play a live name and end it again, 60 times a second each."""
    name = await scene.publish_gop(0.05)
    players = [await scene.crowd.join() for _ in range(20)]
    for player in players:
        player.say(greeting())
    before = scene.target.log_lines()
    async for _ in scene.paced(30.0):
        for player in players:
            player.say(request("play", name, -2) + request("closeStream"))
    _expect_few_lines(scene, before)


@attack(seconds=8, connections=0, files=256)
async def out_of_files(scene: Scene) -> None:
    """600 connections from 30 addresses to a server that may open 256 files."""
    addresses = [scene.crowd.address() for _ in range(30)]
    for number in range(600):
        with contextlib.suppress(OSError, TimeoutError):
            stranger = await scene.crowd.join(addresses[number % 30])
            stranger.say(HANDSHAKE)
    await asyncio.sleep(1.0)
    scene.expect("refusals counted", await scene.metric("rtmpd_refusals_total"), least=300)
    await asyncio.sleep(max(scene.left, 0.0))


async def _flood(scene: Scene, visit: Callable[[], Awaitable[None]], visitors: int) -> None:
    """Visits one after the other by each visitor; then the log lines a second are held to their bound."""

    async def come_again() -> None:
        while scene.goes_on:
            with contextlib.suppress(OSError, TimeoutError):
                await visit()
            await asyncio.sleep(0.001)

    before = scene.target.log_lines()
    await asyncio.gather(*(come_again() for _ in range(visitors)))
    _expect_few_lines(scene, before)


def _expect_few_lines(scene: Scene, before: int) -> None:
    lines = (scene.target.log_lines() - before) / scene.seconds
    scene.expect("log lines a second", lines, most=_MOST_LINES)


async def _try_again(scene: Scene, attempt: Callable[[], Awaitable[bool]], after: float = 1.0) -> float:
    """The share of attempts, one every 0.3 s from ``after`` on, that succeed up to the end."""
    await asyncio.sleep(after)
    tried = succeeded = 0
    while scene.goes_on or tried < _LEAST_TRIES:
        tried += 1
        with contextlib.suppress(OSError, TimeoutError):
            succeeded += await attempt()
        await asyncio.sleep(0.3)
    return succeeded / tried


async def _can_play(scene: Scene, name: str) -> bool:
    stranger = await scene.crowd.join(scene.crowd.address())
    try:
        stranger.say(greeting() + request("play", name, -2))
        return await stranger.hear(b"NetStream.Play.Start", 2.0)
    finally:
        stranger.leave()


async def _can_publish(scene: Scene) -> bool:
    stranger = await scene.crowd.join(scene.crowd.address())
    try:
        stranger.say(greeting() + request("publish", scene.name("honest"), "live"))
        return await stranger.hear(b"NetStream.Publish.Start", 2.0)
    finally:
        stranger.leave()


def _greeting_of_eight() -> bytes:
    """With message streams 1 to 8."""
    return greeting() + b"".join(request("createStream", stream_id=0, transaction_id=n) for n in range(3, 10))


def _each(verb: str, names: list[str], argument: str | int) -> list[bytes]:
    return [request(verb, name, argument, stream_id=number) for number, name in enumerate(names, 1)]


async def _dial_admin(scene: Scene) -> Stranger:
    return await Stranger.dial(scene.target.admin_port)


async def _get(scene: Scene, path: str, host: str) -> int:
    return await _exchange(
        scene, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    )


async def _post(scene: Scene, path: str, host: str, content_type: str, body: bytes) -> int:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\n"
    return await _exchange(scene, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def _exchange(scene: Scene, data: bytes) -> int:
    """The status of an HTTP request, 0 without an answer."""
    client = await _dial_admin(scene)
    try:
        client.say(data)
        heard = await client.hear_line()
        return int(heard.split()[1]) if heard.startswith(b"HTTP/") else 0
    finally:
        client.leave()
