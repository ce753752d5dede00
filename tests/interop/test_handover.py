"""An encoder is killed and comes back, or a process is replaced: real players stay on their connection."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from evening_kit import order, successor
from ffmpeg import FFmpeg, Running, bundled, start
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd, stream_labels
from tools import find_tool

pytestmark = pytest.mark.interop

KILLS = int(os.environ.get("RTMPD_TEST_KILLS", "3"))
GOP = 1.0
"""Seconds between keyframes of the encoder."""
SETTLED = 2.0
"""Seconds that the encoder is left alone between two kills."""
LONGEST_GAP = 1.5
SOURCES = ("main", "backup")
Decoding = Callable[[], list[float]]
"""Times (s) of what has been decoded so far, in that order."""


def encoding(url: str) -> contextlib.AbstractContextManager[Running]:
    """ffmpeg as an encoder that goes on for ever, from 0 again whenever it is started."""
    return start(
        *bundled().command(
            "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25",
            "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
            "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25",
            "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-f", "flv", url,
        )
    )  # fmt: skip


@contextlib.contextmanager
def decoding(ffmpeg: FFmpeg, url: str) -> Iterator[tuple[Running, Decoding]]:
    """ffmpeg decodes the pictures of a stream, and lists them."""
    listing = ffmpeg.command(
        "-copyts", "-rw_timeout", "30000000", "-i", f"{url} live=1", "-map", "0:v", "-flush_packets", "1",
        "-fps_mode" if ffmpeg is bundled() else "-vsync", "passthrough",
        "-enc_time_base", "1/1000", "-f", "framecrc", "-",
    )  # fmt: skip
    with start(*listing) as process:

        def times() -> list[float]:
            rows = [line.split(",") for line in process.log().splitlines()[:-1] if line[:2] == "0,"]
            return [int(row[2]) / 1000 for row in rows]

        yield process, times


@contextlib.contextmanager
def mpv(url: str, folder: Path) -> Iterator[tuple[Running, Decoding]]:
    """mpv plays, and is asked where it is each time that somebody looks."""
    ear = folder / "mpv"
    program = find_tool("mpv")
    seen: list[float] = []

    def times() -> list[float]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(ear))
            sock.sendall(b'{"command": ["get_property", "time-pos"]}\n')
            answer = json.loads(sock.makefile().readline())
        if isinstance(answer.get("data"), float) and seen[-1:] != [answer["data"]]:
            seen.append(answer["data"])
        return seen

    with start(
        program, "--no-config", "--vo=null", "--ao=null", "--idle=no", f"--input-ipc-server={ear}", url
    ) as process:
        yield process, times


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def watch(times: Decoding) -> Iterator[list[float]]:
    """Seconds by the clock for which nothing more was decoded, as often as that has happened."""
    found: list[float] = []
    over = threading.Event()

    def look() -> None:
        had, since = len(times()), time.monotonic()
        while not over.wait(0.02):
            if len(times()) > had:
                found.append(time.monotonic() - since)
                had, since = len(times()), time.monotonic()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def goes_on(times: Decoding, had: int) -> bool:
    return len(times()) > had


def test_players_stay_while_their_encoder_is_killed_and_comes_back(
    server: RtmpdProcess,
    url: str,
    tmp_path_factory: pytest.TempPathFactory,
    debian_ffmpeg: FFmpeg,
) -> None:
    players: list[tuple[Running, Decoding]] = []
    outages: list[float] = []
    with ExitStack() as stack:
        encoder = stack.enter_context(encoding(url))
        server.wait_for_frames(url, 25)
        several = (bundled(), bundled(), debian_ffmpeg)
        players += [stack.enter_context(decoding(ffmpeg, url)) for ffmpeg in several]
        players.append(stack.enter_context(mpv(url, tmp_path_factory.mktemp("m"))))
        server.wait_for_plays(url, len(players))
        wait_until(lambda: all(times() for _, times in players[:3]))
        for number in range(1, KILLS + 1):
            time.sleep(SETTLED)
            before = [len(times()) for _, times in players]
            killed_at = time.monotonic()
            encoder.kill()
            server.log.wait_for({"event": "stream held", **stream_labels(url)}, number)
            encoder = stack.enter_context(encoding(url))
            resumed = {"event": "stream held no more", "reason": "resumed", **stream_labels(url)}
            server.log.wait_for(resumed, number)
            outages.append(time.monotonic() - killed_at)
            for (_, times), had in zip(players, before, strict=True):
                wait_until(partial(goes_on, times, had))
        assert all(process.running() for process, _ in players), "\n".join(str(each) for each, _ in players)
        assert len(server.log.find({"event": "play started", **stream_labels(url)})) == len(players)
        longest = max(outages) + GOP
        for _, times in players[:3]:
            found = times()
            steps = [after - before for before, after in pairwise(found)]
            assert min(steps) > 0, [each for each in pairwise(found) if each[0] >= each[1]]
            assert max(steps) < longest, (sorted(steps)[-KILLS:], outages)
        seen = players[3][1]()
        assert seen == sorted(seen)


def test_the_backup_goes_on_while_the_main_encoder_is_stopped_and_hands_back(debian_ffmpeg: FFmpeg) -> None:
    """What the gaps of a player are is measured by the clock, and by the times of what it has decoded."""
    with rtmpd("apps.live.handover.handback=2s") as server, ExitStack() as stack:
        url = server.url("cam")
        main = stack.enter_context(encoding(url))
        server.wait_for_frames(url, 25)
        stack.enter_context(encoding(f"{url}?backup=1"))
        server.log.wait_for({"event": "publish started", "source": "backup"})
        players = [stack.enter_context(decoding(ffmpeg, url)) for ffmpeg in (bundled(), debian_ffmpeg)]
        wait_until(lambda: all(times() for _, times in players))
        time.sleep(SETTLED)
        watches = [stack.enter_context(watch(times)) for _, times in players]
        main.pause()
        server.log.wait_for({"event": "stream switched", "source": "backup"})
        time.sleep(SETTLED)
        main.resume()
        server.log.wait_for({"event": "stream switched", "source": "main"})
        time.sleep(SETTLED)
        labels = stream_labels(url)
        on_air = {each: server.metric("rtmpd_stream_on_air", source=each, **labels) for each in SOURCES}
        assert on_air == {"main": 1, "backup": 0}
        for (process, times), watched in zip(players, watches, strict=True):
            assert process.running(), str(process)
            steps = [after - before for before, after in pairwise(times())]
            assert min(steps) > 0
            assert max(steps) < LONGEST_GAP
            assert max(watched) < LONGEST_GAP
        assert_clean_exit(server)


def test_players_stay_while_the_server_is_replaced_and_their_encoder_comes_back_to_the_next_one(
    debian_ffmpeg: FFmpeg,
) -> None:
    with rtmpd() as server, successor(server), ExitStack() as stack:
        url = server.url("cam")
        encoder = stack.enter_context(encoding(url))
        server.wait_for_frames(url, 25)
        players = [stack.enter_context(decoding(ffmpeg, url)) for ffmpeg in (bundled(), debian_ffmpeg)]
        wait_until(lambda: all(times() for _, times in players))
        code, told = order(server, "replace")
        assert code == 0, told
        server.log.wait_for({"event": "taken over"})
        # Who joins the new one sees the encoder of the old one.
        players.append(stack.enter_context(decoding(debian_ffmpeg, url)))
        wait_until(lambda: players[2][1]())
        before = [len(times()) for _, times in players]
        wait_until(
            lambda: all(goes_on(times, had + 25) for (_, times), had in zip(players, before, strict=True))
        )
        encoder.kill()
        server.log.wait_for({"event": "publish ended", "stream": "cam"})
        stack.enter_context(encoding(url))
        before = [len(times()) for _, times in players]
        wait_until(
            lambda: all(goes_on(times, had + 50) for (_, times), had in zip(players, before, strict=True))
        )
        for process, times in players:
            assert process.running(), str(process)
            assert min(after - earlier for earlier, after in pairwise(times())) > 0


def test_who_insists_ends_both_and_is_told_that_somebody_was_cut_off() -> None:
    with rtmpd("shutdown.wait_for_publishers=1h") as server, successor(server), ExitStack() as stack:
        url = server.url("cam")
        encoder = stack.enter_context(encoding(url))
        server.wait_for_frames(url, 25)
        assert order(server, "replace")[0] == 0
        pid = int(str(server.log.wait_for({"event": "handed over"})["pid"]))
        os.kill(pid, signal.SIGTERM)
        server.log.wait_for({"event": "waiting for the process before"})
        time.sleep(SETTLED)
        assert encoder.running()
        os.kill(pid, signal.SIGTERM)
        assert server.wait() == 75
        wait_until(lambda: not encoder.running())
        wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_one_replacement_after_the_other_leaves_nothing_open() -> None:
    with rtmpd() as server, successor(server):
        counts = []
        for number in range(1, 5):
            assert order(server, "replace")[0] == 0
            line = server.log.wait_for({"event": "handed over"}, number)
            server.log.wait_for({"event": "the process before has ended"}, number)
            counts.append(len(list(Path(f"/proc/{line['pid']}/fd").iterdir())))
        assert counts[1:] == counts[1:2] * 3, counts
        assert server.wait() == 0
