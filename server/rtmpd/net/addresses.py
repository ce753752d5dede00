"""Listening addresses: how they are written, opened and named."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from dataclasses import dataclass

from rtmpd.exceptions import ConfigError

BACKLOG = 4096
"""Connections that may wait to be accepted: all players of a popular stream come back at once."""


@dataclass(frozen=True, slots=True)
class Address:
    """``host:port``; an empty host means every IPv4 and IPv6 address of the machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``:1935``, ``127.0.0.1:1935`` or ``[::1]:1935``; raises ``ConfigError``."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
            problem = f"{text!r} is not an address: write host:port, such as 127.0.0.1:1935 or :1935 for all"
            raise ConfigError([problem])
        if host.startswith("[") and host.endswith("]"):
            return cls(host[1:-1], int(port))
        if ":" in host:
            raise ConfigError([f"{text!r}: write an IPv6 address in brackets, such as [::1]:1935"])
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def open_listener(address: Address) -> socket.socket:
    """A non-blocking listening TCP socket; raises ``ConfigError`` with what to do about it.

    An empty host gives one socket for IPv6 and IPv4 where the machine has both.
    """
    try:
        if address.host:
            family, _, _, _, where = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            sock = socket.create_server(where[:2], family=family, backlog=BACKLOG)
        else:
            sock = _open_on_all(address.port)
    except OSError as error:
        hint = (
            "is another server running there?"
            if error.errno == errno.EADDRINUSE
            else "check the address and your rights"
        )
        raise ConfigError([f"cannot listen on {address}: {error.strerror or error}; {hint}"]) from error
    sock.setblocking(False)
    return sock


def _open_on_all(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            # A kernel booted without IPv6 still says it has it. Any other error would be the same without.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return socket.create_server(("", port), backlog=BACKLOG)


def bound_address(sock: socket.socket) -> Address:
    """Where a listening socket really listens (port 0 resolved, all addresses as an empty host)."""
    host, port = sock.getsockname()[:2]
    return Address("" if host in ("::", "0.0.0.0") else host, port)  # noqa: S104 - compared, not bound


def peer_ip(name: object) -> str:
    """The IP address in a socket's peer name; an IPv4 client of an IPv6 socket is named as IPv4."""
    if not isinstance(name, tuple) or not name:
        return "unknown"
    host = str(name[0]).partition("%")[0]
    if ":" not in host:
        return host
    with contextlib.suppress(ValueError):
        mapped = getattr(ipaddress.ip_address(host), "ipv4_mapped", None)
        return str(mapped or host)
    return host


def network_of(address: str) -> str:
    """What counts as one client for limits: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


def site_of(network: str) -> str:
    """Who may have given a client its ``network_of``, and many more: the /48 that an IPv6 site has.

    An IPv4 address is a site of its own.
    """
    if ":" not in network:
        return network
    return str(ipaddress.ip_network(network).supernet(new_prefix=48))
