"""Reloads under load: 20 publishers and 500 players while the settings change every second.

Each reload gives a key and takes the one before it away, sets another limit and moves a push target; after
each a file comes that cannot be used. Nobody may be disconnected and no packet be missed, pushes have to
follow, and the bad files change nothing. It is compared with the same players in the same run, before.

Exit status 1 if any of it was not so.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import common
import servers
import typer
from common import Bench, Row
from servers import Server

_INTERVAL: Final = 1.0
_PUSH_TIMEOUT: Final = 15.0
_COLUMNS: Final = {
    "reloads": "reloads",
    "reload_ms": "slowest, ms",
    "refused": "refused files",
    "p50_ms": "p50 ms",
    "p99_ms": "p99",
    "max_ms": "max",
    "cpu_share": "share of a core",
    "missing": "missed packets",
    "lost": "disconnected",
    "load_cpu_share": "load core",
}
_TARGET: Final = "apps.live/cam0.push.platform.url"
_BAD: Final = '\n[player]\nmax_players = "many"\n'


def main(
    players: Annotated[int, typer.Option(help="Players, spread over the streams.")] = 500,
    publishers: Annotated[int, typer.Option(help="Streams; the first of them is pushed.")] = 20,
    quick: common.Quick = False,
    repeat: common.Repeat = 1,
    seconds: common.Seconds = 20.0,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure what reloads do to those who are connected."""
    if quick:
        players, publishers, repeat, seconds = 20, 4, 1, 5.0
    with tempfile.TemporaryDirectory(prefix="rtmpd-reload-") as name:
        config = Path(name) / "rtmpd.toml"
        variant = replace(common.RTMPD, config=str(config))
        bench = Bench(
            common.named("reload", quick), [variant], seconds, repeat, server_core, load_core, rtmpd
        )
        for number, _, _ in bench.rounds([players]):
            with servers.running(common.RTMPD, load_core, rtmpd.absolute()) as platform:
                settings = _Settings(config, platform)
                settings.write(0)
                _round(bench, number, settings, publishers, players)
    bench.finish(["players", "phase"], _COLUMNS)
    raise typer.Exit(any("error" in row or row["lost"] or row["missing"] for row in bench.rows))


@dataclass(frozen=True, slots=True)
class _Settings:
    """The file that is read again and again."""

    file: Path
    platform: Server
    """Where the first stream is pushed, to another app with each version."""

    def write(self, version: int, more: str = "") -> None:
        """Other keys, limits and targets; ``more`` goes at the end."""
        digest = sha256(f"the-key-of-version-{version}".encode()).hexdigest()
        self.file.write_text(
            f"""[apps.live]
publish.allow = "anyone"
publish.open = true
publish.keys.guest = ["sha256:{digest}"]
play.max_players = {10_000 + version}

[apps."live/cam0".push.platform]
url = "{self.target(version)}/key"
{more}"""
        )

    def target(self, version: int) -> str:
        """Where a version has the first stream pushed, without the stream key."""
        return f"rtmp://127.0.0.1:{self.platform.port}/version{version}"


@dataclass(slots=True)
class _Reloads:
    """Reloads until they are told to stop, in a thread."""

    settings: _Settings
    port: int
    """Of the API."""
    version: int = 0
    """The one in force."""
    slowest: float = 0.0
    """Seconds that a reload took."""
    refused: int = 0
    """Files that could not be used, and were not."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _error: OSError | ValueError | RuntimeError | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Reload inside the block. Raises RuntimeError if one did not do what it should."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        if self._error is not None:
            raise RuntimeError(str(self._error)) from self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(_INTERVAL):
                self._reload_twice()
        except (OSError, ValueError, RuntimeError) as error:  # For whoever has started it.
            self._error = error

    def _reload_twice(self) -> None:
        self.version += 1
        self.settings.write(self.version)
        began = time.monotonic()
        status, answer = ask(self.port, "POST", "/reload")
        self.slowest = max(self.slowest, time.monotonic() - began)
        told = [name for names in answer.get("changed", {}).values() for name in names]
        if status != 200 or not {"apps.live.play.max_players", _TARGET} <= set(told):
            raise RuntimeError(f"a reload changed {told or answer}")
        self.settings.write(self.version + 1, _BAD)
        status, answer = ask(self.port, "POST", "/reload")
        if status != 422 or "player.max_players" not in answer.get("detail", ""):
            raise RuntimeError(f"a file that cannot be used had the answer {status} {answer}")
        self.refused += 1


def ask(port: int, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Status and answer of the API."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _round(bench: Bench, number: int, settings: _Settings, publishers: int, players: int) -> None:
    (variant,) = bench.variants
    with (
        bench.server(variant) as server,
        bench.load("publish", "-n", publishers, "-d", 3600, server.url("cam")) as source,
    ):
        source.wait_for("joined")
        for phase in ("calm", "reloads"):
            measure = partial(_measure, bench, server, settings, publishers, players, phase == "reloads")
            bench.attempt(number, {"players": players, "phase": phase}, variant, measure)


def _measure(
    bench: Bench, server: Server, settings: _Settings, publishers: int, players: int, reloading: bool
) -> Row:
    options = ("-n", players, "--streams", publishers, "-d", bench.seconds)
    reloads = _Reloads(settings, server.admin_port)
    with bench.load("play", *options, server.url("cam")) as load:
        load.wait_for("joined")
        with reloads.running() if reloading else contextlib.nullcontext():
            report, before, after = common.measured(server, load)
    _wait_for_push(server.admin_port, settings.target(reloads.version))
    _, told = ask(server.admin_port, "GET", "/server")
    latency = report["latency_ms"]
    return {
        **common.cpu_columns(before, after, report["bytes"] / report["seconds"]),
        **{f"{name}_ms": latency[name] for name in ("p50", "p99", "max")},
        **common.load_columns(report),
        "reloads": reloads.version,
        "reload_ms": reloads.slowest * 1000,
        "refused": reloads.refused,
        "missing": report["missing"],
        # Who was disconnected and came back has published once more.
        "lost": report["closed"] + abs(told["totals"]["publishes_total"] - publishers),
    }


def _wait_for_push(port: int, target: str) -> None:
    deadline = time.monotonic() + _PUSH_TIMEOUT
    while True:
        _, page = ask(port, "GET", "/relays")
        states = {relay["remote"]: relay["state"] for relay in page["items"]}
        if states == {target: "live"}:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the first stream is not pushed to {target} alone, but: {states}")
        time.sleep(0.1)


if __name__ == "__main__":
    typer.run(main)
