"""The commands that talk to servers, run as a shell would: with pipes, on a terminal, interrupted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from typer.testing import CliRunner

from rtmpd.daemon import cli

RTMPD = str(Path(sys.executable).with_name("rtmpd"))
TIMEOUT = 30.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """A command run to its end, its output captured."""
    source = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run([RTMPD, *arguments], capture_output=True, timeout=TIMEOUT, check=False, **source)


def run_here(*arguments: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a command that is run to its end in this process.

    An interpreter for each mistake would take half a second of two cores.
    """
    result = CliRunner().invoke(cli.app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@contextlib.contextmanager
def start(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs meanwhile, and is surely gone at the end of the block."""
    process = subprocess.Popen(
        [RTMPD, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What a shell without job control runs in the background, this suite perhaps, has SIGINT ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Exit status, output and errors of a started command, once it has ended."""
    output, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, output.decode(errors="replace"), errors.decode()


def run_on_terminal(*arguments: str, columns: int = 100) -> tuple[int, str]:
    """Exit status, and everything that a terminal of that width was sent, escape sequences taken out."""
    controller, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [RTMPD, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    pieces = []
    # The end of a terminal is told as an error.
    with contextlib.suppress(OSError):
        while piece := os.read(controller, 4096):
            pieces.append(piece)
    os.close(controller)
    return process.wait(TIMEOUT), _ESCAPES.sub("", b"".join(pieces).decode())
