"""The header that a proxy puts before its client's first byte, as bytes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct

import pytest

from rtmpd.net import proxy_header
from rtmpd.net.proxy_header import MAX_HEADER, MAX_V1, SIGNATURE, ProxyHeader, ProxyHeaderError, parse, take

V4 = ipaddress.ip_address("192.0.2.7").packed + ipaddress.ip_address("198.51.100.1").packed
V6 = ipaddress.ip_address("2001:db8::7").packed + ipaddress.ip_address("2001:db8::1").packed
MAPPED = ipaddress.ip_address("::ffff:192.0.2.7").packed + ipaddress.ip_address("::ffff:198.51.100.1").packed
PORTS = struct.pack("!HH", 40000, 1935)
TLV = b"\x03\x00\x04\x01\x02\x03\x04" + b"\xea\x00\x03\x01vp"
REST = b"\x03\x00\x00"


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + struct.pack("!H", len(body)) + body


SERVED = {
    "v1 over IPv4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 1935\r\n", "192.0.2.7"),
    "v1 over IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 1935\r\n", "2001:db8::7"),
    "v1 of a client behind NAT64": (b"PROXY TCP6 64:ff9b::c000:207 2001:db8::1 40000 1935\r\n", "192.0.2.7"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", ""),
    "v1 unknown, and more": (b"PROXY UNKNOWN ffff:f...f 1 2 3\r\n", ""),
    "v2 over IPv4": (v2(0x21, 0x11, V4 + PORTS), "192.0.2.7"),
    "v2 over IPv6": (v2(0x21, 0x21, V6 + PORTS), "2001:db8::7"),
    "v2 of an IPv4 client": (v2(0x21, 0x21, MAPPED + PORTS), "192.0.2.7"),
    "v2 with TLVs": (v2(0x21, 0x11, V4 + PORTS + TLV), "192.0.2.7"),
    "v2 from a Unix socket": (v2(0x21, 0x31, bytes(216)), ""),
    "v2 of the proxy itself": (v2(0x20, 0x00, b""), ""),
    "v2 of the proxy itself, with addresses": (v2(0x20, 0x11, V4 + PORTS), ""),
    "v2 unspecified": (v2(0x21, 0x00, TLV), ""),
}


@pytest.mark.parametrize(("data", "address"), SERVED.values(), ids=SERVED)
def test_headers_are_read_to_their_last_byte_and_no_further(data: bytes, address: str) -> None:
    own = data[12:13] == b"\x20"
    assert parse(data + REST) == parse(data) == ProxyHeader(len(data), address, own)
    for end in range(len(data)):
        assert parse(data[:end]) is None, data[:end]


REFUSED = {
    "RTMP": (REST, "no PROXY header"),
    "TLS": (b"\x16\x03\x01\x00", "no PROXY header"),
    "an endless line": (b"PROXY UNKNOWN " + b"x" * MAX_V1, "a line of more than"),
    "a line feed alone": (b"PROXY UNKNOWN\n" + b"x" * MAX_V1, "a line of more than"),
    "UDP in v1": (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", "cannot be read"),
    "too little": (b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n", "cannot be read"),
    "no address": (b"PROXY TCP4 192.0.2.777 198.51.100.1 1 2\r\n", "an address that is none"),
    "no ASCII": ("PROXY TCP4 192.0.2.\u0667 198.51.100.1 1 2\r\n".encode(), "an address that is none"),
    "no target": (b"PROXY TCP4 192.0.2.7 x 1 2\r\n", "an address that is none"),
    "the other family": (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", "of another family"),
    "no port": (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n", "a port that is none"),
    "a signed port": (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n", "a port that is none"),
    "another version": (v2(0x11, 0x11, V4 + PORTS), "do not exist"),
    "another command": (v2(0x22, 0x11, V4 + PORTS), "do not exist"),
    "UDP in v2": (v2(0x21, 0x12, V4 + PORTS), "are no stream"),
    "a short v2": (v2(0x21, 0x21, V4 + PORTS), "too short"),
    "a huge v2": (SIGNATURE + b"\x21\x11" + struct.pack("!H", MAX_HEADER), "more than"),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_header_is_found_out_at_once(data: bytes, why: str) -> None:
    with pytest.raises(ProxyHeaderError, match=why):
        parse(data)


@pytest.mark.parametrize("rest", [b"", b"198.51.100.1 40000 1935\r\n"])
async def test_who_leaves_has_said_all_that_came(monkeypatch: pytest.MonkeyPatch, rest: bytes) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    has_left = proxy_header._has_left

    def leave_first(sock: socket.socket) -> bool:
        if theirs.fileno() >= 0:
            theirs.send(rest)
            theirs.close()
        return has_left(sock)

    monkeypatch.setattr(proxy_header, "_has_left", leave_first)
    with ours:
        theirs.send(b"PROXY TCP4 192.0.2.7 ")
        if rest:
            header = await take(ours)
            assert header is not None
            assert header.address == "192.0.2.7"
        else:
            with pytest.raises(ProxyHeaderError, match="left in the middle"):
                await take(ours)


async def test_a_header_is_waited_for() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        asyncio.get_running_loop().call_soon(theirs.send, b"PROXY UNKNOWN\r\n")
        assert await take(ours) == ProxyHeader(15)
