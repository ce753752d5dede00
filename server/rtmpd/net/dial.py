"""From a host and a port to a connected socket, and what TLS is made of."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

from aiohappyeyeballs import start_connection

from rtmpd.exceptions import ConnectFailed, UsageError
from rtmpd.net.resolver import RESOLVER, Resolver
from rtmpd.net.trust import TRUST
from rtmpd.rtmp.url import RtmpUrl


async def open_socket(
    host: str,
    port: int,
    *,
    local_addr: tuple[str, int] | None = None,
    stagger: float = 0.25,
    resolver: Resolver = RESOLVER,
) -> socket.socket:
    """A connected TCP socket, of whichever address of ``host`` answers first (RFC 8305).

    IPv6 and IPv4 take turns; each address has ``stagger`` seconds before the next one joins the race. Raises
    ConnectFailed. This is done here because uvloop tries addresses one after another, each to its end.
    """
    infos = await resolver.resolve(host, port)
    ours = None if local_addr is None else await resolver.resolve(*local_addr)
    try:
        return await start_connection(infos, local_addr_infos=ours, happy_eyeballs_delay=stagger)
    except (OSError, RuntimeError) as error:  # uvloop has RuntimeErrors for a few ends of a connection.
        number = getattr(error, "errno", None)
        text = os.strerror(number) if number else str(error).removeprefix("Multiple exceptions: ")
        raise ConnectFailed(f"cannot connect to {host} port {port}: {text}") from error


async def tls_context(
    url: RtmpUrl, context: ssl.SSLContext | None, ca_file: str | None, *, within: float
) -> ssl.SSLContext | None:
    """What the URL's scheme needs; verification is on. ``ca_file`` replaces the system's authorities.

    Raises UsageError when a context or file is given that will not be used, ConnectFailed for a bad file, or
    one that cannot be read ``within`` so many seconds.
    """
    if context is not None and ca_file is not None:
        raise UsageError("give ssl or ca_file, not both")
    if url.scheme != "rtmps":
        if context is not None or ca_file is not None:
            raise UsageError("TLS settings are for rtmps:// URLs")
        return None
    if context is not None:
        return context
    try:
        async with asyncio.timeout(within):
            return await TRUST.context(ca_file or "")
    except TimeoutError as error:
        text = f"cannot read the authorities in {ca_file or 'the system'} within {within:g} s"
        raise ConnectFailed(text) from error


def tls_failure(host: str, port: int, error: OSError) -> ConnectFailed:
    """The exception for a TLS handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailed(f"{host} port {port} cannot be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        word = (getattr(error, "reason", None) or "protocol error").replace("_", " ").lower()
        return ConnectFailed(f"{host} port {port} does not speak TLS as it should: {word}")
    text = error.strerror or str(error) or "it closed the connection"
    return ConnectFailed(f"{host} port {port} broke off the TLS handshake: {text}")
