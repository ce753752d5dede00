"""Attacks on the public HTTP listener: what is asked there, sent there, and not read there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Final

from hostile.scene import Scene, attack
from hostile.stranger import AVC_HEADER, Stranger, frame, keyframe, message
from rtmpd.media.flv import encode_header, encode_tag
from rtmpd.rtmp.constants import MessageType

_LISTEN: Final = ("http.listen=127.0.0.1:0",)
_HOST: Final = b"Host: 127.0.0.1\r\n"
_UPGRADE: Final = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
_PICTURE: Final = bytes.fromhex(
    "17000000000142c01effe100196742c01eda0280bfe5c044000003000400000300f23c58ba8001000468ce0fc8"
)
"""A header of H.264 that says how large pictures are, as MP4 has to."""
_EMPTY_TAGS: Final = encode_tag(int(MessageType.VIDEO), 0, b"") * 16_384
"""As many messages that are nothing."""


@attack(seconds=16, connections=0, settings=_LISTEN, most_growth_mb=40)
async def http_slow_heads(scene: Scene) -> None:
    """80 connections send a header byte by byte, 110 nothing."""
    slow = [await _dial(scene) for _ in range(80)]
    silent = [await _dial(scene) for _ in range(110)]
    for each in slow:
        each.say(b"GET /live/canary.flv HTTP/1.1\r\nX: ")
    async for _ in scene.paced(1.0):
        for each in slow:
            each.say(b"x")
    scene.expect("closed of 80 slow", sum(each.closed.is_set() for each in slow), least=80)
    scene.expect("closed of 110 silent", sum(each.closed.is_set() for each in silent), least=110)


@attack(seconds=8, connections=190, settings=_LISTEN, most_growth_mb=40)
async def http_long_requests(scene: Scene) -> None:
    """190 connections of an address send requests of 1 MB each, one behind the other, and come again."""
    head = b"".join(b"X%03d: %s\r\n" % (number, b"x" * 8000) for number in range(125))
    request = b"GET /nothing HTTP/1.1\r\n" + _HOST + head + b"\r\n"

    async def ask() -> None:
        while scene.goes_on:
            with contextlib.suppress(TimeoutError, OSError):
                visitor = await _dial(scene, buffer=4096)
                while scene.goes_on and not visitor.closed.is_set():
                    await asyncio.wait_for(visitor.send(request), 1.0)
                visitor.leave()
            await asyncio.sleep(1.0)

    await asyncio.gather(*(ask() for _ in range(190)))


@attack(seconds=8, connections=4, settings=_LISTEN)
async def http_questions(scene: Scene) -> None:
    """4 connections of an address look for a stream, 32 requests at once, as fast as they are answered."""
    await _ask_without_end(scene, _asked("HEAD", "/live/nobody.flv"))


@attack(seconds=8, connections=4, settings=_LISTEN)
async def http_questions_of_nothing(scene: Scene) -> None:
    """The same, with a request that is about no path."""
    await _ask_without_end(scene, b"OPTIONS * HTTP/1.1\r\n" + _HOST + b"\r\n")


@attack(seconds=8, connections=4, settings=_LISTEN)
async def http_expectations(scene: Scene) -> None:
    """The same, with a request that expects what nobody has heard of."""
    await _ask_without_end(scene, b"GET /live/nobody.flv HTTP/1.1\r\nExpect: x\r\n" + _HOST + b"\r\n")


@attack(seconds=8, connections=4, settings=_LISTEN)
async def hls_questions(scene: Scene) -> None:
    """The same, for the playlist of a stream that nobody publishes: each is somebody who wants to watch."""
    await _ask_without_end(scene, _asked("GET", "/live/nobody/index.m3u8"))


@attack(seconds=8, connections=4, settings=_LISTEN, most_growth_mb=40)
async def hls_viewers(scene: Scene) -> None:
    """The same, for that of one that somebody publishes: each is a viewer, with a token of its own."""
    name = await scene.publish_gop(0.1)
    await _ask_without_end(scene, _asked("GET", f"/live/{name}/index.m3u8"))


@attack(seconds=8, connections=4, settings=_LISTEN, most_growth_mb=40)
async def hls_directives(scene: Scene) -> None:
    """The same, for playlists and parts by tokens, numbers and names that nobody was given."""
    name = await scene.publish_gop(0.1)
    token = "A" * 40
    queries = ("_HLS_msn=-1", "_HLS_msn=9999999", "_HLS_part=1", "_HLS_skip=x", f"token={token}&_HLS_msn=1")
    asked = [_asked("GET", f"/live/{name}/main_00000000.m3u8?{query}") for query in queries]
    asked += [_asked("GET", f"/live/{name}/main_{number:08}_{number}_0.mp4") for number in range(3)]
    await _ask_without_end(scene, b"".join(asked), 4)


@attack(seconds=12, connections=190, settings=_LISTEN, most_growth_mb=40)
async def hls_waits(scene: Scene) -> None:
    """190 connections wait for what comes next of a stream that stands still, leave, and come again."""
    name = scene.name("waits")
    await _publish_seconds(scene, name, 4)
    asker = await _dial(scene)
    asker.say(_asked("GET", f"/live/{name}/index.m3u8"))
    scene.expect("playlists", await asker.hear(b".m3u8?token="), least=1)
    path = f"/live/{name}/{asker.heard.splitlines()[-1].decode()}"
    asker.say(_asked("GET", path))
    scene.expect("hints", await asker.hear(b"PRELOAD-HINT"), least=1)
    msn = asker.heard.rpartition(b"_")[0].rpartition(b"_")[2].decode()
    blocking = _asked("GET", f"{path}&_HLS_msn={msn}&_HLS_part=99") + _asked("GET", f"{path}&_HLS_msn={msn}")
    most = 0.0
    async for turn in scene.paced(1.0):
        waiting = [await _dial(scene) for _ in range(190)]
        for each in waiting:
            each.say(blocking if turn % 2 else blocking[blocking.index(b"\r\n\r\n") + 4 :])
        await asyncio.sleep(0.3)
        most = max(most, await scene.metric("rtmpd_hls_waiting"))
        for each in waiting:
            each.leave()
    for _ in range(10):
        left = await scene.metric("rtmpd_hls_waiting")
        if not left:
            break
        await asyncio.sleep(0.3)
    scene.expect("waited at a time", most, least=100)
    scene.expect("wait for nobody", left, most=0)


@attack(seconds=8, connections=4, settings=_LISTEN, most_growth_mb=40)
async def hls_beacons(scene: Scene) -> None:
    """4 connections send beacons that are deep, that are none, and that never end."""
    name = await scene.publish_gop(0.1)
    told = [b"[" * 1000 + b"]" * 1000, b'{"token": 5}', b'{"viewer": "%s"}' % (b"A" * 64), b"{"]
    beacons = [_asked("POST", f"/live/{name}/beacon", b"Content-Length: %d\r\n" % len(each)) for each in told]
    never = _asked("POST", f"/live/{name}/beacon", b"Content-Length: 1000\r\n")
    slow = [await _dial(scene) for _ in range(100)]
    for each in slow:
        each.say(never + b"{")
    await _ask_without_end(scene, b"".join(map(bytes.__add__, beacons, told)), 4)
    scene.expect("tracebacks", scene.target.log_text().count("Traceback"), most=0)


@attack(seconds=12, connections=4, settings=_LISTEN, most_growth_mb=60, most_cpu=None)
async def hls_times(scene: Scene) -> None:
    """3 encoders whose times stand still, leap 10 s a frame, or have frames of 17 minutes, played by HLS."""
    video, audio = MessageType.VIDEO, MessageType.AUDIO
    hour = message(audio, bytes.fromhex("af001780000090"))
    usual = message(audio, bytes.fromhex("af001190"))

    async def encode(name: str, header: bytes, kind: MessageType, step: int) -> None:
        publisher = await _publish_seconds(scene, name, 4, header)
        asker = await _dial(scene)
        asker.say(_asked("GET", f"/live/{name}/index.m3u8"))
        payload = b"\xaf\1" + bytes(20) if kind == audio else b"\x27\1\0\0\0" + bytes(20)
        time = 4000
        async for _ in scene.paced(20.0):
            pieces = []
            for _ in range(100):
                pieces.append(message(kind, payload, time & 0xFFFFFFFF))
                time += step
            publisher.say(b"".join(pieces))

    await asyncio.gather(
        encode(scene.name("still"), usual, video, 0),
        encode(scene.name("leaps"), usual, audio, 9900),
        encode(scene.name("hours"), hour, audio, 1),
    )
    scene.expect("tracebacks", scene.target.log_text().count("Traceback"), most=0)


async def _publish_seconds(scene: Scene, name: str, seconds: int, header: bytes = b"") -> Stranger:
    """So much of a stream of pictures, and nothing more."""
    publisher = await scene.crowd.join()
    await publisher.publish(name)
    await publisher.send(message(MessageType.VIDEO, _PICTURE) + header)
    for number in range(25 * seconds):
        make = keyframe if number % 25 == 0 else frame
        await publisher.send(make(100, number * 40))
    return publisher


@attack(seconds=8, connections=1, settings=_LISTEN)
async def http_pieces(scene: Scene) -> None:
    """A POST publishes tags of no bytes, as many as go over the line."""
    encoder = await _dial(scene)
    encoder.say(
        _asked("POST", f"/live/{scene.name('tags')}.flv", b"Content-Length: 99999999999\r\n")
        + encode_header(audio=True, video=True)
        + encode_tag(9, 0, b"\x17\x01\0\0\0" + bytes(1000))
    )
    while scene.goes_on and not encoder.closed.is_set():
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(encoder.send(_EMPTY_TAGS), 1.0)


@attack(seconds=8, connections=20, settings=_LISTEN, most_growth_mb=40)
async def http_chatter(scene: Scene) -> None:
    """20 WebSockets ping as often as they are let, and come again when they are closed."""
    name = await scene.publish_gop(0.1)
    ping = b"\x89\x80\0\0\0\0" * 100

    async def talk() -> None:
        while scene.goes_on:
            player = await _dial(scene)
            player.say(_asked("GET", f"/live/{name}.flv", _UPGRADE))
            while scene.goes_on and not player.closed.is_set():
                player.say(ping)
                await asyncio.sleep(0.01)
            player.leave()
            await asyncio.sleep(0.5)

    await asyncio.gather(*(talk() for _ in range(20)))


@attack(seconds=16, connections=20, settings=_LISTEN, most_growth_mb=40)
async def http_stuck_players(scene: Scene) -> None:
    """40 players of 10 Mbit/s never read, half of them by WebSocket."""
    await _have_stuck_players(scene, ".flv", AVC_HEADER)


@attack(seconds=16, connections=20, settings=_LISTEN, most_growth_mb=60)
async def mp4_stuck_players(scene: Scene) -> None:
    """40 players of MP4 of 10 Mbit/s never read, half of them by WebSocket."""
    await _have_stuck_players(scene, ".mp4", _PICTURE)


async def _have_stuck_players(scene: Scene, ending: str, header: bytes) -> None:
    publisher = await scene.crowd.join()
    name = scene.name("stuck")
    await publisher.publish(name)
    await publisher.send(message(MessageType.VIDEO, header))
    scene.start(_stream(publisher))
    players = [await _dial(scene, scene.crowd.address(), reads=False) for _ in range(40)]
    for number, player in enumerate(players):
        player.say(_asked("GET", f"/live/{name}{ending}", _UPGRADE if number % 2 else b""))
    before = await scene.metric("rtmpd_dropped_packets_total")
    noticed_at = None
    while scene.goes_on:
        await asyncio.sleep(min(0.5, max(scene.left, 0.01)))
        if noticed_at is None and await scene.metric("rtmpd_dropped_packets_total") > before:
            noticed_at = scene.seconds - scene.left
    scene.expect("noticed after s", noticed_at if noticed_at is not None else 999.0, most=12)


@attack(seconds=12, connections=20, settings=_LISTEN, most_growth_mb=150)
async def mp4_wishes(scene: Scene) -> None:
    """20 players of MP4 come and go, read nothing, and each time have another wish of a GOP of 8 MB."""
    publisher = await scene.crowd.join()
    name = scene.name("wishes")
    await publisher.publish(name)
    await publisher.send(message(MessageType.VIDEO, _PICTURE))
    for number in range(150):
        await publisher.send((keyframe if number == 0 else frame)(50_000, number * 40))
    wishes = itertools.cycle(
        f"?fragment={cut}&track={track}{only}"
        for track in range(64)
        for cut in ("frame", "part")
        for only in ("", "&only=video", "&only=audio")
    )

    async def wish() -> None:
        while scene.goes_on:
            with contextlib.suppress(OSError):
                player = await _dial(scene, scene.crowd.address(), reads=False, buffer=4096)
                player.say(_asked("GET", f"/live/{name}.mp4{next(wishes)}", _UPGRADE))
                await asyncio.sleep(0.05)
                player.leave()

    await asyncio.gather(*(wish() for _ in range(20)))
    # Two sorts for each of the eight choices that a stream may have, and two without any.
    scene.expect("sorts made", await scene.metric("rtmpd_mp4_streams"), most=18)


@attack(seconds=12, connections=0, settings=_LISTEN, most_growth_mb=40)
async def http_unread_answers(scene: Scene) -> None:
    """190 connections of an address ask and read no answer."""
    asked = _asked("GET", "/nothing") * 200
    readers = [await _dial(scene, reads=False, buffer=4096) for _ in range(190)]
    async for _ in scene.paced(2.0):
        for each in readers:
            if not each.closed.is_set() and each.transport.get_write_buffer_size() < len(asked):
                each.say(asked)


async def _ask_without_end(scene: Scene, request: bytes, times: int = 32) -> None:
    requests = request * times

    async def ask() -> None:
        while scene.goes_on:
            with contextlib.suppress(TimeoutError, OSError):
                visitor = await _dial(scene)
                while scene.goes_on and not visitor.closed.is_set():
                    await asyncio.wait_for(visitor.send(requests), 1.0)
                    await asyncio.sleep(0.002)
                visitor.leave()
            await asyncio.sleep(0.01)

    await asyncio.gather(*(ask() for _ in range(4)))


async def _stream(publisher: Stranger) -> None:
    """10 Mbit/s with a key frame every 2 s."""
    number = 0
    while not publisher.closed.is_set():
        make = keyframe if number % 50 == 0 else frame
        publisher.say(make(50_000, number * 40))
        number += 1
        await asyncio.sleep(0.04)


def _asked(method: str, path: str, headers: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\n".encode() + _HOST + headers + b"\r\n"


async def _dial(scene: Scene, source: str = "127.0.0.1", *, reads: bool = True, buffer: int = 0) -> Stranger:
    member = await Stranger.dial(scene.target.http_port, source, reads=reads, buffer=buffer)
    scene.crowd.members.append(member)
    return member
