"""Whole simple requests, recognised without reading what their headers say."""

from __future__ import annotations

from typing import Final, NamedTuple

_METHOD: Final = b"GET "
_VERSION: Final = b" HTTP/1.1"
_END: Final = b"\r\n\r\n"
_OTHERS: Final = (b"HEAD ", b"OPTIONS ")
_BODIES: Final = (b"\r\ncontent-length:", b"\r\ntransfer-encoding:", b"\r\nupgrade:")
"""What may come behind a request in whose headers one of them stands is for who reads it."""


class Head(NamedTuple):
    """One request."""

    target: str
    """As it comes, of characters that can be seen; empty unless it is a GET of HTTP/1.1."""
    block: bytes
    """The lines of its headers."""


def read_head(data: bytes) -> Head | None:
    """What ``data`` is, if it is one whole request without a body, and nothing else."""
    end = data.find(_END)
    if end < 0 or end + len(_END) != len(data):
        return None
    first = data.find(b"\r\n")
    line, block = data[:first], data[first:end]
    if line.startswith(_METHOD) and line.endswith(_VERSION):
        target = line[len(_METHOD) : -len(_VERSION)].decode("latin-1")
        # Whoever stands in front, and aiohttp, may see another line, or two, in what has one of these.
        if " " in target or not target.isprintable():
            return None
    elif line.startswith(_OTHERS):
        target = ""
    else:
        return None
    return Head(target, block)


def has_body(block: bytes) -> bool:
    """Whether headers say that something comes behind them."""
    lines = block.lower()
    return any(name in lines for name in _BODIES)
