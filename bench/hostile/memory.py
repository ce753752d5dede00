"""Attacks on memory: what peers leave unfinished, unread, or behind when they go."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

from hostile.scene import Scene, attack
from hostile.stranger import AVC_HEADER, Stranger, frame, greeting, keyframe, message, request, unfinished
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.constants import MessageType

_MIB: Final = 1024 * 1024
_ACKNOWLEDGEMENT: Final = encode_message(int(MessageType.ACKNOWLEDGEMENT), 0, 0, bytes(4), 2, 128)


@attack(
    seconds=12,
    connections=60,
    settings=("rtmp.limits.partial_message_timeout=4",),
    most_growth_mb=30,
    quick=True,
)
async def half_received(scene: Scene) -> None:
    """60 players leave 10 MiB of video and a data message unfinished and go on with small messages."""
    players = [await scene.crowd.join() for _ in range(60)]
    for player in players:
        player.say(greeting() + request("play", scene.name("nobody"), -2))
    await asyncio.sleep(0.3)
    for player in players:
        player.say(
            unfinished(MessageType.VIDEO, 10 * _MIB, 8) + unfinished(MessageType.DATA_AMF0, _MIB - 1, 9)
        )
    async for _ in scene.paced(1.0):
        for player in players:
            player.say(_ACKNOWLEDGEMENT)
    scene.expect("closed of 60", scene.crowd.closed, least=60)


@attack(seconds=8, connections=24, settings=("memory.max_bytes=67108864",), most_growth_mb=100)
async def half_received_of_publishers(scene: Scene) -> None:
    """24 publishers leave 9 MB unfinished each, with memory for 64 MiB."""
    publishers = [await scene.crowd.join(scene.crowd.address()) for _ in range(24)]
    for publisher in publishers:
        await publisher.publish(scene.name("half"))
    for publisher in publishers:
        publisher.say(unfinished(MessageType.VIDEO, 9_000_000, 8))
    await asyncio.sleep(2.0)
    held, limit = await scene.metric("rtmpd_memory_held_bytes"), 67_108_864
    scene.expect("memory counted of the ceiling", held / limit, least=0.5, most=1.25)
    await asyncio.sleep(max(scene.left, 0.0))


@attack(rounds=1.0, quick=True)
async def closed_mid_message(scene: Scene) -> None:
    """40 publishers leave 4 MB unfinished and their connection."""
    for _ in range(40):
        with contextlib.suppress(OSError):  # Thrown out, perhaps.
            publisher = await scene.crowd.join(scene.crowd.address())
            await publisher.publish(scene.name("cut"))
            await publisher.send(unfinished(MessageType.VIDEO, 4_000_000, 8))
    await asyncio.sleep(0.5)


@attack(rounds=1.0)
async def cut_mid_frame(scene: Scene) -> None:
    """30 encoders lose their line inside a key frame of 900 kB while 60 players come and go."""
    for _ in range(30):
        with contextlib.suppress(OSError):
            publisher = await scene.crowd.join(scene.crowd.address())
            name = scene.name("frame")
            await publisher.publish(name)
            await publisher.send(message(MessageType.VIDEO, AVC_HEADER) + keyframe(100_000))
            players = [await scene.crowd.join() for _ in range(2)]
            for player in players:
                await player.play(name)
            await publisher.send(keyframe(900_000, 40)[:-100_000])
            for each in (publisher, *players):
                each.leave()


@attack(rounds=1.0)
async def players_come_and_go(scene: Scene) -> None:
    """100 players join a stream, watch it for a moment and leave."""
    name = await scene.publish_gop(1.0)
    for _ in range(4):
        players = [await scene.crowd.join(scene.crowd.address()) for _ in range(25)]
        for player in players:
            await player.play(name)
        await asyncio.sleep(0.1)
        for player in players:
            player.leave()


@attack(rounds=1.5)
async def publishes_of_new_names(scene: Scene) -> None:
    """Publishers of new names come and go, 60 a second."""
    async for _ in scene.paced(60.0):
        publisher = await scene.crowd.join(scene.crowd.address())
        await publisher.publish(scene.name("new"))
        publisher.leave()


@attack(seconds=8, connections=2, most_growth_mb=50, rounds=1.5, quick=True)
async def play_loop_unread(scene: Scene) -> None:
    """One player that never reads asks for a GOP of 12 MB 60 times a second."""
    name = await scene.publish_gop(12.0)
    player = await scene.crowd.join(scene.crowd.address(), reads=False)
    player.say(greeting())
    async for _ in scene.paced(60.0):
        player.say(request("play", name, -2) + request("closeStream"))


@attack(seconds=8, connections=10, most_growth_mb=50)
async def play_loop_read(scene: Scene) -> None:
    """10 players that read ask for a GOP of 2 MB 90 times a second each."""
    name = await scene.publish_gop(2.0)
    before = await scene.metric("rtmpd_sent_bytes_total")
    players = [await scene.crowd.join(scene.crowd.address()) for _ in range(10)]
    for player in players:
        player.say(greeting())
    async for _ in scene.paced(90.0):
        for player in players:
            player.say(request("play", name, -2) + request("closeStream"))
    sent = await scene.metric("rtmpd_sent_bytes_total") - before
    scene.expect("sent, MB", sent / 1e6, most=1000)


@attack(seconds=8, connections=22, settings=("memory.max_bytes=134217728",), most_growth_mb=80)
async def backlog_of_many_plays(scene: Scene) -> None:
    """20 connections play a GOP of 3 MB 8 times each and read nothing; memory is 128 MiB."""
    innocent = await scene.publish_gop(2.0, scene.crowd.address())
    heavy = await scene.publish_gop(3.0)
    for _ in range(20):
        player = await scene.crowd.join("127.0.0.2", reads=False)
        player.say(
            greeting() + b"".join(request("createStream", transaction_id=number) for number in range(3, 10))
        )
        player.say(b"".join(request("play", heavy, -2, stream_id=number) for number in range(1, 9)))
    await asyncio.sleep(max(scene.left - 2.0, 0.0))
    joiner = await scene.crowd.join(scene.crowd.address())
    await joiner.play(innocent)
    await asyncio.sleep(1.0)
    scene.expect("MB of the GOP for a late joiner of another stream", joiner.received / 1e6, least=1.9)
    scene.expect("caches cut", await scene.metric("rtmpd_gop_cache_trims_total"), most=0)


@attack(seconds=16, connections=20, most_growth_mb=30, quick=True)
async def stuck_players(scene: Scene) -> None:
    """20 players of 10 Mbit/s stop reading: what the kernel holds for them, and when it is noticed."""
    publisher = await scene.crowd.join()
    name = scene.name("stuck")
    await publisher.publish(name)
    await publisher.send(message(MessageType.VIDEO, AVC_HEADER))
    scene.start(_stream(publisher, bitrate=10_000_000))
    players = [await scene.crowd.join(scene.crowd.address(), reads=False) for _ in range(20)]
    for player in players:
        player.say(greeting() + request("play", name, -2))
    before = await scene.metric("rtmpd_dropped_packets_total")
    noticed_at = None
    while scene.goes_on:
        await asyncio.sleep(min(0.5, max(scene.left, 0.01)))
        if noticed_at is None and await scene.metric("rtmpd_dropped_packets_total") > before:
            noticed_at = scene.seconds - scene.left
    queued = await scene.ask(scene.target.kernel_queue_bytes)
    scene.expect("kernel holds, MB", queued / 1e6, most=10)
    scene.expect("noticed after s", noticed_at if noticed_at is not None else 999.0, most=12)


async def _stream(publisher: Stranger, bitrate: int) -> None:
    """Frames of a constant rate with a key frame every 2 s."""
    frame_bytes, number, began = bitrate // 8 // 25, 0, time.monotonic()
    while not publisher.closed.is_set():
        timestamp = number * 40
        publisher.say(keyframe(frame_bytes, timestamp) if number % 50 == 0 else frame(frame_bytes, timestamp))
        number += 1
        await asyncio.sleep(max(began + number / 25 - time.monotonic(), 0.0))
