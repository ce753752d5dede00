"""Who waits for streams that are fetched: whose turn it is, which servers they are, how they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from weakref import WeakValueDictionary

from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.sources import Life
from rtmpd.engine.subscriber import Subscription
from rtmpd.rtmp.via import MAX_HOPS, Via, join

MAX_DIALS: Final = 50
"""Attempts under way for the players of one address."""


class Waiting:
    """The subscriptions of streams, as their pulls see them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._max_dials = MAX_DIALS
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def apply(self, max_dials: int) -> None:
        """How many attempts may be under way for the players of one address, or network.

        Another number counts those that begin or queue from now on.
        """
        if max_dials != self._max_dials:
            self._max_dials = max_dials
            self._turns.clear()

    def turn(self, key: StreamKey) -> asyncio.Semaphore | None:
        """What to hold during an attempt to fetch ``key``; None when nobody waits for it."""
        network = next((each.origin.network for each in self._of(key) if each.audience), None)
        if network is None:
            return None
        turn = self._turns.get(network)
        if turn is None:
            turn = self._turns[network] = asyncio.Semaphore(self._max_dials)
        return turn

    def ways(self, key: StreamKey) -> Via:
        """Servers that wait for the stream through us: none of them can be its origin.

        A way that can be no longer ends here, so that it spoils the others nothing.
        """
        for subscription in [each for each in self._of(key) if each.origin.via.hops >= MAX_HOPS]:
            subscription.close(CloseReason.NOT_FOUND)
        return join(each.origin.via for each in self._of(key))

    def disappoint(self, key: StreamKey) -> None:
        """No origin had it in time: tell everybody, unless it has come from elsewhere."""
        stream = self._registry.streams.get(key)
        # One that was lost may come back, and who waits for that is told when it has not.
        if stream is not None and stream.holder is None and stream.life is not Life.HOLDING:
            for subscription in stream.everybody:
                subscription.close(CloseReason.NOT_FOUND)

    def _of(self, key: StreamKey) -> Iterable[Subscription]:
        stream = self._registry.streams.get(key)
        return () if stream is None else stream.everybody
