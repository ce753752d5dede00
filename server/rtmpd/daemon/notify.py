"""The service manager's side: readiness, watchdog (sd_notify(3)) and inherited sockets (sd_listen_fds(3)).

All of it is a datagram and a few environment variables, for which the existing libraries are unmaintained or
need a C compiler. Without a service manager every call does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

from rtmpd.exceptions import ConfigError

_FIRST_INHERITED_FD: Final = 3

logger = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager how we are. No call blocks or raises: a deaf manager stops no server."""

    def __init__(self, address: str | None) -> None:
        """``address`` is NOTIFY_SOCKET: a path or, abstract, ``@name``; None tells nobody."""
        self._socket: socket.socket | None = None
        self._status = ""
        if not address:
            return
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            logger.warning("service manager unreachable", extra={"fields": {"reason": error.strerror}})
            self.close()

    def ready(self, status: str = "") -> None:
        """Startup is finished."""
        self._status = status
        self._send("READY=1", status)

    def reloading(self) -> None:
        """Other settings are being put in place; ``reloaded`` says that this is over."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self, problem: str = "") -> None:
        """The settings hold, or there is a problem, and those before do."""
        self._send("READY=1", problem or self._status)

    def stopping(self, status: str = "", *, within: float) -> None:
        """Shutdown has begun; it is over in ``within`` seconds, whatever the manager allows."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round(within * 1_000_000)}", status)

    def main_process(self, pid: int) -> None:
        """Another process is the service's main one from now on, and speaks for it: we say nothing more."""
        self._send(f"MAINPID={pid}")
        self.close()

    def watchdog(self) -> None:
        """Still alive; to be sent every ``watchdog_interval`` by what would stop if the server hung."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Release the socket; later calls do nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, status: str = "") -> None:
        lines = [state]
        if status:
            # A line feed would begin another assignment.
            lines.append("STATUS=" + " ".join(status.split()))
        if self._socket is None:
            return
        try:
            self._socket.send("\n".join(lines).encode(errors="replace"))
        except OSError as error:
            logger.debug("service manager not notified", extra={"fields": {"reason": error.strerror}})


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two ``watchdog`` calls: half of what the manager allows; None: nobody watches."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2_000_000


def listen_fds(
    environ: Mapping[str, str], pid: int, *, first: int = _FIRST_INHERITED_FD
) -> list[socket.socket]:
    """The listening sockets that the manager opened for process ``pid``, non-blocking; often none.

    Raises ConfigError if what was handed over is no listening socket of TCP, or of Unix and a path.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return []
    return [_inherit(fd) for fd in range(first, first + int(count))]


def _inherit(fd: int) -> socket.socket:
    advice = "check ListenStream= and Accept=no in the socket unit"
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigError([f"inherited descriptor {fd}: {error.strerror}; {advice}"]) from error
    # What has no path, or one that no setting could name, nobody could be told of.
    known = sock.family in (socket.AF_INET, socket.AF_INET6) or _has_path(sock)
    if not known or sock.type != socket.SOCK_STREAM or not listens:
        sock.close()
        raise ConfigError([f"inherited descriptor {fd} does not listen for TCP or on a path; {advice}"])
    sock.setblocking(False)
    return sock


def _has_path(sock: socket.socket) -> bool:
    name = sock.getsockname()
    return sock.family == socket.AF_UNIX and isinstance(name, str) and name.startswith("/")
