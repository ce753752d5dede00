"""Playlists as they are sent: rendered and compressed once for everybody."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

_GZIP: Final = 31
"""How zlib is told to write a gzip header: without a time."""
_LEVEL: Final = 5
_LONG: Final = 64 * 1024
"""A longer text is compressed in less time, and less well."""


class Rendered(NamedTuple):
    """A playlist, as it is and compressed."""

    plain: bytes
    gzipped: bytes


def render(text: str) -> Rendered:
    """The same bytes for the same text."""
    return Renderer().render("", text)


class Renderer:
    """Of texts whose beginning often stays: that is compressed once."""

    __slots__ = ("_begin", "_gzipped", "_plain", "_state")

    def __init__(self) -> None:
        self._begin = ""
        self._plain = b""
        self._state = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._gzipped = b""

    def render(self, begin: str, rest: str) -> Rendered:
        """``begin`` and ``rest`` in one."""
        if begin is not self._begin:
            self._begin = begin
            self._plain = begin.encode()
            self._state = zlib.compressobj(1 if len(begin) > _LONG else _LEVEL, zlib.DEFLATED, _GZIP)
            self._gzipped = self._state.compress(self._plain)
        end = rest.encode()
        state = self._state.copy()
        return Rendered(self._plain + end, self._gzipped + state.compress(end) + state.flush())
