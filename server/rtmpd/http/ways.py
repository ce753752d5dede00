"""Which request gets its answer where: by the ending of its path, whoever has something there is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from rtmpd.exceptions import Refused
from rtmpd.http.asking import Asked
from rtmpd.http.connection import HttpConnection
from rtmpd.net.http import web

Answer = Callable[[Asked], Awaitable[web.StreamResponse | None]]
"""Answers a request, or returns None where that is somebody else's."""
Explain = Callable[[web.BaseRequest, str, HttpConnection, Refused | str], web.StreamResponse | None]
"""Says at a path why a request is not even put to who answers it, as its client understands it; None where
that is a client like all others."""
NO_ENDING: Final = ""
"""Of paths whose last level ends in nothing that anybody has offered: names may have dots."""


class Ways:
    """Who answers what, in the order in which they have offered to."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self.explain: Explain = lambda *_: None

    def offer(self, ending: str, answer: Answer, *, first: bool = False) -> None:
        """Have ``answer`` asked for paths that end so, such as ``.flv``, or whose last level is that, such as
        ``/beacon``; behind those that are there, or before them, for who means a few paths of many.
        """
        answers = self._answers.setdefault(ending, [])
        answers.insert(0 if first else len(answers), answer)

    def ending(self, path: str) -> str:
        """The one of ``path`` that somebody answers, or ``NO_ENDING``."""
        last = path.rpartition("/")[2]
        if f"/{last}" in self._answers:
            return f"/{last}"
        _, dot, ending = last.rpartition(".")
        return dot + ending if dot + ending in self._answers else NO_ENDING

    async def answer(self, ending: str, asked: Asked) -> web.StreamResponse | None:
        """What the first says who has something at that path; None if nobody has."""
        for answer in self._answers.get(ending, ()):
            found = await answer(asked)
            if found is not None:
                return found
        return None
