"""From a host and a port to a connected socket, and what TLS is made of."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from itertools import chain, zip_longest

from rtmpd.exceptions import ConnectFailed, UsageError
from rtmpd.net.resolver import RESOLVER, AddressInfo, Resolver
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
    loop = asyncio.get_running_loop()
    infos = await resolver.resolve(host, port)
    attempts: list[asyncio.Task[socket.socket]] = []
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        for info in _alternate(infos):
            attempt = loop.create_task(_open_one(info, local_addr), name=f"connect-{info[4][0]}")
            attempts.append(attempt)
            running.add(attempt)
            done, running = await asyncio.wait(running, timeout=stagger, return_when=asyncio.FIRST_COMPLETED)
            if (winner := _winner(done)) is not None:
                return winner
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if (winner := _winner(done)) is not None:
                return winner
    finally:
        _give_up(running)
    cause = attempts[0].exception()
    number = cause.errno if isinstance(cause, OSError) else None
    text = os.strerror(number) if number else cause
    raise ConnectFailed(f"cannot connect to {host} port {port}: {text}") from cause


def tls_context(url: RtmpUrl, context: ssl.SSLContext | None, ca_file: str | None) -> ssl.SSLContext | None:
    """What the URL's scheme needs; verification is on. ``ca_file`` replaces the system's authorities.

    Raises UsageError when a context or file is given that will not be used, ConnectFailed for a bad file.
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
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConnectFailed(f"cannot use the authorities in {ca_file}: {error.strerror or error}") from error


def tls_failure(host: str, port: int, error: OSError) -> ConnectFailed:
    """The exception for a TLS handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailed(f"{host} port {port} cannot be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        word = (getattr(error, "reason", None) or "protocol error").replace("_", " ").lower()
        return ConnectFailed(f"{host} port {port} does not speak TLS as it should: {word}")
    text = error.strerror or str(error) or "it closed the connection"
    return ConnectFailed(f"{host} port {port} broke off the TLS handshake: {text}")


def _alternate(infos: Sequence[AddressInfo]) -> list[AddressInfo]:
    """Addresses in the resolver's order of preference, but with the families taking turns."""
    first = [info for info in infos if info[0] == infos[0][0]]
    second = [info for info in infos if info[0] != infos[0][0]]
    return [info for info in chain.from_iterable(zip_longest(first, second)) if info is not None]


async def _open_one(info: AddressInfo, local_addr: tuple[str, int] | None) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if local_addr is not None:
            sock.bind(local_addr)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _give_up(running: set[asyncio.Task[socket.socket]]) -> None:
    """End attempts that nobody waits for, also one that succeeded just when we were cancelled."""
    for attempt in running:
        if not attempt.cancel() and attempt.exception() is None:
            attempt.result().close()


def _winner(done: set[asyncio.Task[socket.socket]]) -> socket.socket | None:
    """The first socket among finished attempts; further ones are closed."""
    sockets = [attempt.result() for attempt in done if attempt.exception() is None]
    for loser in sockets[1:]:
        loser.close()
    return sockets[0] if sockets else None
