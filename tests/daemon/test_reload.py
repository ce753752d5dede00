"""Settings that change while the server runs: what a reload will do, done by hand."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from client_kit import AVC_HEADER, keyframe

import rtmpd
from rtmpd.daemon import worker as worker_module
from rtmpd.daemon.config import Config
from rtmpd.daemon.machine import Machine
from rtmpd.daemon.settings import load
from rtmpd.daemon.worker import Worker
from rtmpd.exceptions import PlayRejected, StreamFailed
from rtmpd.net.addresses import Address
from rtmpd.net.listeners import open_listener

PATIENCE = 5.0
VIDEO = 9
FRAMES = [b"\x27\x01\x00\x00\x00" + bytes(1000) + bytes((number,)) for number in range(100)]
GOP = [AVC_HEADER, keyframe(), *FRAMES]
NEXT = keyframe()[:-1] + b"next"


def configured(*assignments: str) -> Config:
    always = ["admin.listen=[]", "log.format=json", "shutdown.drain_timeout=1s"]
    return load((), {}, [*always, *assignments]).config


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Worker, str]]:
    """The worker, which a signal ends, and the URL of an application there without its name."""
    monkeypatch.setattr(worker_module.gc, "freeze", lambda: None)
    monkeypatch.setattr(worker_module.gc, "set_threshold", lambda *numbers: None)
    sock = open_listener(Address("127.0.0.1", 0))
    worker = Worker(configured(), asyncio.get_running_loop(), Machine.survey())
    serving = asyncio.create_task(worker.serve([sock]))
    # A connection is answered once the signals are ours, too.
    url = f"rtmp://127.0.0.1:{sock.getsockname()[1]}/"
    async with await rtmpd.connect(f"{url}live"):
        yield worker, url
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await serving


async def publish(connection: rtmpd.Connection) -> rtmpd.Stream:
    """An encoder of ``cam`` whose group of pictures has arrived."""
    stream = await connection.publish("cam")
    for number, payload in enumerate(GOP):
        await stream.send_video(payload, 40 * number)
    await connection.call("getStreamLength", "cam")  # Answered in its turn.
    return stream


async def joined(connection: rtmpd.Connection, encoder: rtmpd.Stream) -> list[bytes]:
    """What a player of ``cam`` is sent up to the next key frame."""
    stream = await connection.play("cam")
    await encoder.send_video(NEXT, 10_000)
    got: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        async for message in stream:
            if message.payload == NEXT:
                break
            if message.type == VIDEO:
                got.append(message.payload)
    return got


async def test_the_cache_of_one_app_is_cut_while_its_stream_is_live(server: tuple[Worker, str]) -> None:
    worker, url = server
    async with (
        await rtmpd.connect(f"{url}live") as live,
        await rtmpd.connect(f"{url}other") as other,
        await rtmpd.connect(f"{url}live") as viewer_of_live,
        await rtmpd.connect(f"{url}other") as viewer_of_other,
    ):
        cut, whole = await publish(live), await publish(other)
        worker.apply(configured("apps.live.gop.max_bytes=64KiB"))
        assert await joined(viewer_of_other, whole) == GOP
        assert await joined(viewer_of_live, cut) == GOP[:2]


async def test_players_of_one_app_get_other_rules_with_their_next_play(server: tuple[Worker, str]) -> None:
    worker, url = server
    worker.apply(
        configured('apps."live/soon".player.wait_timeout=50ms', "apps.other.player.max_players_per_stream=1")
    )
    async with await rtmpd.connect(f"{url}live") as patient, await rtmpd.connect(f"{url}live") as hasty:
        waiting, refused = await patient.play("later"), await hasty.play("soon")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(StreamFailed, match=r"within 0\.05 s"):
                async for _ in refused:
                    pass
        waiting.check()
    async with await rtmpd.connect(f"{url}other") as first, await rtmpd.connect(f"{url}other") as second:
        await first.play("cam")
        with pytest.raises(PlayRejected, match="This stream takes 1 players"):
            await second.play("cam")
