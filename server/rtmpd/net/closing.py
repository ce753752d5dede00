"""The end of a connection, as far as it is for us to say."""

from __future__ import annotations

import asyncio
import contextlib


def close_our_side(transport: asyncio.Transport) -> bool:
    """Say that nothing more comes from us, behind all that is unsent. Read on until the peer is done too.

    A close with unread bytes in the socket makes the kernel reset it, and our last words are lost. False
    where there are no sides, as with TLS: then it is closed.
    """
    if not transport.can_write_eof():
        transport.close()
        return False
    # The peer may have reset the connection; asyncio lets that out, uvloop does not.
    with contextlib.suppress(OSError):
        transport.write_eof()
    return True
