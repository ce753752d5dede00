"""What is asked of the kernel for a connection: hold little, find dead peers, acknowledge now, forget."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final

UNSENT_BYTES: Final = 256 * 1024
"""What the kernel may hold for a peer beyond what is on its way; more waits here, where it is counted."""
_IDLE, _INTERVAL, _COUNT = 30, 10, 3
"""Seconds of silence before the first probe, seconds between probes, and how many may go unanswered."""


def set_keepalive(sock: socket.socket | None) -> None:
    """Probe an idle peer, and let the connection fail within a minute when it is dead."""
    if sock is None:
        return
    with contextlib.suppress(OSError):  # macOS refuses options of a socket that the peer has reset already.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _COUNT)


def limit_unsent(sock: socket.socket | None) -> None:
    """Have the kernel take no more for a peer than ``UNSENT_BYTES`` that it cannot put on the way.

    It would queue megabytes for each peer that stops reading: in nobody's budget, half a minute of a stream
    before anybody notices, and old when the peer comes back. What is on its way is not limited, so a long fat
    path keeps its throughput. What a listener accepts inherits it.
    """
    if sock is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def set_user_timeout(sock: socket.socket, timeout: float) -> None:
    """Let the connection fail when the peer takes nothing of what we send for ``timeout`` seconds.

    Nothing is probed while data is under way, and retransmission alone goes on for a quarter of an hour.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout * 1000))


def acknowledge_quickly(sock: socket.socket) -> None:
    """Have the kernel acknowledge what it holds now; it forgets this wish by itself.

    Clients write connect, createStream and publish in small pieces with Nagle's algorithm on: each would wait
    for the delayed acknowledgement of the one before, 40 ms a time.
    """
    if hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def discard_unsent(sock: socket.socket) -> None:
    """Have the kernel drop what it holds for the peer when the socket closes: megabytes, for minutes."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
