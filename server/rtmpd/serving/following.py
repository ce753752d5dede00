"""Telling whoever granted something, and wants to know, how it gets on and that it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from rtmpd.serving.access import Figures, Follower, Grant

CONNECTION: Final = 0
"""In place of a message stream: the connection itself."""

logger = logging.getLogger(__name__)


class Following:
    """Of one connection: who follows what, by message stream.

    A follower that fails costs nobody else anything.
    """

    __slots__ = ("_followed",)

    def __init__(self) -> None:
        self._followed: dict[int, tuple[Follower, Callable[[], Figures]]] = {}

    def begin(self, on: int, grant: Grant, figures: Callable[[], Figures]) -> None:
        """What ``grant`` was for has come about."""
        if grant.follower is None:
            return
        self._followed[on] = (grant.follower, figures)
        try:
            grant.follower.began(figures)
        except Exception:
            logger.exception("follower failed")

    def end(self, on: int) -> None:
        """It is over, and can still be read."""
        follower, figures = self._followed.pop(on, (None, None))
        if follower is None or figures is None:
            return
        try:
            follower.ended(figures())
        except Exception:
            logger.exception("follower failed")

    def end_all(self) -> None:
        """All that the connection did is over, and can still be read; itself comes behind that."""
        for on in self._followed.keys() - {CONNECTION}:
            self.end(on)
