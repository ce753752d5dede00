"""What is used of aiohttp, and the one place that imports it.

With its server comes its client, which reads the system's certificate authorities as it is imported, twice: a
tenth of the time and 3 MB of the memory of a start, for servers that never call anybody. So it is shown none,
and trusts nobody unless it is given a context of its own, as ``net.dial`` makes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_AUTHORITIES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Where OpenSSL looks for them instead."""


@contextmanager
def _without_authorities() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _AUTHORITIES}
    os.environ.update(dict.fromkeys(_AUTHORITIES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


with _without_authorities():
    from aiohttp import (
        ClientConnectorCertificateError,
        ClientConnectorDNSError,
        ClientConnectorError,
        ClientConnectorSSLError,
        ClientError,
        ClientRequest,
        ClientResponse,
        ClientSession,
        ClientTimeout,
        DummyCookieJar,
        ServerDisconnectedError,
        StreamReader,
        TCPConnector,
        web,
    )
    from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.typedefs import Handler, Middleware

__all__ = [
    "AbstractResolver",
    "AbstractStreamWriter",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientRequest",
    "ClientResponse",
    "ClientSession",
    "ClientTimeout",
    "Connection",
    "DummyCookieJar",
    "Handler",
    "HttpProcessingError",
    "Middleware",
    "ResolveResult",
    "ResponseHandler",
    "ServerDisconnectedError",
    "StreamReader",
    "TCPConnector",
    "web",
]
