"""nginx-rtmp as a neighbour, which nobody here wrote: to push to, to pull from, and to compare with."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from ffmpeg import Running

MODULES = (
    Path("/usr/lib/nginx/modules"),
    Path("/usr/share/nginx/modules"),
    Path("/usr/lib64/nginx/modules"),
)
_START_TIMEOUT = 10.0
_CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr info;
events {{}}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        application live {{ live on; publish_notify on; }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{http_port};
        location /stat {{ rtmp_stat all; }}
        location /control {{ rtmp_control all; }}
    }}
}}
"""


def find_module() -> Path | None:
    """The module of Debian's libnginx-mod-rtmp."""
    paths = (directory / "ngx_rtmp_module.so" for directory in MODULES)
    return next((path for path in paths if path.exists()), None)


class NginxRtmp:
    """One nginx on a port that it keeps over restarts."""

    def __init__(self, executable: str, module: Path, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
            self.port = free.getsockname()[1]
            self.http_port = other.getsockname()[1]
        self._arguments = [executable, "-p", str(directory), "-c", str(directory / "nginx.conf")]
        text = _CONFIGURATION.format(
            module=module, directory=directory, port=self.port, http_port=self.http_port
        )
        (directory / "nginx.conf").write_text(text)
        self._process: Running | None = None

    def url(self, name: str) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live/{name}"

    def get(self, path: str) -> str:
        """What it says over HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
            body: bytes = answer.read()
        return body.decode()

    def start(self) -> None:
        """Returns once it listens."""
        self._process = Running(self._arguments)
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert self._process.running(), str(self._process)
        raise AssertionError(f"nginx does not listen: {self._process}")

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.close()
            self._process = None

    def publishes(self, name: str) -> int:
        """How often somebody has begun to publish the stream."""
        assert self._process is not None
        return self._process.log().count(f"publish: name='{name}'")

    def wait_for_play(self, name: str) -> None:
        """Until somebody has asked to play the stream."""
        assert self._process is not None
        tick = threading.Event()
        deadline = time.monotonic() + _START_TIMEOUT
        while f"play: name='{name}'" not in self._process.log():
            assert time.monotonic() < deadline, str(self._process)
            tick.wait(0.05)


@contextlib.contextmanager
def nginx_rtmp(executable: str, module: Path, directory: Path) -> Iterator[NginxRtmp]:
    server = NginxRtmp(executable, module, directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()
