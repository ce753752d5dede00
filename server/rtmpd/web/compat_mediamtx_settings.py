"""What MediaMTX's control API says of settings, of those that are in force here."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from rtmpd.compat import mediamtx, mediamtx_settings
from rtmpd.compat.mediamtx import ANY_PATH, Answer
from rtmpd.compat.mediamtx_settings import Held
from rtmpd.control.actor import Actor
from rtmpd.exceptions import NotFound
from rtmpd.reasons import Problem
from rtmpd.web.problems import bad_request
from rtmpd.web.shared import Writer

Part = tuple[str | None, str | None]
"""Items on a page, and which page, as they are asked for."""
Make = Callable[[], Coroutine[Any, Any, Writer]]
_READ: Final = frozenset({("global", "get"), ("pathdefaults", "get"), ("paths", "list"), ("paths", "get")})


class MediaMtxSettings:
    """Reads them, which ``held`` knows, for who has to do with the whole server."""

    def __init__(self, held: Held) -> None:
        self._held = held

    def reading(self, section: str, rest: str, part: Part, by: Actor) -> Make | None:
        """What makes the answer; None where there is none."""
        verb, _, name = rest.partition("/")
        if (section, verb) not in _READ:
            return None

        async def make() -> Writer:
            by.check_unscoped()
            answer = self._read(section, verb, name, part)
            return lambda: to_json(answer)

        return make

    def _read(self, section: str, verb: str, name: str, part: Part) -> Answer:
        match section, verb:
            case "global", _:
                return mediamtx_settings.global_settings(self._held.server())
            case "pathdefaults", _:
                return mediamtx_settings.path_defaults(self._held.path(ANY_PATH))
            case _, "list":
                return self._list(part)
        if name not in mediamtx_settings.names(self._held.apps()):
            raise NotFound(Problem.STREAM_NOT_FOUND, "path configuration not found")
        return mediamtx_settings.path_settings(name, self._held.path(name))

    def _list(self, part: Part) -> Answer:
        found = page(mediamtx_settings.names(self._held.apps()), part, mediamtx_settings.MOST_PATHS)
        items = [mediamtx_settings.path_settings(name, self._held.path(name)) for name in found["items"]]
        return {**found, "items": items}


def page(items: Sequence[Any], part: Part, most: int | None = None) -> Answer:
    """A part of a list. Raises NotPossible."""
    try:
        return mediamtx.page(items, *part, most=most)
    except ValueError as error:
        raise bad_request(str(error)) from None


def to_json(answer: Answer) -> bytes:
    return json.dumps(answer).encode()
