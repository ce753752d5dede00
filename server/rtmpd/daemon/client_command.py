"""What the commands that talk to a server share: options, exit codes, errors in one line, figures.

What one of them needs to run, asyncio included, it imports when it runs: ``--help`` imports all of them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from rtmpd.daemon.values import parse_duration
from rtmpd.exceptions import FlvError, RequestRejected, RtmpdError, UsageError
from rtmpd.rtmp.url import RtmpUrl

if TYPE_CHECKING:
    from rtmpd.client.connection import Connection
    from rtmpd.net.wire_tap import WireTap

T = TypeVar("T")


class ExitStatus(IntEnum):
    """Exit codes of the commands that talk to servers; docs/operations.md lists them."""

    FAILED = 1
    """The server cannot be reached, does not speak RTMP, or the connection broke; or a trial failed."""
    USAGE = 2
    FILE = 3
    """The file cannot be read or written, or is no FLV."""
    REFUSED = 4
    """The server said no."""
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 server unreachable or connection lost, 2 wrong usage, 3 file cannot be read or "
    "written, 4 refused by the server, 130 interrupted, 143 terminated."
)
TRIAL_EXIT_CODES: Final = (
    "Exit codes: 0 it works, 1 it does not, 2 wrong usage, 130 interrupted, 143 terminated."
)


def duration(text: str | float) -> float:
    """Seconds of an option such as ``10s``; more than 0."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if seconds <= 0:
        raise typer.BadParameter("more than 0 is needed")
    return seconds


Url = Annotated[str, typer.Argument(metavar="URL", help="rtmp:// or rtmps://host:port/app/name")]
PATIENCE: Final = 10.0
"""Seconds; the default of ``Timeout``."""
Timeout = Annotated[
    float,
    typer.Option(
        parser=duration,
        metavar="TIME",
        help="For the connection, and for each answer; 10s if not given.",
        show_default=False,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", metavar="FILE", help="rtmps: trust these authorities, not the system's."),
]
Trace = Annotated[
    bool,
    typer.Option("--trace", help="Write the dialogue with the server to standard error, secrets cut out."),
]


def dialer(patience: float, ca_file: Path | None, trace: bool) -> partial[Coroutine[Any, Any, Connection]]:
    """``rtmpd.connect`` with what the command line says."""
    from rtmpd.client.connect import connect

    tap = _tap if trace else None
    return partial(connect, timeout=patience, ca_file=str(ca_file) if ca_file else None, tap=tap)


def _tap() -> WireTap:
    from rtmpd.media.summary import summary
    from rtmpd.net.wire_tap import WireTap
    from rtmpd.rtmp.transcript import Transcript

    transcript = Transcript(partial(typer.echo, err=True), time.monotonic, summary)
    return WireTap(received=transcript.server_says, sent=transcript.client_says)


def stream_url(text: str) -> RtmpUrl:
    """The URL of a stream; raises UsageError for one that names none."""
    url = RtmpUrl.parse(text)
    if not url.name:
        raise UsageError(f"{url} names no stream: rtmp://host/app/name is expected")
    return url


def status_of_transfer(error: Exception) -> ExitStatus:
    """What publish and play exit with: it tells a server's fault from a file's."""
    match error:
        case UsageError():
            return ExitStatus.USAGE
        case RequestRejected():
            return ExitStatus.REFUSED
        case FlvError():
            return ExitStatus.FILE
        case RtmpdError():
            return ExitStatus.FAILED
        case _:
            return ExitStatus.FILE


def status_of_trial(error: Exception) -> ExitStatus:
    """What probe and bench exit with: all that matters is whether it worked."""
    return ExitStatus.USAGE if isinstance(error, UsageError) else ExitStatus.FAILED


def run(
    command: str,
    main: Callable[[], Coroutine[Any, Any, T]],
    status_of: Callable[[Exception], int] = status_of_transfer,
) -> T:
    """Run a command to its end; whatever it fails with becomes one line on standard error and an exit code.

    SIGINT and SIGTERM cancel it, so that it can end in order; another SIGINT ends it at once.
    """
    import asyncio

    terminated = False

    async def supervised() -> T:
        loop = asyncio.get_running_loop()
        task = loop.create_task(main(), name=command)

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        loop.add_signal_handler(signal.SIGTERM, terminate)
        return await task

    try:
        return asyncio.run(supervised())
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitStatus.INTERRUPTED) from error
    except asyncio.CancelledError as error:
        if not terminated:
            raise
        raise typer.Exit(ExitStatus.TERMINATED) from error
    except (RtmpdError, OSError) as error:
        typer.echo(f"rtmpd {command}: {one_line(error)}", err=True)
        raise typer.Exit(status_of(error)) from error


@asynccontextmanager
async def repeated(show: Callable[[], None], interval: float) -> AsyncIterator[None]:
    """Call ``show`` every ``interval`` seconds while the block runs."""
    import asyncio

    async def repeat() -> None:
        while True:
            await asyncio.sleep(interval)
            show()

    task = asyncio.get_running_loop().create_task(repeat(), name="figures")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


def clock_text(seconds: float) -> str:
    """``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def rate_text(bits_per_second: float) -> str:
    if bits_per_second >= 1e6:
        return f"{bits_per_second / 1e6:.2f} Mbit/s"
    return f"{bits_per_second / 1e3:.0f} kbit/s"


def bytes_text(size: float) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"


def one_line(error: Exception) -> str:
    """What went wrong; whatever the server put into it moves no cursor."""
    text = str(error)
    if isinstance(error, OSError) and not isinstance(error, RtmpdError):
        name = f"{error.filename}: " if error.filename else ""
        text = f"{name}{error.strerror or error}"
    return "".join(character if character.isprintable() else " " for character in text)
