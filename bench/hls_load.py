"""Viewers of HLS for ``hls.py``, in a process of their own: each asks as hls.js does with low latency.

A viewer has two connections, as a browser has: on one it reloads its playlist, and is answered when there is
a part more; on the other it fetches that part meanwhile. With ``--files`` nothing is waited for: the same
requests are made of files, at the pace of parts. Prints a line of JSON for each phase, and the report.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, cast

import typer
import uvloop

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_HINT = re.compile(rb'PRELOAD-HINT:TYPE=PART,URI="([^"]*_(\d+)_(\d+)\.mp4)')
_PART = re.compile(rb'EXT-X-PART:DURATION=([\d.]+),URI="([^"]*)"')
_AT = re.compile(rb"PROGRAM-DATE-TIME:(\S+)")
_TARGET = re.compile(rb"PART-TARGET=([\d.]+)")
_BUFFER = bytearray(1 << 20)
"""Where all of them receive: what is in it is looked at before anybody else is."""


class Caller(asyncio.BufferedProtocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, host: bytes, got: Callable[[bytes], None]) -> None:
        self._host = host
        self._got = got
        self._head = b""
        self._left = 0
        self._body: list[bytes] | None = None
        self.bytes = 0
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self.idle = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost = True

    def get_buffer(self, _sizehint: int) -> memoryview:
        return memoryview(_BUFFER)

    def ask(self, path: bytes, *, keep: bool) -> None:
        """Ask for it; its body is told if it is to be kept."""
        self.idle = False
        self._body = [] if keep else None
        assert self.transport is not None
        self.transport.write(
            b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: %b\r\n\r\n"
            % (path, self._host, b"identity")
        )

    def buffer_updated(self, size: int) -> None:
        self.bytes += size
        if self._left:
            data = bytes(_BUFFER[:size]) if self._body is not None else b""
            self._take(data, size)
            return
        self._head += bytes(_BUFFER[:size])
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        head, rest = self._head[: end + 4], self._head[end + 4 :]
        self._head = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self.lost = True
            return
        found = _LENGTH.search(head)
        assert found
        self._left = int(found[1])
        self._take(rest, len(rest))

    def _take(self, data: bytes, size: int) -> None:
        self._left -= size
        if self._body is not None:
            self._body.append(data)
        if self._left <= 0:
            self._left, self.idle = 0, True
            self._got(b"" if self._body is None else b"".join(self._body))


class Viewer:
    """One player."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd = crowd
        self.number = number
        host = b"127.0.0.1:%d" % crowd.port
        self.playlists = Caller(host, self._got_playlist)
        self.parts = Caller(host, self._got_part)
        self.uri = b""
        self.busy = False
        self.last = b""
        """Name of the last part of the last playlist."""

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self.playlists, "127.0.0.1", self.crowd.port)
        await loop.create_connection(lambda: self.parts, "127.0.0.1", self.crowd.port)
        self.playlists.ask(self.crowd.folder + b"/index.m3u8", keep=True)

    def go_on(self) -> None:
        """With files: it is time for the next part."""
        if self.playlists.idle and self.parts.idle:
            self.playlists.ask(self.uri, keep=False)
            self.parts.ask(self.crowd.part(self.number), keep=False)
        else:
            self.crowd.skipped += 1

    def _got_playlist(self, body: bytes) -> None:
        if not self.uri:
            name = next(line for line in body.splitlines() if line and line[:1] != b"#")
            self.uri = self.crowd.folder + b"/" + name
            if self.crowd.files:
                self.crowd.note_joined()
            else:
                self.playlists.ask(self.uri, keep=True)
            return
        self.crowd.reloads += 1
        if self.crowd.files:
            return
        hint = _HINT.search(body)
        if hint is None:
            self.playlists.lost = True
            return
        if self.last == b"":
            self.crowd.note_joined()
        self.last = _PART.findall(body)[-1][1]
        self.crowd.note(body)
        self._fetch()
        joint = b"&" if b"?" in self.uri else b"?"
        query = b"%b_HLS_msn=%b&_HLS_part=%b&_HLS_skip=YES" % (joint, hint[2], hint[3])
        self.playlists.ask(self.uri + query, keep=True)

    def _got_part(self, _body: bytes) -> None:
        self.busy = False
        self.crowd.parts += 1

    def _fetch(self) -> None:
        """Fetch that part."""
        if self.busy:
            self.crowd.skipped += 1
        else:
            self.busy = True
            self.parts.ask(self.crowd.folder + b"/" + self.last, keep=False)


class Crowd:
    """All of them."""

    def __init__(self, port: int, folder: str, number: int, files: int, period: float) -> None:
        self.port = port
        self.folder = folder.encode()
        self.files = files
        self.period = period
        self.all_there = asyncio.Event()
        self.joined = self.reloads = self.parts = self.skipped = 0
        self.delays: list[float] = []
        self.viewers = [Viewer(self, each) for each in range(number)]
        self._turn = 0

    def part(self, number: int) -> bytes:
        """A file's path: all viewers want the same one at about the same time, and the next one then."""
        return b"%b/part_%d.mp4" % (self.folder, (self._turn + (number == 0)) % self.files)

    def note_joined(self) -> None:
        """One more has all that it needs to begin."""
        self.joined += 1
        if self.joined == len(self.viewers):
            self.all_there.set()

    def note(self, body: bytes) -> None:
        """A playlist has come: how long after the last frame in it has."""
        now = time.time()
        at = body.rfind(b"#EXT-X-PROGRAM-DATE-TIME")
        found = _AT.search(body, at)
        if found is None:
            return
        begun = datetime.fromisoformat(found[1].decode()).timestamp()
        self.delays.append(now - begun - sum([float(each[0]) for each in _PART.findall(body, at)]))

    @property
    def bytes(self) -> int:
        return sum([viewer.playlists.bytes + viewer.parts.bytes for viewer in self.viewers])

    @property
    def lost(self) -> int:
        return sum([viewer.playlists.lost or viewer.parts.lost for viewer in self.viewers])

    async def pace(self) -> None:
        """Have all ask for files, spread over the time of a part."""
        loop, count = asyncio.get_running_loop(), len(self.viewers)
        begun = loop.time()
        while True:
            self._turn += 1
            for number, viewer in enumerate(self.viewers):
                due = begun + (self._turn + number / count) * self.period
                if number % 50 == 0 and due > loop.time():
                    await asyncio.sleep(due - loop.time())
                viewer.go_on()


def main(
    port: int,
    folder: str,
    number: Annotated[int, typer.Option("-n")] = 100,
    seconds: float = 8.0,
    files: int = 0,
    period: float = 0.2,
) -> None:
    """Watch ``folder`` on ``port``, or ask for so many ``files`` there, one each ``period``."""
    uvloop.run(_run(Crowd(port, folder, number, files, period), seconds))


async def _run(crowd: Crowd, seconds: float) -> None:
    for viewer in crowd.viewers:
        await viewer.begin()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(crowd.all_there.wait(), 30.0)
    _tell("joined", joined=crowd.joined)
    pacing = asyncio.create_task(crowd.pace()) if crowd.files else None
    await asyncio.sleep(2.0)
    _tell("measuring")
    crowd.delays.clear()
    bytes_before, cpu, begun = crowd.bytes, time.process_time(), time.monotonic()
    before = crowd.reloads, crowd.parts, crowd.skipped
    await asyncio.sleep(seconds)
    took = time.monotonic() - begun
    _tell("measured")
    delays = sorted(crowd.delays) or [0.0]
    _tell(
        "report",
        seconds=took,
        bytes=crowd.bytes - bytes_before,
        cpu_seconds=time.process_time() - cpu,
        reloads=(crowd.reloads - before[0]) / took,
        parts=(crowd.parts - before[1]) / took,
        skipped=crowd.skipped - before[2],
        lost=crowd.lost,
        delay_ms={name: delays[int(len(delays) * share)] * 1000 for name, share in _SHARES.items()},
    )
    if pacing is not None:
        pacing.cancel()


_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 0.999999}


def _tell(phase: str, **more: Any) -> None:
    print(json.dumps({"phase": phase, **more}), flush=True)


if __name__ == "__main__":
    typer.run(main)
