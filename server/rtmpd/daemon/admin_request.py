"""Requests to the admin port of the server that runs on this machine with some settings."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
from typing import Final

from rtmpd.net.addresses import Address
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.proxy_header import OWN

_TIMEOUT: Final = 4.0


def ask(
    address: Address, path: str, method: str = "GET", *, proxy: ProxyUse = ProxyUse.OFF
) -> tuple[int, bytes]:
    """Status and body; with a PROXY header of our own where one is required.

    Raises OSError or http.client.HTTPException if there is no sensible answer.
    """
    connection = http.client.HTTPConnection(address.host or "localhost", address.port)
    try:
        connection.sock = connect(address)
        if proxy is ProxyUse.REQUIRE:
            connection.sock.sendall(OWN)
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def words(error: Exception) -> str:
    """What ``ask`` or ``connect`` raised, for people."""
    return getattr(error, "strerror", None) or str(error) or "no sensible answer"


def from_here(address: Address) -> Address:
    """Where this machine reaches what listens on ``address``."""
    if address.path:
        return address
    if not address.host:
        return Address("127.0.0.1", address.port)
    with contextlib.suppress(ValueError):
        ip = ipaddress.ip_address(address.host)
        if ip.is_unspecified:
            return Address("127.0.0.1" if ip.version == 4 else "::1", address.port)
    return address


def connect(address: Address) -> socket.socket:
    """Raises OSError."""
    if not address.path:
        return socket.create_connection((address.host, address.port), timeout=_TIMEOUT)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(_TIMEOUT)
        sock.connect(address.path)
    except BaseException:
        sock.close()
        raise
    return sock
