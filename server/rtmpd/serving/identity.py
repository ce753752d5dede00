"""Who somebody is who has come: as far as the socket knows, and the proxy in front."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Final

from rtmpd.engine.origin import PLAIN, Mask, Origin
from rtmpd.net.addresses import UNIX, UNKNOWN, network_of, peer_ip
from rtmpd.net.proxy_header import ProxyHeader

_numbers = itertools.count(1)
_IN_NAMES: Final = str.maketrans(":", ".")


def newcomer(name: object, listener: str, mask: Mask = PLAIN, *, tls: bool, session: int = 0) -> Origin:
    """Whoever has connected; ``name`` is that of the socket's peer."""
    address, number = peer_ip(name), next(_numbers)
    return Origin(
        session=session,
        address=address,
        # Whom we are forwarded through a Unix socket, its other end knows: no two need be the same.
        network=f"{UNIX}-{number}" if address == UNIX else network_of(address),
        connection=number,
        listener=listener,
        tls=tls,
        mask=mask,
    )


def completed(known: Origin, transport: asyncio.BaseTransport, session: int, mask: Mask) -> Origin:
    """``known`` with a session; if it is known of a listener alone, with what the transport tells."""
    if known.connection:
        return replace(known, session=session)
    name, tls = transport.get_extra_info("peername"), transport.get_extra_info("sslcontext") is not None
    return newcomer(name, known.listener, mask, tls=tls, session=session)


def unnamed_behind(proxy: Origin) -> Origin:
    """Somebody whom a trusted proxy has not named yet: his share is no client's, nor that of its own."""
    return replace(proxy, network=f"proxy-{proxy.address.translate(_IN_NAMES)}")


def named_by(proxy: Origin, header: ProxyHeader) -> Origin:
    """Who the proxy says it is.

    Whom it cannot name has no address that anybody may trust, and takes a share of the proxy's.
    """
    if header.own:
        return proxy
    if not header.address:
        return replace(proxy, address=UNKNOWN, nameless=True)
    return replace(proxy, address=header.address, network=network_of(header.address))
