"""``rtmpd top``: the streams of a server as they get on, on a terminal, or as lines anywhere else."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

from rtmpd.daemon import client_command
from rtmpd.daemon.asked_server import ServerUrl, TokenFile, asked_server, say, streams_of
from rtmpd.daemon.client_command import ExitStatus
from rtmpd.daemon.config_options import Assignments, ConfigPaths
from rtmpd.daemon.top_figures import Figures, Order
from rtmpd.exceptions import AdminRequestFailed

if TYPE_CHECKING:
    from rtmpd.daemon.admin_request import AdminPort
    from rtmpd.daemon.top_display import TopScreen

_INTERVAL: Final = 1.0
_PAPER: Final = frozenset({"dumb", "unknown"})
"""Terminals on which nothing that was written changes."""
_ORDERS: Final = {
    b"b": Order.BITRATE,
    b"n": Order.NAME,
    b"p": Order.PLAYERS,
    b"d": Order.DROPS,
    b"h": Order.HEALTH,
}
_ALL: Final = 1_000_000
_LINES: Final = {
    **dict.fromkeys((b"k", b"\x1b[A", b"\x1bOA"), -1),
    **dict.fromkeys((b"j", b"\x1b[B", b"\x1bOB"), 1),
    **dict.fromkeys((b"\x1b[H", b"\x1bOH", b"\x1b[1~"), -_ALL),
    **dict.fromkeys((b"\x1b[F", b"\x1bOF", b"\x1b[4~"), _ALL),
}
_PAGES: Final = {b"\x1b[5~": -1, b"\x1b[6~": 1, b" ": 1}
"""Keys, as terminals send them."""
_QUITS: Final = frozenset({b"q", b"Q"})


def top(
    sort: Annotated[Order, typer.Option("--sort", help="What the streams are sorted by.")] = Order.BITRATE,
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval",
            "-i",
            parser=client_command.duration,
            metavar="TIME",
            show_default=False,
            help="Between two looks: 1s on a terminal. Anywhere else there is one look if this is not given.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line for each look.")] = False,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    config: ConfigPaths = None,
    assignments: Assignments = None,
) -> None:
    """Watch the streams of a server: bitrate, frame rate, players, drops, and what is wrong.

    The bars show the bitrate over the last looks, each stream by its own
    highest. Drops are packets that players did not get; they are red while
    they grow.
    """
    try:
        with asked_server(url, token_file, config, assignments) as port:
            if sys.stdout.isatty() and os.environ.get("TERM") not in _PAPER and not as_json:
                _watch(port, sort, interval or _INTERVAL)
            else:
                _print(port, sort, interval, as_json)
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitStatus.INTERRUPTED) from error


def _print(port: AdminPort, order: Order, interval: float | None, as_json: bool) -> None:
    """A look, or one every ``interval`` seconds. Raises AdminRequestFailed."""
    from rtmpd.daemon.top_display import plain

    while True:
        server, streams = _ask(port)
        if as_json:
            typer.echo(json.dumps({"server": server, "streams": streams}))
        else:
            figures = Figures()
            figures.learn(server, streams, time.monotonic())
            for line in plain(figures, order):
                say(line)
        if interval is None:
            return
        time.sleep(interval)
        if not as_json:
            typer.echo()


def _ask(port: AdminPort) -> tuple[Any, list[dict[str, Any]]]:
    return port.call("GET", "/server"), streams_of(port)


def _watch(port: AdminPort, order: Order, interval: float) -> None:
    """A screen that changes, until somebody has seen enough."""
    from rich.console import Console
    from rich.live import Live

    from rtmpd.daemon.top_display import TopScreen

    console = Console(highlight=False)
    figures = Figures()
    with _keys() as keyboard, _Asking(port, interval) as asking:
        screen = TopScreen(figures, str(port), keys=keyboard is not None)
        screen.sort(order)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(screen.at(time.monotonic()), refresh=True)
                pressed = asking.wait(figures, keyboard)
                if pressed is not None and _obey(screen, pressed):
                    return


def _obey(screen: TopScreen, key: bytes) -> bool:
    """Whether ``key`` ends it all."""
    if key in _ORDERS:
        screen.sort(_ORDERS[key])
    else:
        screen.scroll(_LINES.get(key, 0), pages=_PAGES.get(key, 0))
    return not key or key in _QUITS


class _Asking:
    """Asks all the time in a thread of its own: a server that does not answer keeps no key waiting."""

    def __init__(self, port: AdminPort, interval: float) -> None:
        self._port = port
        self._interval = interval
        self._answers: SimpleQueue[tuple[Any, list[dict[str, Any]]] | AdminRequestFailed] = SimpleQueue()
        self._over = threading.Event()
        self._told, self._tell = os.pipe()

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="top-asking", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def wait(self, figures: Figures, keyboard: int | None) -> bytes | None:
        """Until ``figures`` have something new, or a key is pressed: that is what is returned."""
        import select

        ready, _, _ = select.select([self._told, *([] if keyboard is None else [keyboard])], [], [])
        if self._told in ready:
            os.read(self._told, 1)
            answer = self._answers.get()
            if isinstance(answer, AdminRequestFailed):
                figures.trouble = str(answer)
            else:
                figures.learn(*answer, time.monotonic())
        return os.read(keyboard, 16) if keyboard is not None and keyboard in ready else None

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self._answers.put(_ask(self._port))
            except AdminRequestFailed as error:
                self._answers.put(error)
            os.write(self._tell, b".")
            self._over.wait(max(began + self._interval - time.monotonic(), 0.0))


@contextmanager
def _keys() -> Iterator[int | None]:
    """Where single keys are read, as they are pressed; None without a keyboard."""
    if not sys.stdin.isatty():
        yield None
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        yield keyboard
    finally:
        with suppress(termios.error):
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
