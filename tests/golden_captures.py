"""Recordings of real clients: the TCP payload of one direction of one connection (tests/golden/captures)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

CAPTURES = Path(__file__).parent / "golden" / "captures"
HANDSHAKE_BYTES = 1 + 1536 + 1536
"""C0 C1 C2 of a client, S0 S1 S2 of a server."""


@dataclass(frozen=True)
class Capture:
    """One direction of a recording, split behind the handshake."""

    name: str
    direction: str
    """``c2s``, always whole, or ``s2c``, at most the first 64 KiB."""
    handshake: bytes
    chunks: bytes


@cache
def load(name: str, direction: str = "c2s") -> Capture:
    """The recording ``name``, such as ``obs29-pub``."""
    data = (CAPTURES / f"{name}.{direction}.bin").read_bytes()
    return Capture(name, direction, data[:HANDSHAKE_BYTES], data[HANDSHAKE_BYTES:])


def names(direction: str = "c2s", role: str = "") -> list[str]:
    """Names of all recordings that have ``direction``; ``role`` (``pub`` or ``play``) narrows them down."""
    found = sorted(path.name.split(".")[0] for path in CAPTURES.glob(f"*.{direction}.bin"))
    return [name for name in found if not role or role in name.split("-")]


def transcripts() -> dict[str, list[str]]:
    """Expected messages of each recording, by ``name.direction``."""
    blocks = (CAPTURES / "transcripts.txt").read_text().strip().split("\n\n")
    lines = [[line.strip() for line in block.splitlines()] for block in blocks]
    return {block[0]: block[1:] for block in lines}
