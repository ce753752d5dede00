"""``rtmpd health``: does the server that runs with these settings answer?"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
from typing import Final

from rtmpd.daemon.config import Config
from rtmpd.net.addresses import Address

_TIMEOUT: Final = 4.0


def find_problem(config: Config) -> str | None:
    """Why the server of ``config`` on this machine should be started again; None when it is well.

    Asks /healthz on the first address of ``admin.listen``. Without any it only connects to ``rtmp.listen``: a
    server that is full refuses, and must not be started again for it.
    """
    admin = config.admin.addresses()
    address = (admin or config.rtmp.addresses())[0]
    if address.port == 0 and not address.path:
        return f"{address}: the port is chosen at the start of the server, so nobody can ask there"
    local = _from_here(address)
    try:
        if admin:
            return _ask(local)
        _connect(local).close()
    except (OSError, http.client.HTTPException) as error:
        return f"{local} does not answer: {getattr(error, 'strerror', None) or error or 'no sensible answer'}"
    return None


def _from_here(address: Address) -> Address:
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


def _connect(address: Address) -> socket.socket:
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


def _ask(address: Address) -> str | None:
    connection = http.client.HTTPConnection(address.host or "localhost", address.port)
    try:
        connection.sock = _connect(address)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    finally:
        connection.close()
    return None if status == http.client.OK else f"{address} answers {status}"
