"""An encoder is lost for 20 seconds: what a player and a platform, nginx-rtmp, are shown meanwhile."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from command_kit import run
from ffmpeg import FFmpeg, Running, bundled, start
from nginx_rtmp import NginxRtmp
from rtmpd_process import assert_clean_exit, rtmpd

pytestmark = pytest.mark.interop

_SHOWN = re.compile(r"pts_time:([0-9.]+).*? mean:\[(\d+) (\d+) (\d+)\]")
OUTAGE = 20.0


@dataclass(frozen=True)
class Frame:
    """One decoded picture, as ffmpeg's showinfo tells of it."""

    at: float
    """Clock reading at which that was seen."""
    time: float
    blue: bool
    """The slate; the encoder sends a test picture."""


class Watch:
    """Reads what a player tells of its frames, as it comes."""

    def __init__(self, player: Running) -> None:
        self.frames: list[Frame] = []
        self._player = player
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        seen = 0
        while not self._stop.wait(0.05):
            log, now = self._player.log(), time.monotonic()
            end = log.rfind("\n") + 1
            for match in _SHOWN.finditer(log, seen, end):
                stamp, _, blue, _ = (float(each) for each in match.groups())
                self.frames.append(Frame(now, stamp, blue > 200))
            seen = max(end, seen)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def wait(self, condition: Callable[[], object], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"{len(self.frames)} frames, {self.frames[-3:]}, {self._player}"
            time.sleep(0.05)

    def first(self, *, blue: bool, after: float) -> Frame:
        return next(frame for frame in self.frames if frame.blue is blue and frame.at > after)


@contextmanager
def watching(ffmpeg: FFmpeg, url: str) -> Iterator[Watch]:
    """A player that decodes what it is sent."""
    command = ffmpeg.command("-loglevel", "info", "-rw_timeout", "30000000", "-i", url)
    with start(*command, "-an", "-vf", "showinfo", "-f", "null", "-") as player:
        watch = Watch(player)
        try:
            yield watch
        finally:
            watch.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "source.flv"
    bundled().run(
        "-f", "lavfi", "-i", "testsrc=s=320x180:r=25", "-f", "lavfi", "-i", "sine=440:r=48000", "-t", "6",
        "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-sc_threshold", "0", "-bf", "2",
        "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", str(path),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def slate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slate")
    picture, path = folder / "blue.ppm", folder / "slate.flv"
    picture.write_bytes(b"P6 320 180 255\n" + b"\0\0\xff" * 320 * 180)
    options = ("--size", "320x180", "--seconds", "4", "--ffmpeg", bundled().executable)
    done = run("slate", "make", str(picture), str(path), *options)
    assert done.returncode == 0, done.stderr
    return path


def check(watch: Watch, lost: float, back: float) -> None:
    """Time rises throughout, the slate is seen soon, and gone soon after the return."""
    times = [frame.time for frame in watch.frames]
    assert all(after > before for before, after in pairwise(times))
    assert watch.first(blue=True, after=lost).at - lost < 4.0
    assert watch.first(blue=False, after=back).at - back < 2.0
    assert not [frame for frame in watch.frames if frame.blue and frame.at > back + 2.0]
    # A second of the clock is a second of the stream.
    first, last = watch.first(blue=True, after=lost), watch.frames[-1]
    assert abs((last.time - first.time) - (last.at - first.at)) < 2.0


@pytest.mark.parametrize("kind", ["of all", "of the platform", "still"])
def test_nobody_is_disconnected_and_nobody_sees_darkness(
    nginx: NginxRtmp, source: Path, slate: Path, debian_ffmpeg: FFmpeg, kind: str
) -> None:
    push = f"apps.live.push.nginx.url={nginx.url('{name}')}"
    shown = {
        "of all": (f"apps.live.slate={slate}",),
        "of the platform": (f"apps.live.push.nginx.slate={slate}", "apps.live.handover.grace=1s"),
        "still": ("apps.live.still=true",),
    }[kind]
    with rtmpd(push, *shown) as server:
        with bundled().publish(source, server.url("cam"), loop=True) as encoder:
            server.log.wait_for({"event": "push live"})
            with (
                watching(debian_ffmpeg, nginx.url("cam")) as platform,
                watching(debian_ffmpeg, server.url("cam")) as player,
            ):
                watches = [platform] if kind == "of the platform" else [platform, player]
                for watch in (platform, player):
                    watch.wait(lambda frames=watch.frames: len(frames) > 50, 30.0)
                lost = time.monotonic()
                encoder.kill()
                time.sleep(OUTAGE)
                with bundled().publish(source, server.url("cam"), loop=True):
                    server.log.wait_for({"event": "publish started"}, 2)
                    back = time.monotonic()
                    time.sleep(5.0)
                    if kind == "still":
                        for watch in watches:
                            times = [frame.time for frame in watch.frames]
                            assert all(0 < after - before < 1.5 for before, after in pairwise(times))
                            assert len([f for f in watch.frames if lost + 2 < f.at < back]) >= OUTAGE - 5
                    else:
                        for watch in watches:
                            check(watch, lost, back)
                        assert any(frame.blue for frame in player.frames) is (kind == "of all")
                    assert nginx.publishes("cam") == 1
                    assert server.log.find({"event": "push failed"}) == []
                    assert len(server.log.find({"event": "slate on air"})) == 1
        assert_clean_exit(server)
