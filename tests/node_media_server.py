"""node-media-server as a neighbour: a server that nobody here wrote, from npm."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ffmpeg import Running
from npm import install as install_packages

VERSION = "4.4.3"

_START_TIMEOUT = 20.0


def install(npm: str, cache: Path) -> Path:
    """Path of the program, downloaded into ``cache`` if it is not there yet.

    Raises OSError or SubprocessError.
    """
    modules = install_packages(npm, cache, f"node-media-server@{VERSION}")
    return modules / "node-media-server" / "bin" / "app.js"


class NodeMediaServer:
    """One server on a port of its own."""

    def __init__(self, node: str, program: Path, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        configuration = directory / "node-media-server.json"
        # Listeners without a port are not opened: there is no HTTP.
        settings = {
            "bind": "127.0.0.1",
            "rtmp": {"port": self.port},
            "store": {"path": str(directory / "store")},
        }
        configuration.write_text(json.dumps(settings))
        self._process = Running([node, str(program), "-c", str(configuration)])

    def url(self, name: str) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live/{name}"

    def wait_until_listening(self) -> None:
        tick = threading.Event()
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert self._process.running(), str(self._process)
            tick.wait(0.05)
        raise AssertionError(f"node-media-server does not listen: {self._process}")

    def wait_for_play(self, name: str) -> None:
        """Until somebody plays the stream."""
        tick = threading.Event()
        deadline = time.monotonic() + _START_TIMEOUT
        while f"start play /live/{name}\n" not in self._process.log():
            assert time.monotonic() < deadline, str(self._process)
            tick.wait(0.05)

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()

    def close(self) -> None:
        self._process.close()


@contextlib.contextmanager
def node_media_server(node: str, program: Path, directory: Path) -> Iterator[NodeMediaServer]:
    server = NodeMediaServer(node, program, directory)
    try:
        server.wait_until_listening()
        yield server
    finally:
        server.close()
