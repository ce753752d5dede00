"""TCP keepalive: finding out about dead peers even when nothing is sent to them."""

from __future__ import annotations

import socket

_IDLE, _INTERVAL, _COUNT = 30, 10, 3
"""Seconds of silence before the first probe, seconds between probes, and how many may go unanswered."""


def set_keepalive(sock: socket.socket | None) -> None:
    """Probe an idle peer, and let the connection fail within a minute when it is dead."""
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _COUNT)
