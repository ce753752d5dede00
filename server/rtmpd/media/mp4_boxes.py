"""How boxes of ISO base media files are written (ISO/IEC 14496-12)."""

from __future__ import annotations

from struct import Struct
from typing import Final

_head: Final = Struct(">I4s").pack
_full_head: Final = Struct(">I4sI").pack


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of type ``kind`` (4 bytes) that holds ``parts``."""
    body = b"".join(parts)
    return _head(8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with a version (8 bits) and flags (24 bits)."""
    body = b"".join(parts)
    return _full_head(12 + len(body), kind, version << 24 | flags) + body
