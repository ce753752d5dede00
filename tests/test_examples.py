"""The documented examples, run as their readers would."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path
from typing import Any

import pytest
from client_kit import AAC_HEADER, AVC_HEADER, Peer, accept, keyframe, real_server, scripted_server

import rtmpd
from rtmpd.media import flv
from rtmpd.rtmp import commands
from rtmpd.rtmp.amf import EcmaArray, encode_values
from rtmpd.rtmp.constants import StatusCode, StatusLevel
from rtmpd.rtmp.events import ConnectRequested, ServerEvent

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def example(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def clip() -> bytes:
    tags = [
        (18, 0, encode_values("onMetaData", EcmaArray(width=320.0))),
        (9, 0, AVC_HEADER),
        (8, 0, AAC_HEADER),
        *((9, 40 * number, keyframe(bytes(1000))) for number in range(50)),
    ]
    return flv.encode_header(True, True) + b"".join(flv.encode_tag(*tag) for tag in tags)


async def test_publish_and_play(capsys: pytest.CaptureFixture[str]) -> None:
    async with real_server() as port:
        count = await example("publish_and_play")(f"rtmp://127.0.0.1:{port}/live/demo", clip())
    assert count >= 53
    assert "the last one at 1960 ms" in capsys.readouterr().out


async def test_relay() -> None:
    async with real_server() as near, real_server() as far:
        urls = f"rtmp://127.0.0.1:{near}/live/demo", f"rtmp://127.0.0.1:{far}/live/copy"
        async with await rtmpd.connect(urls[0]) as source, await rtmpd.connect(urls[1]) as sink:
            player = await sink.play()
            relay = asyncio.create_task(example("relay")(*urls))
            stream = await source.publish()
            await stream.send_video(AVC_HEADER, 0)
            await stream.send_video(keyframe(), 40)
            async for packet in player:
                if packet.payload == keyframe():
                    await stream.close()
            await relay
    assert packet.timestamp == 40


async def test_events(capsys: pytest.CaptureFixture[str]) -> None:
    def script(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, ConnectRequested):
            code = StatusCode.CONNECT_RECONNECT_REQUEST
            moving = commands.on_status(StatusLevel.STATUS, code, "", tcUrl="rtmp://b/live")
            peer.session.send_command(moving)

    async with scripted_server(script) as server:
        await example("events")(server.url)
    printed = capsys.readouterr().out
    assert "length: (0.0,)" in printed
    assert "go to rtmp://b/live" in printed


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_without_arguments_they_say_how(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [str(path)])
    with pytest.raises(SystemExit, match=f": {path.name} "):
        runpy.run_path(str(path), run_name="__main__")


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"publish_and_play", "relay", "events"}
