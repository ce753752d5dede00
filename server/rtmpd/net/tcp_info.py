"""What the kernel knows of a TCP connection: ``TCP_INFO`` (Linux, since 4.9)."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final, NamedTuple, Protocol

_LAYOUT: Final = struct.Struct("=8B 24I 4Q 4I")
"""How ``struct tcp_info`` (linux/tcp.h) begins; newer kernels have more."""


class Sock(Protocol):
    """A socket, or what a transport shows of one."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


class TcpInfo(NamedTuple):
    """One connection at one moment. Times in seconds."""

    round_trip: float
    """Smoothed, as is ``deviation``."""
    deviation: float
    """Of the round trip."""
    shortest_round_trip: float
    """Of the last five minutes or so."""
    retransmitted: int
    """Segments sent again since it began."""
    congestion_window: int
    """Segments that may be on their way."""
    segment_bytes: int
    """Of the largest that is sent."""
    unacknowledged: int
    """Segments on their way."""
    not_sent_bytes: int
    """Accepted by the kernel and not sent."""
    received_ago: float
    """Since the last data of the peer."""


def read_tcp_info(sock: Sock | None) -> bytes:
    """For ``parse_tcp_info``, of a socket as ``transport.get_extra_info("socket")`` gives it.

    Empty where there is none, it is no TCP socket, or the system is not Linux. One system call.
    """
    if sock is None or not sys.platform.startswith("linux"):
        return b""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAYOUT.size)
    except (OSError, ValueError):  # No TCP, or closed meanwhile.
        return b""


def parse_tcp_info(data: bytes) -> TcpInfo | None:
    """What ``read_tcp_info`` gave; None where that is nothing, or too little."""
    if len(data) < _LAYOUT.size:
        return None
    fields = _LAYOUT.unpack_from(data)
    words, later = fields[8:32], fields[36:]
    return TcpInfo(
        round_trip=words[15] / 1e6,
        deviation=words[16] / 1e6,
        shortest_round_trip=later[3] / 1e6,
        retransmitted=words[23],
        congestion_window=words[18],
        segment_bytes=words[2],
        unacknowledged=words[4],
        not_sent_bytes=later[2],
        received_ago=words[11] / 1e3,
    )
