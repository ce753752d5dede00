"""The servers under test: each pinned to one core, on 127.0.0.1, at its defaults but for connection caps."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import typer

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(__file__).resolve().parent / ".cache"
RTMPD = Path(sys.executable).with_name("rtmpd")
"""Of the environment that the benchmark runs in: the load generator, and the server unless told otherwise."""
NODE_MEDIA_SERVER = "4.4.3"
NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
APP = "live"
RTMP = "rtmp"
HTTP_FLV = "http-flv"

_START_TIMEOUT = 20.0
_POLL_INTERVAL = 0.002
_STOP_TIMEOUT = 10.0
_LONGEST_RUN = "3600"
"""Seconds after which a server ends that this process could not end."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Variant:
    """A server with settings, as a row of a table names it."""

    label: str
    kind: str
    """``rtmpd``, ``nginx``, ``nms`` or ``bare``."""
    settings: tuple[str, ...] = ()
    """``key=value`` of rtmpd."""
    program: str = ""
    """Another rtmpd than the one that is measured; its path, from where the benchmark was started."""
    tls: bool = False
    """The load comes over TLS: rtmpd ends it itself, nginx by its stream module with the two files in
    ``settings``, which are a chain and a key."""
    config: str = ""
    """A configuration file for rtmpd."""
    protocol: str = RTMP
    """How players are sent media."""

    def plays(self, protocol: str) -> bool:
        """Whether it knows how to."""
        return protocol == RTMP or (protocol == HTTP_FLV and self.kind in ("rtmpd", "nms"))

    def playing(self, protocol: str) -> Variant:
        """The same with such players."""
        label = self.label if protocol == RTMP else f"{self.label}, {protocol}"
        return replace(self, label=label, protocol=protocol)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used since it started, and holds now."""

    at: float
    """Monotonic seconds."""
    cpu: float
    """CPU seconds, to the microsecond."""
    user: float
    """Of them, in the kernel's ticks of a hundredth of a second, which few players take none or one of."""
    system: float
    rss_bytes: int


class Server:
    """A running server."""

    def __init__(
        self,
        variant: Variant,
        process: subprocess.Popen[bytes],
        port: int,
        other_port: int,
        http_port: int,
        started_at: float,
    ) -> None:
        self.variant = variant
        self.port = port
        self.admin_port = other_port
        """Of rtmpd."""
        self._http_port = http_port
        self.started_at = started_at
        """Monotonic seconds."""
        self._process = process

    def url(self, name: str) -> str:
        return f"rtmp://127.0.0.1:{self.port}/{APP}/{name}"

    def play_url(self, name: str) -> str:
        """Where players of the variant's protocol find what is published at ``url``."""
        if self.variant.protocol == HTTP_FLV:
            return f"http://127.0.0.1:{self._http_port}/{APP}/{name}.flv"
        return self.url(name)

    def usage(self) -> Usage:
        """Of all its processes. Raises ``RuntimeError`` when the server is gone."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.variant.label} ended with status {self._process.returncode}")
        cpu = 0.0
        user = system = pages = 0
        for pid, fields in _tree(self._process.pid).items():
            cpu += time.clock_gettime(_cpu_clock(pid))
            user += int(fields[11])
            system += int(fields[12])
            pages += int(fields[21])
        return Usage(time.monotonic(), cpu, user / _TICKS, system / _TICKS, pages * _PAGE)


@contextlib.contextmanager
def running(variant: Variant, core: int, rtmpd: Path = RTMPD) -> Iterator[Server]:
    """Start a server on ``core``, end it by its process id. Raises ``RuntimeError`` if it does not start."""
    with tempfile.TemporaryDirectory(prefix="rtmpd-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # nginx's worker is another user.
        port, other_port, http_port = free_ports(3)
        if variant.kind == "rtmpd":
            command = _rtmpd_command(_program(variant, rtmpd), variant, port, other_port)
            if variant.protocol == HTTP_FLV:
                command += ["--set", f"http.listen=127.0.0.1:{http_port}"]
        else:
            command = _OTHER_COMMANDS[variant.kind](directory, port, other_port)
            if variant.tls:
                _end_tls(directory / "nginx.conf", other_port, port, *variant.settings)
                port = other_port
        with (directory / "log").open("wb") as log:
            started_at = time.monotonic()
            process = _start(command, core, log)
            try:
                _wait_until_listening(process, port, directory / "log")
                http_port = http_port if variant.kind == "rtmpd" else other_port
                yield Server(variant, process, port, other_port, http_port, started_at)
            finally:
                _end(process)


@contextlib.contextmanager
def files(folder: Path, port: int, core: int) -> Iterator[Server]:
    """nginx that has the files of ``folder``/www, on ``core``."""
    config = folder / "nginx.conf"
    config.write_text(
        f"""
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  open_file_cache max=100;
  types {{ application/vnd.apple.mpegurl m3u8; video/mp4 mp4; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/www; }}
}}
"""
    )
    variant, started_at = Variant("nginx, files", "nginx-files"), time.monotonic()
    command = ["nginx", "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    with (folder / "log").open("wb") as log:
        child = _start(command, core, log)
        try:
            _wait_until_listening(child, port, folder / "log")
            yield Server(variant, child, port, 0, port, started_at)
        finally:
            _end(child)


@contextlib.contextmanager
def process(command: Sequence[str], core: int, log: Path, port: int) -> Iterator[None]:
    """Something beside the servers that listens on ``port``, ended by its process id."""
    with log.open("wb") as file:
        child = _start(command, core, file)
        try:
            _wait_until_listening(child, port, log)
            yield
        finally:
            _end(child)


def require(variants: Sequence[Variant]) -> None:
    """Stop with what to install if a server is missing."""
    kinds = {variant.kind for variant in variants}
    if "nginx" in kinds and (shutil.which("nginx") is None or not NGINX_MODULE.exists()):
        raise typer.BadParameter("nginx with its RTMP module is missing: apt-get install libnginx-mod-rtmp")
    if "nms" in kinds:
        if shutil.which("npm") is None:
            raise typer.BadParameter("npm is missing: apt-get install nodejs npm")
        _node_media_server()
    if shutil.which("taskset") is None:
        raise typer.BadParameter("taskset is missing: apt-get install util-linux")


def versions(variants: Sequence[Variant], rtmpd: Path = RTMPD) -> dict[str, str]:
    """Of rtmpd, which says whether it is compiled, and of each server that is compared."""
    kinds = {variant.kind for variant in variants}
    found = {"rtmpd": _output([str(rtmpd), "--version"])}
    for each in variants:
        if each.program:
            found[each.label] = _output(version_command(each))
    if "nginx" in kinds:
        module = _output(["dpkg-query", "--show", "libnginx-mod-rtmp"]).replace("\t", " ")
        found["nginx"] = f"{_output(['nginx', '-v']).removeprefix('nginx version: ')}, {module}"
    if "nms" in kinds:
        found["nms"] = f"node-media-server {NODE_MEDIA_SERVER}, node {_output(['node', '--version'])}"
    return found


def version_command(variant: Variant, rtmpd: Path = RTMPD) -> list[str]:
    """What says which version it is of a server, or of what runs it."""
    commands = {"nginx": ["nginx", "-v"], "nms": ["node", "--version"], "bare": [sys.executable, "-VV"]}
    return commands.get(variant.kind) or [str(_program(variant, rtmpd)), "--version"]


def _program(variant: Variant, rtmpd: Path) -> Path:
    return Path(variant.program).absolute() if variant.program else rtmpd


def _rtmpd_command(rtmpd: Path, variant: Variant, port: int, admin_port: int) -> list[str]:
    settings = [
        *_listening(variant, port),
        f"admin.listen=127.0.0.1:{admin_port}",
        "rtmp.limits.max_connections=20000",
        "rtmp.limits.max_connections_per_address=20000",
        "rtmp.limits.max_connects_per_minute=0",
        "rtmp.limits.max_pending=20000",
        "rtmp.limits.max_pending_per_address=20000",
        "stream.max_streams=0",
        "stream.max_streams_per_address=0",
        *variant.settings,
    ]
    # An earlier rtmpd may not know all of them.
    template = _output([str(rtmpd), "check", "--template"])
    known = [setting for setting in settings if _is_known(setting, template)]
    arguments = [part for setting in known for part in ("--set", setting)]
    config = ("--config", variant.config) if variant.config else ()
    return [str(rtmpd), "serve", *config, *arguments]


def _listening(variant: Variant, port: int) -> list[str]:
    if variant.tls:
        return ["rtmp.listen=127.0.0.1:0", f"rtmps.listen=127.0.0.1:{port}", "http.listen="]
    return [f"rtmp.listen=127.0.0.1:{port}", "http.listen="]


def _is_known(setting: str, template: str) -> bool:
    section, _, key = setting.partition("=")[0].rpartition(".")
    # The tables of all apps have the same keys.
    section = re.sub(r"^apps\.[^.]+", "apps.NAME", section)
    return f"[{section}]" in template and f"{key} =" in template


def _nginx_command(directory: Path, port: int, _other: int) -> list[str]:
    config = directory / "nginx.conf"
    config.write_text(
        f"""
load_module {NGINX_MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ worker_connections 20000; }}
rtmp {{
  access_log {directory}/access.log;
  server {{
    listen 127.0.0.1:{port};
    application {APP} {{ live on; }}
  }}
}}
"""
    )
    return ["nginx", "-c", str(config), "-p", str(directory), "-e", str(directory / "error.log")]


def _end_tls(config: Path, port: int, target: int, chain: str, key: str) -> None:
    """Have nginx end TLS in front of itself."""
    module = NGINX_MODULE.with_name("ngx_stream_module.so")
    config.write_text(
        f"load_module {module};\n{config.read_text()}"
        f"""
stream {{
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    proxy_pass 127.0.0.1:{target};
  }}
}}
"""
    )


def _node_media_server_command(directory: Path, port: int, http_port: int) -> list[str]:
    config = directory / "config.json"
    secrets = {"secret": "bench", "jwt": {"secret": "bench", "users": []}}
    document = {
        "bind": "127.0.0.1",
        "notify": {"url": ""},
        "store": {"path": str(directory / "data")},
        "auth": {"play": False, "publish": False, **secrets},
        "rtmp": {"port": port},
        "http": {"port": http_port},
        "webadmin": {"enable": False},
    }
    config.write_text(json.dumps(document))
    return ["node", str(_node_media_server() / "bin" / "app.js"), "-c", str(config)]


def _bare_command(_directory: Path, port: int, _other: int) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("bare_relay.py")), str(port)]


_OTHER_COMMANDS = {"nginx": _nginx_command, "nms": _node_media_server_command, "bare": _bare_command}


def _node_media_server() -> Path:
    return modules("node-media-server", NODE_MEDIA_SERVER) / "node-media-server"


def modules(package: str, version: str) -> Path:
    """The folder ``node_modules`` with a package of npm, installed when it is first asked for."""
    home = CACHE / f"{package}-{version}"
    found = home / "node_modules"
    if not (found / package / "package.json").exists():
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}\n')
        quiet = ("--no-audit", "--no-fund", "--silent")
        subprocess.run(["npm", "install", *quiet, f"{package}@{version}"], cwd=home, check=True)
    return found


def _start(command: Sequence[str], core: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RTMPD_")}
    return subprocess.Popen(
        ["timeout", _LONGEST_RUN, "taskset", "--cpu-list", str(core), *command],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    # The workers of nginx are told by their master, and only while it lives.
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_TIMEOUT)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(_POLL_INTERVAL)
    text = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the server did not start (status {process.poll()}):\n{text}")


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [int(sock.getsockname()[1]) for sock in sockets]


def _cpu_clock(pid: int) -> int:
    """The clock that has run while ``pid`` did, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def _tree(root: int) -> dict[int, list[str]]:
    """The fields of ``/proc/PID/stat`` from the state on, for everything below ``root``."""
    fields: dict[int, list[str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text()
            fields[int(path.parent.name)] = re.sub(r"^.*\) ", "", text, flags=re.DOTALL).split()
    family = {root}
    grown = True
    while grown:
        children = {pid for pid, values in fields.items() if int(values[1]) in family}
        grown = not children <= family
        family |= children
    return {pid: fields[pid] for pid in family - {root}}


def _output(command: Sequence[str]) -> str:
    """What a program says of itself, on whichever stream."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return "unknown"
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else "unknown"
