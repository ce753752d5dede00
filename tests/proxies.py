"""HAProxy and nginx as they stand in front of servers, on free ports of 127.0.0.1.

Both connect from 127.0.0.2: so the tests tell a proxy from its clients.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ffmpeg import Running
from nginx_rtmp import MODULES

ADDRESS = "127.0.0.2"
_START_TIMEOUT = 10.0
_HAPROXY = """
global
  log stderr local0
defaults
  mode {mode}
  log global
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout http-request 5s
frontend front
  bind 127.0.0.1:{port}{tls}
  default_backend rtmpd
backend rtmpd
  source {address}
  server one {target} {options}
"""
_NGINX = """
load_module {module};
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{}}
stream {{
  server {{
    listen 127.0.0.1:{port}{tls};
    {certificate}
    proxy_bind {address};
    proxy_pass {target};
    proxy_protocol on;
  }}
}}
"""


def find_stream_module() -> Path | None:
    """The module of Debian's libnginx-mod-stream."""
    paths = (folder / "ngx_stream_module.so" for folder in MODULES)
    return next((path for path in paths if path.exists()), None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextlib.contextmanager
def running(arguments: Sequence[str], port: int) -> Iterator[Running]:
    process = Running(list(arguments))
    try:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            assert process.running(), str(process)
            assert time.monotonic() < deadline, str(process)
            time.sleep(0.02)
        yield process
    finally:
        process.close()


@contextlib.contextmanager
def haproxy(
    program: str,
    folder: Path,
    target: str,
    options: str,
    *,
    certificate: Path | None = None,
    mode: str = "tcp",
) -> Iterator[int]:
    """The port in front of ``target``; with a certificate and its key in one file TLS ends there."""
    port = free_port()
    tls = f" ssl crt {certificate}" if certificate else ""
    file = folder / "haproxy.cfg"
    address = ADDRESS if not target.startswith("unix@") else "0.0.0.0"
    text = _HAPROXY.format(mode=mode, port=port, tls=tls, address=address, target=target, options=options)
    file.write_text(text)
    with running([program, "-db", "-f", str(file)], port):
        yield port


@contextlib.contextmanager
def nginx_stream(
    program: str, module: Path, folder: Path, target: str, *, certificate: tuple[Path, Path] | None = None
) -> Iterator[int]:
    """The same for nginx."""
    port = free_port()
    lines = ""
    if certificate:
        lines = f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
    text = _NGINX.format(
        module=module,
        folder=folder,
        port=port,
        tls=" ssl" if certificate else "",
        certificate=lines,
        address=ADDRESS,
        target=target,
    )
    file = folder / "nginx.conf"
    file.write_text(text)
    with running([program, "-p", str(folder), "-c", str(file)], port):
        yield port
