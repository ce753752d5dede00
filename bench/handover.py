"""A server is replaced under load by another process of itself: who is refused, who loses what, for how long.

Encoders that act on a ReconnectRequest and players that do not are there before; others connect meanwhile.
Each frame has a number, so a player knows what it has missed, and what came twice. Given ``--url`` and
``--replace``, it is done to a server that runs, such as under systemd; else to one of this script.

What counts: ``refused`` and ``lost`` are 0, ``live`` is below 2 s.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated

import common
import servers
import typer

import rtmpd

_HANDSHAKE = b"\x03" + bytes(1536)
_HEADER = bytes.fromhex("170000000001640028ff")
_FPS = 25
_GOP = 25
_FRAME = bytes(4000)
_PATIENCE = 10.0
_MOVES = rtmpd.ConnectParams(caps_ex=rtmpd.CapsEx.RECONNECT)


@dataclass
class Report:
    """What has come of it."""

    connects: int = 0
    refused: list[str] = field(default_factory=list)
    slowest_connect: float = 0.0
    live: list[float] = field(default_factory=list)
    """Seconds from the request to reconnect to the answer to the new publish."""
    lost: int = 0
    """Frames that a player has missed between its first and its last."""
    twice: int = 0
    longest_gap: float = 0.0
    ended: int = 0
    """Players whose stream has ended before the script was done."""


class Encoder:
    """Sends numbered frames, and goes where it is asked to with its next key frame."""

    def __init__(self, url: str, report: Report) -> None:
        self.sent = 0
        self._url = url
        self._report = report
        self._asked_at: float | None = None
        self.moved = asyncio.Event()

    async def run(self) -> None:
        begun = time.monotonic()
        while True:
            async with await rtmpd.connect(self._url, params=_MOVES) as connection:
                stream = await connection.publish()
                if self._asked_at is not None:
                    self._report.live.append(time.monotonic() - self._asked_at)
                    self._asked_at = None
                    self.moved.set()
                asked = asyncio.create_task(self._watch(connection))
                await stream.send_video(_HEADER, self._time)
                while not (asked.done() and self.sent % _GOP == 0):
                    kind = b"\x17" if self.sent % _GOP == 0 else b"\x27"
                    payload = kind + b"\x01\0\0\0" + self.sent.to_bytes(8, "big") + _FRAME
                    await stream.send_video(payload, self._time)
                    self.sent += 1
                    await asyncio.sleep(max(begun + self.sent / _FPS - time.monotonic(), 0.0))
                self._asked_at = time.monotonic()

    @property
    def _time(self) -> int:
        return self.sent * 1000 // _FPS

    async def _watch(self, connection: rtmpd.Connection) -> None:
        async for event in connection.events():
            if isinstance(event, rtmpd.ReconnectRequested):
                return
        await asyncio.Event().wait()


async def _play(url: str, report: Report, ready: asyncio.Event) -> None:
    seen: set[int] = set()
    last_at = 0.0
    async with await rtmpd.connect(url) as connection:
        stream = await connection.play()
        try:
            async for message in stream:
                if message.type != 9 or len(message.payload) < 13 or message.payload[1] != 1:
                    continue
                now = time.monotonic()
                report.longest_gap = max(report.longest_gap, now - last_at if last_at else 0.0)
                last_at = now
                number = int.from_bytes(message.payload[5:13], "big")
                report.twice += number in seen
                seen.add(number)
                ready.set()
            report.ended += 1
        finally:
            if seen:
                report.lost += max(seen) - min(seen) + 1 - len(seen)


async def _knock(address: tuple[str, int], number: int, report: Report) -> None:
    for _ in range(number):
        begun = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection(*address)
                writer.write(_HANDSHAKE)
                await reader.readexactly(len(_HANDSHAKE))
                writer.close()
        except (OSError, EOFError, TimeoutError) as error:
            report.refused.append(repr(error))
        report.connects += 1
        report.slowest_connect = max(report.slowest_connect, time.monotonic() - begun)
        await asyncio.sleep(0.002)


@asynccontextmanager
async def _running(*coroutines: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in coroutines:
            task.cancel()
        await asyncio.gather(*coroutines, return_exceptions=True)


async def _measure(url: str, replace: str, encoders: int, players: int, connects: int, stay: float) -> Report:
    report = Report()
    sources = [Encoder(f"{url}/handover{number}", report) for number in range(encoders)]
    begun = [asyncio.Event() for _ in range(players)]
    host, _, port = url.partition("://")[2].partition("/")[0].partition(":")
    async with AsyncExitStack() as stack:
        tasks = [asyncio.create_task(each.run()) for each in sources]
        await stack.enter_async_context(_running(*tasks))
        viewers = [
            asyncio.create_task(_play(f"{url}/handover{number % encoders}", report, ready))
            for number, ready in enumerate(begun)
        ]
        await stack.enter_async_context(_running(*viewers))
        async with asyncio.timeout(60.0):
            for ready in begun:
                await ready.wait()
        knockers = [
            asyncio.create_task(_knock((host, int(port or 1935)), connects // 8, report)) for _ in range(8)
        ]
        await asyncio.sleep(0.5)
        process = await asyncio.create_subprocess_exec(*shlex.split(replace))
        if await process.wait():
            raise RuntimeError(f"{replace} has failed")
        async with asyncio.timeout(60.0):
            for source in sources:
                await source.moved.wait()
            await asyncio.gather(*knockers)
        await asyncio.sleep(stay)
        for task in (*tasks, *viewers):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
    return report


def main(
    encoders: Annotated[int, typer.Option("--encoders")] = 20,
    players: Annotated[int, typer.Option("--players")] = 100,
    connects: Annotated[int, typer.Option("--connects")] = 2000,
    stay: Annotated[float, typer.Option("--stay", help="Seconds for which players stay.")] = 10.0,
    url: Annotated[str, typer.Option("--url", help="App of a server that runs: rtmp://HOST:PORT/APP.")] = "",
    replace: Annotated[str, typer.Option("--replace", help="Command that has it replaced.")] = "",
    program: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Replace a server under load and say who noticed."""
    if bool(url) is not bool(replace):
        raise typer.BadParameter("--url and --replace come together")
    if url:
        report = asyncio.run(_measure(url, replace, encoders, players, connects, stay))
    else:
        rtmp, admin = servers.free_ports(2)
        settings = [
            f"rtmp.listen=127.0.0.1:{rtmp}",
            f"admin.listen=127.0.0.1:{admin}",
            "http.listen=",
            "log.format=json",
        ]
        settings += ["rtmp.limits.max_connects_per_minute=0"]
        options = [part for setting in settings for part in ("--set", setting)]
        with tempfile.TemporaryFile("w+") as log:
            old = subprocess.Popen([str(program), "serve", *options], stdout=log, stderr=log)
            try:
                _wait_for(admin)
                command = shlex.join([str(program), "replace", *options])
                place = f"rtmp://127.0.0.1:{rtmp}/live"
                report = asyncio.run(_measure(place, command, encoders, players, connects, stay))
            finally:
                log.seek(0)
                _end(old, log.read())
    live = max(report.live, default=0.0)
    print(
        f"connects {report.connects}, refused {len(report.refused)}, slowest {report.slowest_connect:.2f} s"
    )
    print(f"encoders that moved {len(report.live)} of {encoders}, live after {live:.2f} s at most")
    print(
        f"players {players}, ended {report.ended}, frames lost {report.lost}, twice {report.twice}, "
        f"longest gap {report.longest_gap:.2f} s"
    )
    if report.refused or report.lost or report.ended or live > 2.0 or len(report.live) != encoders:
        print(*report.refused[:5], sep="\n", file=sys.stderr)
        raise typer.Exit(1)


def _wait_for(port: int) -> None:
    import socket

    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise RuntimeError("the server does not start")


def _end(old: subprocess.Popen[bytes], log: str) -> None:
    """End whichever processes of the server there are, by what they say of themselves."""
    import os

    for line in log.splitlines():
        with suppress(ValueError, ProcessLookupError, KeyError):
            told = json.loads(line)
            if told["event"] == "handed over":
                os.kill(told["pid"], signal.SIGTERM)
    old.terminate()
    old.wait(20.0)


if __name__ == "__main__":
    typer.run(main)
