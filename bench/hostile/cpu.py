"""Attacks on the loop: much work for few bytes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from hostile.scene import Scene, attack
from hostile.stranger import HANDSHAKE, Stranger, frame, greeting, keyframe, message, request
from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.constants import MessageType

_IGNORED_TYPE: Final = 10
_EMPTY_HEADER: Final = bytes((4, 0, 0, 0, 0, 0, 0, _IGNORED_TYPE, 0, 0, 0, 0))
"""fmt 0 on chunk stream 4: a message of no bytes."""
_EMPTY_MESSAGES: Final = b"\xc4" * 262_144
"""fmt 3 on chunk stream 4: as many messages, each like the one before."""
_OBJECTS: Final = b"\x03\x00\x00\x09" * 4080
"""As many empty objects of AMF0."""


@attack(seconds=8, connections=6, quick=True)
async def one_byte_messages(scene: Scene) -> None:
    """6 strangers send messages of one byte each, before connect, and come again when they are closed."""

    async def loop() -> None:
        while scene.goes_on:
            stranger = await scene.crowd.join()
            await stranger.send(HANDSHAKE + _EMPTY_HEADER)
            while scene.goes_on and not stranger.closed.is_set():
                with contextlib.suppress(TimeoutError, OSError):
                    await asyncio.wait_for(stranger.send(_EMPTY_MESSAGES), 1.0)
            stranger.leave()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(loop() for _ in range(6)), return_exceptions=True)


@attack(
    seconds=12,
    connections=190,
    settings=("rtmp.limits.handshake_timeout=3", "rtmp.limits.request_timeout=3"),
    most_growth_mb=30,
    quick=True,
)
async def throttled_strangers(scene: Scene) -> None:
    """190 strangers, half of them connected, keep their sockets full so as to be read slowly for ever."""
    strangers = [await scene.crowd.join() for _ in range(190)]
    for number, stranger in enumerate(strangers):
        stranger.say((greeting() if number % 2 else HANDSHAKE) + _EMPTY_HEADER + _EMPTY_MESSAGES)
    async for _ in scene.paced(2.0):
        for stranger in strangers:
            if not stranger.transport.is_closing() and stranger.transport.get_write_buffer_size() < 100_000:
                stranger.say(_EMPTY_MESSAGES)
    scene.expect("closed of 190", scene.crowd.closed, least=190)


@attack(seconds=8, connections=1, quick=True)
async def commands_of_strangers(scene: Scene) -> None:
    """Commands of 4,080 empty objects, 60 a second in all, each connection sends 100 and is replaced."""
    commands = [_command(name) for name in ("releaseStream", "FCPublish", "nonsense", "getStreamLength")]
    stranger: Stranger | None = None
    async for number in scene.paced(60.0):
        if stranger is None or number % 100 == 0 or stranger.closed.is_set():
            if stranger is not None:
                stranger.leave()
            stranger = await scene.crowd.join()
            stranger.say(greeting())
        stranger.say(commands[number % len(commands)])


@attack(seconds=8, connections=1, rounds=1.5)
async def commands_of_a_player(scene: Scene) -> None:
    """A waiting player sends 40 commands of 4,080 empty objects a second."""
    player = await scene.crowd.join()
    await player.play(scene.name("nobody"))
    commands = [_command(name) for name in ("FCSubscribe", "_checkbw", "getStreamLength", "pause")]
    async for number in scene.paced(40.0):
        if player.closed.is_set():
            player = await scene.crowd.join()
            await player.play(scene.name("nobody"))
        player.say(commands[number % len(commands)])


@attack(seconds=8, connections=1, rounds=1.5, quick=True)
async def metadata_storm(scene: Scene) -> None:
    """A publisher sends 100 onMetaData of 28 kB of AMF3 a second, each another."""
    publisher = await scene.crowd.join()
    await publisher.publish(scene.name("storm"))
    publisher.say(keyframe(1000))
    async for number in scene.paced(100.0):
        publisher.say(message(MessageType.DATA_AMF3, _metadata(number), number * 10))
        if number % 10 == 0:
            publisher.say(frame(1000, number * 10))


@attack(seconds=8, connections=101)
async def sequence_header_storm(scene: Scene) -> None:
    """A publisher changes its sequence header 300 times a second, with 100 players."""
    publisher = await scene.crowd.join()
    name = scene.name("headers")
    await publisher.publish(name)
    publisher.say(keyframe(1000))
    for _ in range(100):
        player = await scene.crowd.join(scene.crowd.address())
        player.say(greeting() + request("play", name, -2))
    async for number in scene.paced(300.0):
        header = b"\x17\0\0\0\0\x01\x42\xc0\x1f\xff\xe1\0\x04\x67\x42\xc0" + number.to_bytes(3, "big")
        publisher.say(message(MessageType.VIDEO, header, number * 3) + frame(100, number * 3))


def _command(name: str) -> bytes:
    payload = encode_values(name, 0.0) + b"\x05" + _OBJECTS
    return encode_message(int(MessageType.COMMAND_AMF0), 0, 0, payload, 3, 65536)


def _metadata(number: int) -> bytes:
    """An array of 4,000 objects, each with a trait of its own kind."""
    values = b"\x0a\x1b\x01\x03a\x01\x01" * 4000 + b"\x04" + bytes((number & 0x7F,))
    count = 4001 << 1 | 1
    array = b"\x09" + bytes((0x80 | count >> 7 & 0x7F, count & 0x7F)) + b"\x01" + values
    return b"\x00" + encode_values("@setDataFrame", "onMetaData") + b"\x11" + array
