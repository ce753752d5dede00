"""The server that is attacked: a process at its defaults, watched through /proc, its log and its window."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from hostile.looked_into import Inside

_WINDOW: Final = Path(__file__).with_name("looked_into.py")
_START_TIMEOUT: Final = 60.0
_STOP_TIMEOUT: Final = 60.0
"""A gigabyte takes the kernel seconds to give back, on a busy machine."""
_QUIET_TIMEOUT: Final = 40.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_SETTINGS: Final = (
    "rtmp.listen=127.0.0.1:0",
    "admin.listen=127.0.0.1:0",
    "http.listen=",
    "log.format=json",
    "records.max_kept=0",  # Or who has left is remembered, and what is left behind is not told from it.
)


@dataclass(frozen=True, slots=True)
class Place:
    """Which rtmpd is attacked, and on which core it runs."""

    rtmpd: Path
    core: int


class Target:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.port = self._wait_for_port("rtmp")
        self.admin_port = self._wait_for_port("admin")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def http_port(self) -> int:
        """Of the public HTTP listener, where the settings have one."""
        return self._wait_for_port("http")

    def url(self, name: str) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live/{name}"

    def cpu_seconds(self) -> float:
        """Used since the start. Raises ``RuntimeError`` when the server is gone, as everything here does."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def loop_seconds(self) -> float:
        """CPU of the thread that runs the loop, to the nanosecond."""
        return int(self._proc("schedstat").split()[0]) / 1e9

    def waited_seconds(self) -> float:
        """How long that thread was ready and had no core: what other work on the machine cost it."""
        return int(self._proc("schedstat").split()[1]) / 1e9

    def rss_bytes(self) -> int:
        return int(self._proc("statm").split()[1]) * _PAGE

    def log_lines(self) -> int:
        return self._log.read_bytes().count(b"\n")

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")

    def metrics(self) -> dict[str, float]:
        """Every sample of the metrics page, by name and labels as on the page."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}/metrics")
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}"] = sample.value
        return found

    def metric(self, name: str) -> float:
        """The sum of all samples of a name."""
        return sum(value for key, value in self.metrics().items() if key.partition("{")[0] == name)

    def look_inside(self) -> Inside:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            inside: Inside = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            raise self._gone() from None
        return inside

    def wait_until_quiet(self) -> None:
        """Until no RTMP connection is open. Raises ``RuntimeError`` if that takes too long."""
        deadline = time.monotonic() + _QUIET_TIMEOUT
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):  # It works off what it was sent.
                if not self.metric("rtmpd_connections"):
                    time.sleep(0.2)  # What is freed at the end of a turn of the loop, and by the one after.
                    return
            time.sleep(0.1)
        raise RuntimeError(f"connections are still open {_QUIET_TIMEOUT:g} s after a round")

    def kernel_queue_bytes(self) -> int:
        """What the kernel holds for the peers of the RTMP port and has not been acknowledged."""
        command = [
            "ss",
            "--tcp",
            "--numeric",
            "--no-header",
            "state",
            "established",
            f"( sport = :{self.port} )",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return sum(int(line.split()[1]) for line in done.stdout.splitlines())

    def _proc(self, name: str) -> str:
        try:
            return Path(f"/proc/{self.pid}/{name}").read_text()
        except OSError:
            raise self._gone() from None

    def _gone(self) -> RuntimeError:
        status = self._process.poll()
        return RuntimeError(f"the server is gone (status {status}):\n{self.log_text()[-2000:]}")

    def _wait_for_port(self, protocol: str) -> int:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            for text in self.log_text().splitlines():
                with contextlib.suppress(ValueError):
                    line = json.loads(text)
                    if line.get("event") == "listening" and line.get("protocol") == protocol:
                        return int(line["port"])
            time.sleep(0.05)
        raise self._gone()


@contextlib.contextmanager
def running(
    place: Place, settings: Sequence[str] = (), *, files: int = 0, traced: bool = False
) -> Iterator[Target]:
    """Start a server, end it by its process id. Raises ``RuntimeError`` if it does not start."""
    pinned = ("taskset", "--cpu-list", str(place.core))
    python = place.rtmpd.with_name("python")
    arguments = [part for setting in (*_SETTINGS, *settings) for part in ("--set", setting)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RTMPD_")}
    with tempfile.TemporaryDirectory(prefix="rtmpd-attack-") as name:
        log = Path(name) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*pinned, str(python), str(_WINDOW), str(files), str(int(traced)), "serve", *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        try:
            yield Target(process, log)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()  # Attacked servers hold what they would have to send first.
    process.wait(_STOP_TIMEOUT)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
