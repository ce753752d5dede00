"""Players of HTTP as tests have them play something: VLC, mpv, and scripts of players in a browser."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from ffmpeg import Running, bundled, start
from npm import install
from rtmpd_process import RtmpdProcess
from tools import find_tool, missing

PLAYWRIGHT = "playwright-core@1.65.1"
NOBODY = 65534

Play = Callable[..., AbstractContextManager[Running]]
"""Has a browser play a URL, with further words for its scenario; its output is what ``seen`` reads."""


class Page(BaseHTTPRequestHandler):
    """An empty page, on an origin of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Nobody wants to know."""


@contextmanager
def browser_with(pytestconfig: pytest.Config, scenario: Path, *packages: str) -> Iterator[Play]:
    """Debian's Chromium, driven by ``scenario``, which has ``packages`` of npm."""
    npm, chromium = find_tool("npm"), find_tool("chromium")
    wanted = (PLAYWRIGHT, *packages)
    try:
        modules = install(npm, pytestconfig.cache.mkdir("npm"), *wanted)
    except (OSError, subprocess.SubprocessError) as error:
        missing(f"npm cannot install {' and '.join(wanted)}: {error}")
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{pages.server_port}/"
    command = ("env", f"NODE_MODULES={modules}", f"CHROMIUM={chromium}", find_tool("node"), str(scenario))
    try:
        yield lambda url, *more: start(*command, origin, url, *more)
    finally:
        pages.shutdown()
        pages.server_close()


def seen(playing: Running, timeout: float = 60) -> dict[str, Any]:
    """What a browser has seen, once its scenario is over."""
    found: dict[str, Any] = json.loads(playing.succeed(timeout=timeout).splitlines()[-1])
    return found


def when_watched(server: RtmpdProcess, url: str, publisher: Running) -> Callable[[], None]:
    """Ends a stream once somebody sees it."""

    def stop() -> None:
        server.wait_until_watched(url)
        publisher.stop()

    return stop


def frames_by_vlc(place: str, folder: Path, stop: Callable[[], None], *, length: int = 0) -> dict[str, int]:
    """How many frames of picture and sound VLC has of ``place``; ``stop`` is called when it plays, and ends
    the stream, unless it is left after ``length`` seconds."""
    cvlc, home = find_tool("cvlc"), folder / "home"
    home.mkdir()
    copy = home / "copy.ts"
    output = f"#std{{access=file,mux=ts,dst={copy}}}"
    words = ("--sout", output, place, *([f":run-time={length}"] if length else []), "vlc://quit")
    with start(*as_somebody(home), cvlc, "-I", "dummy", *words) as playing:
        stop()
        playing.succeed(timeout=30)
    packets = bundled().packets(copy)
    return {kind: len(packets.of(kind)) for kind in ("video", "audio")}


def told_by_mpv(place: str, stop: Callable[[], None]) -> str:
    """What mpv says of ``place``; ``stop`` as above."""
    silent = ("--no-config", "--vo=null", "--ao=null", "--ytdl=no")
    with start(find_tool("mpv"), *silent, place) as playing:
        stop()
        return playing.succeed(timeout=30)


def as_somebody(home: Path) -> list[str]:
    """VLC does not run as root."""
    if os.geteuid():
        return []
    home.chmod(0o777)
    shared = Path(tempfile.gettempdir())
    for each in (home, *takewhile(lambda each: each != shared, home.parents)):
        each.chmod(each.stat().st_mode | 0o755)
    number = str(NOBODY)
    return ["setpriv", "--reuid", number, "--regid", number, "--clear-groups", "env", f"HOME={home}"]
