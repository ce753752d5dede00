"""A request, and whoever may have an answer to it: the joint to what is not live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rtmpd.http.connection import HttpConnection
from rtmpd.http.wishes import Wish
from rtmpd.net.http import web


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as those see it who may have an answer."""

    request: web.BaseRequest
    wish: Wish
    """What its path means; an ending that is not ``.flv`` stands in the name."""
    connection: HttpConnection
    """``may`` says whether whoever asks may play that."""


class Shelf(Protocol):
    """Somebody who has something at paths of apps: files, or what is cut out of streams."""

    async def answer(self, asked: Asked) -> web.StreamResponse | None:
        """None if there is nothing here, and others are to be asked. May raise ``Refused``."""
        ...
