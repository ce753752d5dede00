"""A player far away on a fast line: does it cost throughput that the kernel may hold little for a peer?

The server and a publisher are at one end of a line of 100 Mbit/s and 50 ms each way, one player at the other
end, behind more than a megabyte under way. The server runs as it is, and with the kernel's own limit
(``TCP_NOTSENT_LOWAT`` unset), in turns. Needs root, for the line: see ``lossy_link.py``.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from functools import partial
from typing import Annotated, Any, Final

import common
import lossy_link
import typer
from common import Bench, Row
from lossy_link import Link
from servers import Variant

_PORT: Final = 1935
_QUEUE_BYTES: Final = 4_000_000
_MTU: Final = 9000
_START_TIMEOUT: Final = 20.0
_LIMITED: Final = Variant("rtmpd", "rtmpd")
_UNLIMITED: Final = Variant("rtmpd, kernel's own limit", "rtmpd")
_LAUNCH: Final = "from rtmpd.daemon.cli import main; main()"
_LAUNCH_UNLIMITED: Final = "from rtmpd.net import socket_options as o; o.UNSENT_BYTES = 0; " + _LAUNCH


def main(
    delay_ms: Annotated[float, typer.Option(min=0.0, help="One way.")] = 50.0,
    rate: Annotated[float, typer.Option(min=1e6, help="Bit/s of the line.")] = 100e6,
    bitrate: Annotated[int, typer.Option(min=1_000_000, help="Bit/s of the stream.")] = 60_000_000,
    loss: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of packets that vanish.")] = 0.0,
    quick: common.Quick = False,
    repeat: common.Repeat = common.DEFAULT_REPEAT,
    seconds: common.Seconds = common.DEFAULT_SECONDS,
    server_core: common.ServerCore = 0,
    load_core: common.LoadCore = 1,
    rtmpd: common.Rtmpd = common.DEFAULT_RTMPD,
) -> None:
    """Measure what one far player gets, with and without the limit of unsent bytes."""
    if (obstacle := lossy_link.find_obstacle()) is not None:
        raise typer.BadParameter(obstacle)
    if quick:
        repeat, seconds = 1, 2.0
    variants = [_LIMITED, _UNLIMITED]
    bench = Bench(common.named("long_path", quick), variants, seconds, repeat, server_core, load_core, rtmpd)
    line = f"{rate / 1e6:g} Mbit/s, {delay_ms:g} ms, loss {loss:g}"
    case = {"line": line, "stream": f"{bitrate / 1e6:g} Mbit/s"}
    for number, _, variant in bench.rounds([case]):
        link = Link(
            delay=delay_ms / 1000, rate=rate, queue_bytes=_QUEUE_BYTES, loss=loss, mtu=_MTU, seed=number
        )
        bench.attempt(number, case, variant, partial(_measure, bench, variant, link, bitrate))
    bench.finish(
        ["line", "stream"],
        {
            "mbit_per_second": "Mbit/s at the player",
            "first_frame_ms": "first frame ms",
            "p50_ms": "p50 ms",
            "p99_ms": "p99",
            "missing": "packets missed",
            "closed": "closed",
        },
    )


def _measure(bench: Bench, variant: Variant, link: Link, bitrate: int) -> Row:
    launch = _LAUNCH if variant is _LIMITED else _LAUNCH_UNLIMITED
    with link, contextlib.ExitStack() as stack:
        address = link.left.address
        settings = (f"rtmp.listen={address}:{_PORT}", "admin.listen=", "http.listen=")
        arguments = [part for setting in settings for part in ("--set", setting)]
        pinned = ["taskset", "--cpu-list", str(bench.server_core)]
        python = str(bench.rtmpd.absolute().with_name("python"))
        link.left.start([*pinned, python, "-c", launch, "serve", *arguments], stdout=subprocess.DEVNULL)
        _wait_until_listening(link)
        url = f"rtmp://{address}:{_PORT}/live/far"
        with link.left.entered():
            options = ("--bitrate", bitrate, "--keyframe-interval", 0.5, "--chunk-size", 65536, "-d", 3600)
            publisher = stack.enter_context(bench.load("publish", *options, url))
        publisher.wait_for("joined")
        with link.right.entered():
            player = stack.enter_context(bench.load("play", "-n", 1, "-d", bench.seconds, "--warmup", 2, url))
        return _columns(player.wait_for("report"))


def _columns(report: Row) -> Row:
    latency: dict[str, Any] = report["latency_ms"]
    return {
        **common.load_columns(report),
        "first_frame_ms": report["first_frame_ms"]["p50"],
        "p50_ms": latency["p50"],
        "p99_ms": latency["p99"],
        "missing": report["missing"],
        "closed": report["closed"],
    }


def _wait_until_listening(link: Link) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), link.left.entered():
            socket.create_connection((link.left.address, _PORT), 1.0).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server does not listen after {_START_TIMEOUT:g} s")


if __name__ == "__main__":
    typer.run(main)
