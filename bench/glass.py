"""Glass to glass: from a picture's way into the encoder until a browser shows it, by a clock drawn into it.

ffmpeg encodes pictures that this script draws, 640x360, each with the time of then in blocks of black and
white, and publishes them; Chromium opens the stream's page, which plays it by MSE over WebSocket, headless
and without a graphics card, and reads the blocks of what it shows. Both are on one machine with one clock.
It takes ffmpeg, node, npm and chromium.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import common
import servers
import typer
from common import Bench, Row
from servers import Variant

PLAYWRIGHT: Final = "1.65.1"
NEARER_THAN: Final = 300.0
"""Milliseconds that the median may be."""
_SCRIPT: Final = Path(__file__).with_name("glass.mjs")
_WIDTH: Final = 640
_HEIGHT: Final = 360
_BITS: Final = 40
_BLOCK: Final = 16
_BRIGHT: Final = b"\xe0" * _BLOCK
_DARK: Final = b"\x20" * _BLOCK
_AUDIO: Final = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
_ENCODER: Final = (
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-b:v",
    "2M",
    "-bf",
    "0",
)
_READY: Final = 3.0
"""Seconds that the stream is live before somebody watches."""
_PATIENCE: Final = 60.0
RTMPD: Final = Variant("rtmpd", "rtmpd", ("http.origins=*",), protocol=servers.HTTP_FLV)


def main(
    rates: Annotated[str, typer.Option(help="Pictures a second.")] = "30,60",
    fragments: Annotated[str, typer.Option(help="What a fragment is: frame or part.")] = "frame,part",
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = 20.0,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure by how much a browser is behind. Exit status 1 if it is more than 300 ms, of frames."""
    cases = [(int(rate), fragment) for rate in rates.split(",") for fragment in fragments.split(",")]
    if quick:
        cases, repeat, seconds = cases[:1], 1, 5.0
    bench = Bench(common.named("glass", quick), [RTMPD], seconds, repeat, server_core, load_core, rtmpd)
    # Encoder and browser take more than a core: wherever there is time.
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    for number, (rate, fragment), variant in bench.rounds(cases):
        case = {"rate": rate, "fragment": fragment}
        bench.attempt(number, case, variant, partial(_measure, bench, variant, rate, fragment))
    bench.finish(
        ["rate", "fragment"],
        {
            "p50_ms": "p50 ms",
            "p95_ms": "p95",
            "max_ms": "max",
            "buffered_ms": "of it buffered",
            "frames": "frames",
            "stalls": "stalls",
        },
    )
    nearest = [row.get("p50_ms", float("inf")) for row in bench.rows if row["fragment"] == "frame"]
    if any(late > NEARER_THAN for late in nearest):
        raise typer.Exit(1)


def _measure(bench: Bench, variant: Variant, rate: int, fragment: str) -> Row:
    with bench.server(variant) as server, _encoder(server.url("clock"), rate):
        time.sleep(_READY)
        page = server.play_url("clock").removesuffix(".flv")
        seen = _watch(f"{page}?via=mse&fragment={fragment}", bench.seconds)
    late = sorted(seen.pop("late_ms"))
    buffered = sorted(seen.pop("buffered_ms"))
    if seen["end"] != "playing" or not late:
        raise RuntimeError(f"nothing was shown to the end: {seen}")
    return {
        "p50_ms": _quantile(late, 0.5),
        "p95_ms": _quantile(late, 0.95),
        "max_ms": late[-1],
        "buffered_ms": _quantile(buffered, 0.5),
        "frames": len(late),
        **seen,
    }


def _quantile(values: Sequence[float], share: float) -> float:
    return round(values[min(int(len(values) * share), len(values) - 1)], 1)


def _watch(page: str, seconds: float) -> Row:
    """What has been seen on the page."""
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if shutil.which("npm") is None or node is None or chromium is None:
        raise RuntimeError("npm, node and chromium are needed")
    modules = servers.modules("playwright-core", PLAYWRIGHT)
    process = subprocess.run(
        [node, str(_SCRIPT), page, str(seconds)],
        env={**os.environ, "NODE_MODULES": str(modules), "CHROMIUM": chromium},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + _PATIENCE,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"the browser failed: {process.stderr[-2000:]}")
    seen: Row = json.loads(process.stdout)
    return seen


# The encoder


@contextlib.contextmanager
def _encoder(url: str, rate: int) -> Iterator[None]:
    """Publishes pictures with the time in them, until the end of the block."""
    picture = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", f"{_WIDTH}x{_HEIGHT}")
    read = ("-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0", "-framerate", str(rate))
    write = ("-g", str(rate), "-c:a", "aac", "-flush_packets", "1", "-f", "flv", url)
    process = subprocess.Popen(
        ["ffmpeg", "-v", "error", *picture, *read, "-i", "pipe:0", *_AUDIO, *_ENCODER, *write],
        stdin=subprocess.PIPE,
    )
    over = threading.Event()
    drawing = threading.Thread(target=_draw, args=(process, rate, over), daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        process.terminate()
        drawing.join()
        process.wait()


def _draw(process: subprocess.Popen[bytes], rate: int, over: threading.Event) -> None:
    """Each picture in its time, the time of then in it."""
    assert process.stdin is not None
    below = bytes(range(32, 224)) * (_WIDTH * _HEIGHT // 64)
    rest = _WIDTH * (_HEIGHT - 2 * _BLOCK)
    colours = b"\x80" * (_WIDTH * _HEIGHT // 2)
    begin = time.monotonic()
    with contextlib.suppress(BrokenPipeError):
        for number in range(10**9):
            if over.wait(max(0.0, begin + number / rate - time.monotonic())):
                break
            bits = f"{round(time.time() * 1000) % 2**_BITS:0{_BITS}b}"
            first = b"".join([_BRIGHT if bit == "1" else _DARK for bit in bits])
            second = b"".join([_DARK if bit == "1" else _BRIGHT for bit in bits])
            moved = below[number % 192 :][:rest]
            process.stdin.write(b"".join((first * _BLOCK, second * _BLOCK, moved, colours)))
            process.stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


if __name__ == "__main__":
    typer.run(main)
