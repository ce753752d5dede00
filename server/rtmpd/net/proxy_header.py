"""What a proxy says of its client before the first byte: the PROXY protocol, versions 1 and 2.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. What follows the header may be TLS: exactly the
header is taken from the socket, whoever reads it next finds the client's first byte. TLVs are skipped, the
checksum among them: TCP has its own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import select
import socket
import struct
from dataclasses import dataclass
from typing import Final

from rtmpd.net.addresses import plain
from rtmpd.reasons import HandshakeFailure

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
MAX_V1: Final = 107
"""Bytes of the longest line of version 1, its end included."""
MAX_HEADER: Final = 2048
"""Bytes that a header of version 2 may have: addresses, and TLVs such as those of cloud load balancers."""
_V1: Final = b"PROXY "
_FIXED: Final = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESS_BYTES: Final = {0x11: 12, 0x21: 36, 0x31: 216}
"""By family and transport: TCP over IPv4 and IPv6, and a Unix stream."""
OWN: Final = SIGNATURE + b"\x20\0\0\0"
"""The header of who asks for itself, and for no client."""
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks at a header that has not come whole. Headers are sent at once, and what is not
read keeps the socket readable, so that there is nothing to be woken by."""


class ProxyHeaderError(ValueError):
    """It is no header that can be served; the text says why, or what to do."""

    reason: HandshakeFailure = HandshakeFailure.PROXY_BROKEN


class NoProxyHeader(ProxyHeaderError):
    """It begins as no header does."""

    reason = HandshakeFailure.PROXY_MISSING


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What was said."""

    length: int
    """Bytes of the header; the client's follow."""
    address: str = ""
    """IP address of the client; empty where there is none: the proxy asks for itself, or its client came
    through a Unix socket or in a way that it does not know."""
    own: bool = False
    """The proxy asks for itself: a health check."""


async def take(sock: socket.socket) -> ProxyHeader | None:
    """The header that a non-blocking socket begins with; None if it begins with something else, which stays.

    Waits without an end: give it a deadline. Raises ProxyHeaderError, EOFError if nothing at all comes, or
    OSError.
    """
    pause = _FIRST_PAUSE
    while True:
        left = _has_left(sock)  # First: what comes behind it may be the rest, and the end.
        try:
            data = sock.recv(MAX_HEADER, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            await _readable(sock)
            continue
        if not data:
            raise EOFError
        try:
            header = parse(data)
        except NoProxyHeader:
            return None
        if header is not None:
            sock.recv(header.length)  # All of it is there.
            return header
        if left:
            raise ProxyHeaderError("it left in the middle of a header")
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


async def begins_with_header(sock: socket.socket) -> bool:
    """Whether the first that comes on a non-blocking socket is a header; nothing of it is taken.

    Waits without an end, as ``take`` does. Raises OSError.
    """
    await _readable(sock)
    try:
        return sock.recv(len(SIGNATURE), socket.MSG_PEEK).startswith((SIGNATURE, _V1))
    except (BlockingIOError, InterruptedError):
        return False


def _has_left(sock: socket.socket) -> bool:
    """Whether the peer says nothing more, where the kernel tells: what is not read hides the end."""
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    loop.add_reader(sock, woken.set)
    try:
        await woken.wait()
    finally:
        loop.remove_reader(sock)


def parse(data: bytes) -> ProxyHeader | None:
    """The header at the start of ``data``; None while more of it has to come.

    Raises ProxyHeaderError as soon as it can no longer become one.
    """
    if data.startswith(SIGNATURE):
        return _parse_v2(data)
    if data.startswith(_V1):
        return _parse_v1(data)
    if SIGNATURE.startswith(data) or _V1.startswith(data):
        return None
    raise NoProxyHeader("the first bytes are no PROXY header")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    line, end, _ = data[:MAX_V1].partition(b"\r\n")
    if not end:
        if len(data) >= MAX_V1:
            raise ProxyHeaderError(f"a line of more than {MAX_V1} bytes")
        return None
    length = len(line) + len(end)
    match line.split(b" "):
        case [_, b"UNKNOWN", *_]:
            return ProxyHeader(length)
        case [_, b"TCP4" | b"TCP6" as family, source, target, source_port, target_port]:
            version = 4 if family == b"TCP4" else 6
            _check_port(source_port)
            _check_port(target_port)
            _read_address(target, version)
            return ProxyHeader(length, _read_address(source, version))
    raise ProxyHeaderError("a line of version 1 that cannot be read")


def _read_address(text: bytes, version: int) -> str:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise ProxyHeaderError("an address that is none") from None
    if address.version != version:
        raise ProxyHeaderError("an address of another family than it says")
    return plain(address)


def _check_port(text: bytes) -> None:
    if not (text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ProxyHeaderError("a port that is none")


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED.size:
        return None
    _, command, family, size = _FIXED.unpack_from(data)
    length = _FIXED.size + size
    if length > MAX_HEADER:
        raise ProxyHeaderError(f"a header of more than {MAX_HEADER} bytes")
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"version and command {command:#04x}, which do not exist")
    if command == _PROXY:
        # The sender has to be told apart from its client: what is not a stream is no client of ours.
        if family and family not in _ADDRESS_BYTES:
            raise ProxyHeaderError(f"family and transport {family:#04x}, which are no stream")
        if size < _ADDRESS_BYTES.get(family, 0):
            raise ProxyHeaderError("a header too short for its addresses")
    if len(data) < length:
        return None
    if command == _LOCAL:
        return ProxyHeader(length, own=True)
    if family not in (0x11, 0x21):
        return ProxyHeader(length)
    start, width = _FIXED.size, 4 if family == 0x11 else 16
    return ProxyHeader(length, plain(ipaddress.ip_address(data[start : start + width])))
