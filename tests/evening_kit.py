"""An evening at a real server: an encoder that can be asked to go elsewhere, and a player that cannot."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from client_kit import AVC_HEADER, keyframe
from rtmpd_process import RtmpdProcess
from typer.testing import CliRunner

import rtmpd as library
from rtmpd.daemon import cli


@dataclass
class Evening:
    """An encoder that can be asked to go elsewhere, and a player of its stream, which cannot."""

    source: library.Connection
    stream: library.Stream
    player: library.Stream
    time: int = 0

    async def goes_on(self) -> bool:
        """Whether the player gets what the encoder sends."""
        self.time += 40
        await self.stream.send_video(keyframe(), self.time)
        async for message in self.player:
            if message.timestamp == self.time:
                return True
        return False

    async def asked(self) -> str:
        """Where the encoder is asked to go."""
        async for event in self.source.events():
            if isinstance(event, library.ReconnectRequested):
                return event.tc_url
        return "nowhere"


@asynccontextmanager
async def evening(server: RtmpdProcess) -> AsyncIterator[Evening]:
    url = server.url("show?key=k", app="live")
    params = library.ConnectParams(caps_ex=library.CapsEx.RECONNECT)
    async with await library.connect(url, params=params) as source, await library.connect(url) as sink:
        stream = await source.publish()
        await stream.send_video(AVC_HEADER, 0)
        await stream.send_video(keyframe(), 0)
        evening = Evening(source, stream, await sink.play())
        assert await evening.goes_on()
        yield evening


def order(server: RtmpdProcess, command: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command that asks ``server``."""
    admin = f"admin.listen=127.0.0.1:{server.port('admin')}"
    result = CliRunner().invoke(cli.app, [command, "--set", admin, *arguments])
    return result.exit_code, result.output


@contextlib.contextmanager
def successor(server: RtmpdProcess) -> Iterator[None]:
    """Whoever takes over within the block is gone at its end."""
    try:
        yield
    finally:
        for line in server.log.find({"event": "handed over"}):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(str(line["pid"])), signal.SIGKILL)
