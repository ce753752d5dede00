"""A request, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

from rtmpd.http.connection import HttpConnection
from rtmpd.http.wishes import Wish
from rtmpd.net.http import web


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as those see it who may have an answer."""

    request: web.BaseRequest
    wish: Wish
    """What its path means."""
    connection: HttpConnection
    """``may`` says whether whoever asks may play that."""
