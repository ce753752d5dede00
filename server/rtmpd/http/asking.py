"""A request, and what it means."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtmpd.http.connection import HttpConnection
from rtmpd.http.lane import Lane
from rtmpd.http.wishes import Wish
from rtmpd.net.http import web


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as those see it who may have an answer."""

    request: web.BaseRequest
    path: str
    """Decoded, and without ``http.prefix``."""
    wish: Wish
    """What its path means: the stream that it names without its ending."""
    connection: HttpConnection
    lane: Lane
    """Where it may come again, without aiohttp."""

    def of(self, path: str) -> Asked:
        """The same of the stream at ``path``."""
        return replace(self, wish=self.wish.of(path))
