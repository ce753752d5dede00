"""The streams of a server as somebody watches them on a terminal, or reads them as lines."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import select
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from client_kit import AVC_HEADER, keyframe
from command_kit import RTMPD, run_here
from rich.cells import cell_len
from rich.console import Console
from rtmpd_process import assert_clean_exit, rtmpd

import rtmpd as library
from rtmpd.daemon.admin_request import port_at
from rtmpd.daemon.top_display import TopScreen, plain
from rtmpd.daemon.top_figures import Figures, Order, sparkline
from rtmpd.exceptions import AdminRequestFailed

WARNING = {"kind": "stalled", "text": "Nothing comes. " * 12, "remedy": "Mend it.", "figures": {}}


def server(**changed: Any) -> dict[str, Any]:
    rates = {"bits_per_second_in_10s": 1e6, "bits_per_second_out_10s": 1e7}
    totals = {"publishers": 3, "players": 12, **rates}
    fixed = {"version": "1", "started": "a", "uptime_seconds": 61.0, "ready": True, "unready_reason": None}
    return {**fixed, "totals": totals, **changed}


_PLAIN = {"recorded": False, "delay_seconds": 0.0}


def stream(name: str, kbps: float = 1000.0, **changed: Any) -> dict[str, Any]:
    rates = {"bits_per_second_1s": kbps * 1000, "bits_per_second_10s": kbps * 1000}
    since = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    told = {"app": "live", "name": name, "state": "live", "since": since, "held_since": None, "audio": None}
    video = {**rates, "frames_per_second": 29.97}
    return {**told, "video": video, "players": 0, "dropped": 0, "warnings": [], **_PLAIN, **changed}


def watched(*streams: dict[str, Any], **of_server: Any) -> Figures:
    figures = Figures()
    figures.learn(server(**of_server), streams, 0.0)
    return figures


def drawn(screen: TopScreen, width: int = 80, height: int = 24) -> list[str]:
    """Lines of a terminal of that size."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(screen.at(5.0), height=height, end="")
    lines = console.file.getvalue().split("\n")
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines), lines
    return [line.rstrip() for line in lines]


def test_a_wide_terminal_shows_what_becomes_of_a_stream_besides():
    figures = watched(stream("a", recorded=True, delay_seconds=30.0), stream("b", delay_seconds=0.5))
    screen = TopScreen(figures, "here:1", keys=True)
    assert [line.split()[-1] for line in drawn(screen, width=90)[3:6]] == ["ALSO", "-30s", "-0.5s"]
    assert "ALSO" not in drawn(screen, width=89)[3]
    assert [line.split()[-3:] for line in plain(figures, Order.NAME)][1:] == [
        ["rec", "-30s", "ok"],
        ["0", "-0.5s", "ok"],
    ]


def test_a_terminal_shows_streams_their_course_and_what_is_wrong():
    figures = watched(stream("a"), stream("b", 5000.0, players=12, dropped=3, warnings=[WARNING]))
    for second in range(1, 9):
        streams = [stream("a", 125.0 * second), stream("b", 5000.0, dropped=3 + second, warnings=[WARNING])]
        figures.learn(server(), streams, float(second))
    assert drawn(TopScreen(figures, "here:1", keys=True), height=13) == [
        "rtmpd 1 at here:1, up 1 min 1 s",
        "publishers 3  players 12  in 1.00 Mbit/s  out 10.00 Mbit/s",
        "",
        "STREAM            STATE       FOR  KBIT/S             FPS PLAYERS   DROPS HEALTH",
        "live/b            live        2 h    5000 █████████  30.0       0      11 ! 1",
        "  ! Nothing comes. Nothing comes. Nothing comes. Nothing comes. Nothing comes.",
        "    Nothing comes. Nothing comes. Nothing comes. Nothing comes. Nothing comes.",
        "    Mend it.",
        "live/a            live        2 h    1000 █▂▃▄▅▅▆▇█  30.0       0       0 ok",
        "",
        "",
        "",
        "q quit  b bitrate  n name  p players  d drops  h health  1-2 of 2, by bitrate",
    ]
    assert figures.courses["live/b"].loses
    left = {"pid": 42, "version": "0.9", "publishers": 1, "players": 3, "until": None, "problem": None}
    figures.learn(server(predecessor=left), [stream("a", carried_by="predecessor", state="holding")], 9.0)
    screen = drawn(TopScreen(figures, "here:1", keys=True))
    assert screen[2] == "* process 42 before this one (rtmpd 0.9) has publishers 1, players 3"
    assert screen[5].split()[:2] == ["live/a", "holding*"]
    figures.learn(server(started="b"), [stream("b", dropped=12)], 9.0)
    assert len(figures.courses["live/b"].rates) == 1, "another server"


@pytest.mark.parametrize("width", [10, 20, 36, 59, 80, 300])
@pytest.mark.parametrize("height", [4, 10, 24])
def test_a_terminal_of_any_size_is_not_left(width: int, height: int):
    figures = watched(
        *[stream(f"s{number}", warnings=[WARNING] * (number % 3)) for number in range(40)],
        stream("\u202e<b>\x1b[2J" + "名" * 90, 9e9, players=10**9, dropped=10**12),
        ready=False,
        unready_reason="shutting down",
    )
    figures.trouble = "nobody answers"
    screen = TopScreen(figures, "here:1", keys=True)
    assert "\x1b" not in "".join(drawn(screen, width, height))
    screen.scroll(10**6)
    drawn(screen, width, height)


def test_names_are_sorted_as_people_count():
    names = ["cam3", "cam29", "Cam3", "cam", "3", "12", "a3b9", "a3b10"]
    figures = Figures()
    figures.learn(server(), [stream(name) for name in names], 0.0)
    assert [each["name"] for each in figures.sorted(Order.NAME)] == [
        *("3", "12", "Cam3", "a3b9", "a3b10", "cam", "cam3", "cam29"),
    ]


def test_many_streams_are_sorted_and_scrolled_and_it_is_said():
    many = [stream(f"s{number:02}", players=number % 7, dropped=number % 5) for number in range(40)]
    screen = TopScreen(watched(*many, stream("z", warnings=[WARNING])), "here:1", keys=False)
    screen.sort(Order.HEALTH)
    assert drawn(screen)[4].startswith("live/z")
    screen.sort(Order.NAME)
    assert drawn(screen)[-1] == "1-19 of 41, by name"
    screen.scroll(0, pages=1)
    assert drawn(screen)[-1] == "20-38 of 41, by name"
    screen.scroll(10**6)
    assert drawn(screen)[-1] == "26-41 of 41, by name"
    screen.scroll(-1)
    assert drawn(screen)[-1] == "25-40 of 41, by name"
    screen.sort(Order.PLAYERS)
    assert drawn(screen)[4].startswith("live/s06")
    screen.sort(Order.DROPS)
    assert drawn(screen)[4].startswith("live/s04")


def test_what_is_not_there_is_said():
    figures = Figures()
    assert drawn(TopScreen(figures, "here:1", keys=True))[:2] == ["rtmpd at here:1", "asking ..."]
    figures.trouble = "here:1 does not answer: Connection refused"
    assert drawn(TopScreen(figures, "here:1", keys=True))[1] == "! here:1 does not answer: Connection refused"
    figures.learn(server(), [], 2.0)
    assert "No streams" in drawn(TopScreen(figures, "here:1", keys=True))[3]
    figures.trouble = "gone"
    assert drawn(TopScreen(figures, "here:1", keys=True))[2] == "! gone; these figures are 3 s old"
    assert list(plain(figures, Order.NAME)) == ["stream  state  kbit/s  fps  players  drops  also  health"]


def test_a_stream_without_its_encoder_is_not_called_well():
    figures = watched(stream("a", state="holding", video=None), stream("b"))
    screen = [line.split()[-1] for line in drawn(TopScreen(figures, "here:1", keys=True)) if "live/" in line]
    lines = [line.split()[-1] for line in plain(figures, Order.NAME)]
    assert (screen, lines) == (["ok", "0"], ["health", "-", "ok"])


def test_bars_are_of_the_highest():
    assert (sparkline([0.0, 0.0], 3), sparkline([1.0, 7.0, 3.5], 2), sparkline([], 1)) == (" ▁▁", "█▅", " ")


@pytest.mark.parametrize("url", ["here", "ftp://here", "http://:1", "http://here/x", "http://a:b"])
def test_an_url_that_is_none_is_told(url: str):
    code, _, told = run_here("top", "--url", url)
    assert (code, told.count("\n")) == (1, 1)
    assert f"{url} is no URL of an admin port: write one such as http://127.0.0.1:9935" in told


def test_where_a_server_is_asked():
    places = ("http://[::1]:1", "https://here", "unix:/run/a.sock")
    assert [(str(port_at(url)), port_at(url).tls) for url in places] == [
        ("[::1]:1", False),
        ("here:443", True),
        ("unix:/run/a.sock", False),
    ]
    with pytest.raises(AdminRequestFailed, match="does not answer"):
        port_at("http://127.0.0.1:1").call("GET", "/server")


class Terminal:
    """The command on a terminal of 80 by 24."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._controller, terminal = pty.openpty()
        known = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24", **environment}
        self.process = subprocess.Popen(
            [RTMPD, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=known,
            # What a shell without job control runs in the background, this suite perhaps, has SIGINT ignored.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        os.close(terminal)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 20.0
        while text not in self.seen:
            assert select.select([self._controller], [], [], end - time.monotonic())[0], self.seen
            self.seen += os.read(self._controller, 65536).decode()

    def press(self, keys: str) -> None:
        self.seen = ""
        os.write(self._controller, keys.encode())

    def end(self) -> int:
        """The exit status, and whatever was written until then."""
        with contextlib.suppress(OSError):  # The end of a terminal.
            while select.select([self._controller], [], [], 20.0)[0]:
                self.seen += os.read(self._controller, 65536).decode()
        os.close(self._controller)
        try:
            return self.process.wait(1.0)
        finally:
            self.process.kill()


async def test_a_server_is_watched_on_a_terminal_and_in_lines():
    with rtmpd("apps.live.publish.allow=anyone") as running:
        url = f"http://127.0.0.1:{running.port('admin')}"
        async with await library.connect(running.url("x").rpartition("/")[0]) as encoder:
            published = await encoder.publish("cam")
            await published.send_video(AVC_HEADER, 0)
            await published.send_video(keyframe(), 0)
            running.wait_for_live(running.url("cam"))
            code, told, _ = run_here("top", "--set", f"admin.listen={url.removeprefix('http://')}")
            titles, row = told.splitlines()
            assert (code, titles.split()[0], row.split()[0], row.split()[-1]) == (
                0,
                "stream",
                "live/cam",
                "ok",
            )
            code, told, _ = run_here("top", "--url", url, "--json")
            assert (code, json.loads(told)["streams"][0]["name"]) == (0, "cam")
            screen = Terminal("top", "--url", url, "-i", "0.1s", NO_COLOR="1")
            screen.wait_for("live/cam ")
            assert "\x1b[32m" not in screen.seen
            screen.press("n")
            screen.wait_for("by name")
            screen.press("p")
            screen.wait_for("by players")
        assert_clean_exit(running)
    screen.wait_for("does not answer")
    screen.press("q")
    assert screen.end() == 0
    assert "\x1b[?1049l" in screen.seen, "what was on the terminal before is back"
    interrupted = Terminal("top", "--url", url)
    interrupted.wait_for("does not answer")
    interrupted.process.send_signal(signal.SIGINT)
    assert interrupted.end() == 130
    assert "Traceback" not in interrupted.seen
