"""One name: a publisher's place, N subscribers, and the loop that carries packets from one to the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rtmpd.engine.publication import Publication
from rtmpd.engine.stats import StreamStats
from rtmpd.engine.subscriber import Subscription


class StreamKey(NamedTuple):
    """Names a stream in its process."""

    app: str
    name: str

    def __str__(self) -> str:
        return f"{self.app}/{self.name}"


class Stream:
    """Attributes for readers: ``key``, ``stats``, ``publication`` (None while nobody publishes)."""

    key: StreamKey
    stats: StreamStats
    publication: Publication | None

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """Everybody attached, in order of arrival."""
        raise NotImplementedError
