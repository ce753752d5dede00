"""The joint to whoever acts on the coming and going of publishers and players: relays, recorders, hooks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from rtmpd.engine.key import StreamKey

_logger = logging.getLogger(__name__)


class StreamObserver(Protocol):
    """Is told what happens to streams, in order, a turn of the event loop after it happened.

    So every method may attach, claim, detach and close; but by then the stream may have changed again: who
    decides something looks at the registry. An exception is logged and costs nobody else anything.
    """

    def published(self, key: StreamKey) -> None:
        """A publisher has come."""

    def unpublished(self, key: StreamKey) -> None:
        """The publisher has left."""

    def wanted(self, key: StreamKey) -> None:
        """The first player has come, whether there is a publisher or not."""

    def unwanted(self, key: StreamKey) -> None:
        """The last player has left, whether there is a publisher or not."""


class Notice(Enum):
    """What an observer can be told."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    WANTED = "wanted"
    UNWANTED = "unwanted"


class Announcer:
    """Tells every observer, from outside of whatever the engine is doing.

    ``call_soon(callback)`` runs a callback in the next turn of the event loop.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._observers: list[StreamObserver] = []
        self._pending: list[tuple[Notice, StreamKey]] = []

    def observe(self, observer: StreamObserver) -> None:
        """Tell ``observer`` what happens from now on."""
        self._observers.append(observer)

    def announce(self, notice: Notice, key: StreamKey) -> None:
        """Have every observer told soon."""
        if self._observers:
            if not self._pending:
                self._call_soon(self._tell_all)
            self._pending.append((notice, key))

    def _tell_all(self) -> None:
        pending, self._pending = self._pending, []
        for notice, key in pending:
            for observer in self._observers:
                try:
                    _tell(observer, notice, key)
                except Exception:
                    _logger.exception("an observer of %s failed", key)


def _tell(observer: StreamObserver, notice: Notice, key: StreamKey) -> None:
    match notice:
        case Notice.PUBLISHED:
            observer.published(key)
        case Notice.UNPUBLISHED:
            observer.unpublished(key)
        case Notice.WANTED:
            observer.wanted(key)
        case Notice.UNWANTED:
            observer.unwanted(key)
