"""What a stream is called."""

from __future__ import annotations

from typing import NamedTuple


class StreamKey(NamedTuple):
    """Names a stream in its process."""

    app: str
    name: str

    def __str__(self) -> str:
        return f"{self.app}/{self.name}"
