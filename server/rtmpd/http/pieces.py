"""What requests are answered with that are answered alike, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Kind:
    """Headers that answers have in common."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = dict(headers)
        self.lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()


class Piece(NamedTuple):
    """An answer."""

    kind: Kind
    body: bytes
    gzipped: bool = False
    tag: str = ""
    """ETag, without its quotation marks; what has none changes."""
