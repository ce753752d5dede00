"""The last seconds of a stream: a packet sink that keeps what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import CACHED_HEADER, DATA, ORDERS, Packet
from rtmpd.engine.packet_queue import Mark
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, TapOptions
from rtmpd.media.cache_key import CacheKey, cache_key
from rtmpd.outputs.kept import PIECE_MS, Kept, KeptLimits, KeptLoss
from rtmpd.outputs.spool import Spool

_TAP: Final = TapOptions()


class Ring:
    """Of one stream, as its players see it. It keeps what it has for as long when the stream has ended."""

    def __init__(
        self,
        registry: Registry,
        key: StreamKey,
        limits: KeptLimits,
        spool: Spool,
        clock: Callable[[], float],
        losses: Counter[KeptLoss],
        piece_ms: int = PIECE_MS,
    ) -> None:
        """``piece_ms`` and ``losses`` are as of ``Kept``."""
        self.key = key
        self._registry = registry
        self._clock = clock
        self.kept = Kept(limits, registry.budget, spool, clock, piece_ms, losses)
        self._headers: dict[CacheKey | None, Packet] = {}
        self.ended_at: float | None = None
        """Clock reading at which nothing more came; None while it takes."""
        self.readers = 0
        """Who is shown what is in it."""
        self._tap = registry.tap(key, self, _TAP, clock())
        self.ready()

    def ready(self) -> None:
        """Take what is there."""
        while items := self._tap.take():
            packets: list[Packet] = []
            for item in items:
                if isinstance(item, Mark):
                    self._keep(packets)
                    packets = []
                    self._pass(item)
                else:
                    if item.flags & CACHED_HEADER and not item.flags & ORDERS:
                        self._note(item)
                    packets.append(item)
            self._keep(packets)

    def close(self, _reason: CloseReason) -> None:
        """The engine has ended the tap."""
        self._end()

    def stop(self) -> None:
        """Take nothing more; what is there stays for a while."""
        if self.ended_at is None:
            self._end()
            self._tap.detach()

    def look(self, now: float) -> bool:
        """Forget what is too old; whether anything may come, or is still there."""
        if self.ended_at is None:
            self.kept.age(now)
        return self.ended_at is None or now - self.ended_at < self.kept.limits.seconds

    def forget(self) -> None:
        """Nothing is kept any more."""
        self.stop()
        self.kept.close()

    def _keep(self, packets: list[Packet]) -> None:
        if packets:
            self.kept.add(packets)

    def _pass(self, mark: Mark) -> None:
        self.kept.cut()
        if mark is Mark.STARTED:
            self._headers.clear()
            self.kept.headers = ()
        if mark in (Mark.STARTED, Mark.ENDED):
            self._mark(begins=mark is Mark.STARTED)

    def _end(self) -> None:
        self.ended_at = self._clock()
        self._mark(begins=False)

    def _mark(self, *, begins: bool) -> None:
        stream = self._registry.streams.get(self.key)
        if stream is not None:
            self.kept.mark(stream.stats, begins=begins)

    def _note(self, header: Packet) -> None:
        key = None if header.kind == DATA else cache_key(header.kind, header.payload)
        self._headers.pop(key, None)  # Of one track that has had several codecs the last one holds.
        self._headers[key] = header
        self.kept.headers = tuple(self._headers.values())
