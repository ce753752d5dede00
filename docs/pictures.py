"""Makes the pictures of the README, of a server that runs: make pictures.

A server with three streams of a picture that moves, players by RTMP and by HTTP, a recording and a push that
is down is started on free ports of this machine, looked at by Chromium and by what ``rtmpd top`` draws, and
ended. Needs ffmpeg and chromium.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console

from rtmpd.daemon.admin_request import AdminPort, port_at
from rtmpd.daemon.top_display import TopScreen
from rtmpd.daemon.top_figures import Figures, Order
from rtmpd.exceptions import AdminRequestFailed

FOLDER: Final = Path(__file__).with_name("pictures")
_RTMPD: Final = (sys.executable, "-m", "rtmpd")
_CARDS: Final = (
    # Name, pixels, frames a second, frames from key frame to key frame, x264's crf, players.
    ("live/church", "640x360", 25, 50, 26, 12),
    ("live/concert", "640x360", 30, 60, 22, 40),
    ("live/field", "320x180", 15, 147, 30, 3),
)
_TOP: Final = (96, 14)
"""Columns and lines of the terminal."""
_WINDOW: Final = (1100, 760)
_HIGH_WINDOW: Final = (1100, 1480)
"""Pixels of the browser's; the page of a stream is longer."""
_PAGE: Final = "live/concert"
_PAGE_WINDOW: Final = (900, 640)
_LONGEST_START: Final = 20.0
_HTTP_PLAYERS: Final = 1
_RECORDED: Final = "live/field"
_READINGS: Final = 80
_READ_EVERY: Final = 0.25
_SHOWN: Final = 30.0
"""Seconds for which the page is there when it is looked at."""
_FONTS: Final = re.compile(r"\s*@font-face {.*?}", re.DOTALL)


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    with ExitStack() as stack:
        rtmp, http, admin, nobody = _free_ports(4)
        recordings = stack.enter_context(tempfile.TemporaryDirectory())
        server = [*_RTMPD, "serve"]
        for setting in (
            f"rtmp.listen=127.0.0.1:{rtmp}",
            f"http.listen=127.0.0.1:{http}",
            f"admin.listen=127.0.0.1:{admin}",
            f'apps."{_RECORDED}".record.root={recordings}',
            f'apps."{_RECORDED}".record.start=always',
            f'apps."{_PAGE}".page.title=The fractal hour',
            f'apps."{_PAGE}".page.text=Every day at ten, from somewhere in the Mandelbrot set.',
            f'apps."live/concert".push.youtube.url=rtmp://127.0.0.1:{nobody}/live2/key',
        ):
            server += ["--set", setting]
        stack.enter_context(_running(server))
        port = port_at(f"http://127.0.0.1:{admin}")
        _wait_for(port)
        for name, size, rate, group, quality, players in _CARDS:
            url = f"rtmp://127.0.0.1:{rtmp}/{name}"
            stack.enter_context(_running(_encoder(url, size, rate, group, quality)))
            stack.enter_context(_running(_players(url, players)))
        by_http = f"http://127.0.0.1:{http}/{_RECORDED}.flv"
        stack.enter_context(_running(_players(by_http, _HTTP_PLAYERS)))
        time.sleep(12.0)  # Until the slowest encoder has sent two key frames.
        _draw_top(port, FOLDER / "top.svg")
        port.call("POST", f"/streams/{_RECORDED}/recording/split")
        page = f"http://127.0.0.1:{admin}/"
        _look(page, FOLDER / "console.png", _WINDOW)
        _look(f"http://127.0.0.1:{http}/{_PAGE}", FOLDER / "page.png", _PAGE_WINDOW)
        _look(f"{page}#/streams/{_RECORDED}", FOLDER / "stream.png", _HIGH_WINDOW)


def _encoder(url: str, size: str, rate: int, group: int, quality: int) -> list[str]:
    card = f"mandelbrot=size={size}:rate={rate}:start_scale=1"
    video = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-crf", str(quality))
    groups = ("-g", str(group), "-keyint_min", str(group), "-sc_threshold", "0")
    sources = ("-f", "lavfi", "-i", card, "-f", "lavfi", "-i", "sine")
    return ["ffmpeg", "-loglevel", "error", "-re", *sources, *video, *groups, "-c:a", "aac", "-f", "flv", url]


def _players(url: str, number: int) -> list[str]:
    return [*_RTMPD, "bench", "play", "-n", str(number), "-d", "300", "--rate", "20", url]


def _draw_top(port: AdminPort, path: Path) -> None:
    figures = Figures()
    for _ in range(_READINGS):
        figures.learn(port.call("GET", "/server"), port.call_all("/streams"), time.monotonic())
        time.sleep(_READ_EVERY)
    width, height = _TOP
    console = Console(record=True, width=width, height=height, force_terminal=True, file=io.StringIO())
    screen = TopScreen(figures, str(port), keys=True)
    screen.sort(Order.PLAYERS)
    console.print(screen.at(time.monotonic()), height=height, end="")
    # Rich would have fonts fetched from elsewhere.
    path.write_text(_FONTS.sub("", console.export_svg(title="rtmpd top")))


def _look(url: str, path: Path, window: tuple[int, int]) -> None:
    """A picture of a page that goes on loading, once it has been there for a while."""
    width, height = window
    with tempfile.TemporaryDirectory() as profile:
        options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--remote-debugging-port=0")
        size = f"--window-size={width},{height}"
        with _running(["chromium", *options, f"--user-data-dir={profile}", size, url]):
            time.sleep(_SHOWN)
            port = Path(profile, "DevToolsActivePort").read_text().split()[0]
            path.write_bytes(asyncio.run(_screenshot(f"http://127.0.0.1:{port}/json")))


async def _screenshot(pages: str) -> bytes:
    """Of the page that a browser's debugger tells of there, as PNG."""
    async with aiohttp.ClientSession() as session:
        async with session.get(pages) as answer:
            (page,) = [each for each in await answer.json() if each["type"] == "page"]
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            await socket.send_json({"id": 1, "method": "Page.captureScreenshot"})
            told = await socket.receive_json(timeout=20.0)
    return base64.b64decode(told["result"]["data"])


@contextmanager
def _running(arguments: list[str]) -> Iterator[None]:
    """A program that runs meanwhile, and is gone at the end of the block."""
    with subprocess.Popen(
        [_tool(arguments[0]), *arguments[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(20.0)


def _wait_for(port: AdminPort) -> None:
    end = time.monotonic() + _LONGEST_START
    while True:
        try:
            port.call("GET", "/server")
        except AdminRequestFailed:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        sys.exit(f"{name} is not installed")
    return path


if __name__ == "__main__":
    main()
