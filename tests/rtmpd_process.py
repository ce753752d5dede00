"""The real server as a child process, watched through its JSON log and its metrics page."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from prometheus_client.parser import text_string_to_metric_families

START_TIMEOUT = 20.0
STOP_TIMEOUT = 15.0
LOG_TIMEOUT = 30.0
METRIC_TIMEOUT = 30.0
_WATCHED_MESSAGES = 100
"""4 seconds of video in our clips."""
_POLL_INTERVAL = 0.05
_SETTINGS = (
    "rtmp.listen=127.0.0.1:0",
    "admin.listen=127.0.0.1:0",
    "http.listen=",
    "log.format=json",
    "log.level=debug",
    "log.max_repeats=0",
    "metrics.max_age=0",
)

LogLine = dict[str, object]


class LogReader(threading.Thread):
    """Drains a pipe of log lines; whoever waits for one is woken as it arrives."""

    def __init__(self, pipe: IO[str]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._arrived = threading.Condition()
        self._lines: list[LogLine] = []
        self._ended = False

    def run(self) -> None:
        for text in self._pipe:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"unstructured": text.rstrip()}
            with self._arrived:
                self._lines.append(line)
                self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def lines(self) -> list[LogLine]:
        with self._arrived:
            return list(self._lines)

    def find(self, fields: LogLine) -> list[LogLine]:
        """The lines so far that have all of these fields."""
        return [line for line in self.lines() if fields.items() <= line.items()]

    def wait_for(self, fields: LogLine, count: int = 1, timeout: float = LOG_TIMEOUT) -> LogLine:
        """The ``count``-th line with all of these fields, once it is there."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._ended or len(self.find(fields)) >= count, timeout)
        found = self.find(fields)
        assert len(found) >= count, f"{len(found)} of {count} log lines with {fields} in:\n{self}"
        return found[count - 1]

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines()))


def stream_labels(url: str) -> dict[str, str]:
    _, app, stream = url.removeprefix("rtmp://").split("/", 2)
    return {"app": app, "stream": stream}


class RtmpdProcess:
    """``rtmpd serve`` on free ports of 127.0.0.1."""

    def __init__(
        self,
        *settings: str,
        launcher: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        options: Sequence[str] = (),
    ) -> None:
        """``launcher`` is a command that ends in running what follows it."""
        arguments = [*launcher, str(Path(sys.executable).with_name("rtmpd")), "serve", *options]
        for setting in (*_SETTINGS, *settings):
            arguments += ["--set", setting]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RTMPD_")}
        self._process = subprocess.Popen(
            arguments,
            env=inherited | dict(environment or {}),
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self.log = LogReader(self._process.stderr)
        self.log.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def port(self, protocol: str) -> int:
        """The bound port of the ``rtmp`` or ``admin`` listener."""
        port = self.log.wait_for({"event": "listening", "protocol": protocol}, timeout=START_TIMEOUT)["port"]
        assert isinstance(port, int)
        return port

    def url(self, name: str, app: str = "live") -> str:
        return f"rtmp://127.0.0.1:{self.port('rtmp')}/{app}/{name}"

    def http_url(self, url: str, scheme: str = "http") -> str:
        """Where the stream of an RTMP URL is played by HTTP."""
        path, _, query = url.removeprefix("rtmp://").partition("/")[2].partition("?")
        return f"{scheme}://127.0.0.1:{self.port('http')}/{path}.flv{'?' * bool(query)}{query}"

    def get(self, path: str) -> str:
        """Body of an admin page that answers 200."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port('admin')}{path}", timeout=5) as response:
            body: bytes = response.read()
        return body.decode()

    def metric(self, sample: str, **labels: str) -> float | None:
        """The value of one sample of the metrics page, None if it is not there."""
        for family in text_string_to_metric_families(self.get("/metrics")):
            for found in family.samples:
                if found.name == sample and found.labels == labels:
                    return found.value
        return None

    def wait_for_metric(self, sample: str, condition: Callable[[float], bool], **labels: str) -> float:
        """The value of a sample as soon as it satisfies the condition."""
        tick = threading.Event()
        value = None
        for _ in range(int(METRIC_TIMEOUT / _POLL_INTERVAL)):
            value = self.metric(sample, **labels)
            if value is not None and condition(value):
                return value
            tick.wait(_POLL_INTERVAL)
        raise AssertionError(f"{sample}{labels} is {value} after {METRIC_TIMEOUT} s\n{self.log}")

    def wait_for_live(self, url: str) -> None:
        """Until the stream has a publisher."""
        self.log.wait_for({"event": "publish started", **stream_labels(url)})

    def wait_for_plays(self, url: str, count: int = 1) -> None:
        """Until the stream has been given that many players, waiting ones included, since the start."""
        self.log.wait_for({"event": "play started", **stream_labels(url)}, count)

    def wait_for_frames(self, url: str, count: int) -> None:
        """Until the publisher has sent that many video frames (and one sequence header)."""
        self.wait_for_metric(
            "rtmpd_stream_received_messages_total",
            lambda value: value >= count + 1,
            media="video",
            **stream_labels(url),
        )

    def wait_until_watched(self, url: str, media: str = "video") -> None:
        """Until somebody plays the stream and has been sent some seconds of it, however late they began."""
        self.wait_for_plays(url)
        name, labels = "rtmpd_stream_received_messages_total", {"media": media, **stream_labels(url)}
        seen = self.wait_for_metric(name, lambda value: value > 0, **labels)
        self.wait_for_metric(name, lambda value: value >= seen + _WATCHED_MESSAGES, **labels)

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def terminate(self) -> int:
        """Exit status after SIGTERM, which must come within ``STOP_TIMEOUT`` seconds."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Exit status of a server that is about to end."""
        status = self._process.wait(STOP_TIMEOUT)
        self.log.join(STOP_TIMEOUT)
        return status

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT)
        self.log.join(STOP_TIMEOUT)
        assert self._process.stderr is not None
        self._process.stderr.close()


@contextlib.contextmanager
def rtmpd(
    *settings: str,
    launcher: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    options: Sequence[str] = (),
) -> Iterator[RtmpdProcess]:
    """A server that has announced both listeners, and is surely gone at the end of the block."""
    process = RtmpdProcess(
        *settings, launcher=launcher, environment=environment, pass_fds=pass_fds, options=options
    )
    try:
        process.port("rtmp")
        process.port("admin")
        yield process
    finally:
        process.close()


def assert_clean_exit(server: RtmpdProcess) -> None:
    """SIGTERM ends the server with status 0, and it has neither complained nor crashed on its way."""
    status = server.terminate()
    troubles = [
        line
        for line in server.log.lines()
        if "unstructured" in line or str(line.get("level", "")).lower() in {"error", "critical"}
    ]
    assert (status, troubles) == (0, []), str(server.log)
