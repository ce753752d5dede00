"""Addresses: how they are written, and what counts as one client."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rtmpd.exceptions import ConfigError

UNIX: Final = "unix"
"""The address of every peer that comes through a Unix socket: it has no other."""
UNKNOWN: Final = "unknown"
"""That of who has none that anybody knows."""
_UNIX_SCHEME: Final = "unix:"
_LOCAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
"""RFC 1122, RFC 1918, RFC 3927, RFC 4291 and RFC 4193. What ``ipaddress`` calls private is more, and not the
same in all versions of Python."""
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")
"""RFC 6052, section 2.1: an IPv4 address in its last 32 bits, behind a translator such as NAT64."""
_MAX_PATH_BYTES: Final = 103
"""Of a Unix socket: what macOS allows, a little less than Linux."""


@dataclass(frozen=True, slots=True)
class Address:
    """``host:port``; an empty host means every IPv4 and IPv6 address of the machine. Or a Unix socket."""

    host: str
    port: int
    path: str = ""
    """Of a Unix socket, which has neither host nor port."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``:1935``, ``127.0.0.1:1935``, ``[::1]:1935`` or ``unix:/run/rtmpd.sock``.

        Raises ``ConfigError``.
        """
        if text.startswith(f"{_UNIX_SCHEME}/"):
            return cls._parse_path(text.removeprefix(_UNIX_SCHEME))
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
            forms = "host:port, such as 127.0.0.1:1935 or :1935 for all, or unix: and a whole path"
            raise ConfigError([f"{text!r} is not an address: write {forms}"])
        if host.startswith("[") and host.endswith("]"):
            return cls(host[1:-1], int(port))
        if ":" in host:
            raise ConfigError([f"{text!r}: write an IPv6 address in brackets, such as [::1]:1935"])
        return cls(host, int(port))

    @classmethod
    def _parse_path(cls, path: str) -> Address:
        if len(path.encode()) > _MAX_PATH_BYTES or not path.isprintable():
            text = f"{path!r} is no path for a Unix socket: at most {_MAX_PATH_BYTES} printable bytes"
            raise ConfigError([text])
        return cls("", 0, path)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.path:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX_SCHEME}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def peer_ip(name: object) -> str:
    """The IP address in a socket's peer name; as ``plain`` has it.

    ``UNIX`` for the peer of a Unix socket, which may have a path of its own and mostly has none.
    """
    if isinstance(name, str | bytes):
        return UNIX
    if not isinstance(name, tuple) or not name:
        return UNKNOWN
    host = str(name[0]).partition("%")[0]
    if ":" not in host:
        return host
    with contextlib.suppress(ValueError):
        return plain(ipaddress.ip_address(host))
    return host


def plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """How a client is known: by its IPv4 address if it has one.

    So is an IPv4 client of an IPv6 socket, and one that a translator brings to a network without IPv4, where
    all of them would be one /64. Private ones have no place behind the well-known prefix (RFC 6052, section
    3.1): they stay as they are, and nobody is local by it.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address in _TRANSLATED:
        inner = str(ipaddress.IPv4Address(address.packed[-4:]))
        return str(address) if is_local(inner) else inner
    return str(address.ipv4_mapped or address)


def network_of(address: str) -> str:
    """What counts as one client for limits: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


@lru_cache(maxsize=1024)
def is_local(address: str) -> bool:
    """Whether it is of this machine or its neighbourhood: loopback, private or link-local, or a Unix
    socket's.

    Takes what ``peer_ip`` and ``network_of`` return; what nobody knows is not local. Networks that many
    subscribers share behind one router of their provider (RFC 6598) are not local, either.
    """
    if address == UNIX:
        return True
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        return False
    return any(network.version == each.version and network.overlaps(each) for each in _LOCAL)


def site_of(network: str) -> str:
    """Who may have given a client its ``network_of``, and many more: the /48 that an IPv6 site has.

    An IPv4 address is a site of its own.
    """
    if ":" not in network:
        return network
    return str(ipaddress.ip_network(network).supernet(new_prefix=48))
