"""Proxies that are believed when they say for whom they connect."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

from rtmpd.net.addresses import UNIX
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.proxy_header import NoProxyHeader, ProxyHeader, ProxyHeaderError, take
from rtmpd.reasons import HandshakeFailure

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """Those of some networks, and whoever may open one of our Unix sockets."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def __contains__(self, address: str) -> bool:
        """Whether what ``peer_ip`` returns is one of them."""
        if address == UNIX:
            return True
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


NO_PROXIES: Final = TrustedProxies()


class UntrustedSender(ProxyHeaderError):
    """Whoever sends a header is not believed."""

    reason = HandshakeFailure.PROXY_UNTRUSTED

    def __init__(self) -> None:
        super().__init__("if this is a proxy of yours, name its address in network.trusted_proxies")


async def hear(
    sock: socket.socket, sender: str, use: ProxyUse, proxies: TrustedProxies
) -> ProxyHeader | None:
    """What ``sender`` says of its client, on a non-blocking socket that was accepted.

    None if it says nothing and need not: then not a byte is read. Waits without an end, as ``take`` does, and
    raises what that raises; ``NoProxyHeader`` if it has to say something, ``UntrustedSender``.
    """
    trusted = sender in proxies
    if not trusted and use is ProxyUse.REQUIRE:
        raise UntrustedSender
    try:
        header = await take(sock)
    except ProxyHeaderError:
        if trusted:
            raise
        raise UntrustedSender from None
    if header is not None and not trusted:
        raise UntrustedSender
    if header is None and use is ProxyUse.REQUIRE:
        text = "it begins without a PROXY header; have it send one (send-proxy-v2, proxy_protocol on)"
        raise NoProxyHeader(text)
    return header
