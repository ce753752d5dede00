"""All streams of the process: who publishes under a name, who waits for it, and what they may cost together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtmpd.engine.flusher import Flusher
from rtmpd.engine.gop import GopLimits
from rtmpd.engine.publication import Publication, Publisher
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.stream import Stream, StreamKey
from rtmpd.engine.subscriber import PlayOptions, Sink, Subscription


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Ceilings of one process; 0 means none."""

    max_publishers: int = 0
    max_players: int = 0
    max_players_per_stream: int = 0
    max_waiting_names: int = 1000
    """Names that players wait for and nobody publishes."""
    memory_bytes: int = 1024 * 1024 * 1024
    """Media held: GOP caches, headers, backlogs of congested players."""
    gop: GopLimits = field(default_factory=GopLimits)


class Registry:
    """StreamKey -> Stream. An entry exists while it has a publisher or a subscriber."""

    def __init__(self, flusher: Flusher, stats: ServerStats, limits: EngineLimits | None = None) -> None: ...

    @property
    def streams(self) -> Mapping[StreamKey, Stream]:
        """Live view of every entry, waiting ones included."""
        raise NotImplementedError

    def claim(self, key: StreamKey, publisher: Publisher, now: float) -> Publication:
        """Take the publisher's place of ``key``.

        Raises ``StreamBusy`` when it is taken, ``ResourceExhausted`` at a ceiling.
        """
        raise NotImplementedError

    def attach(self, key: StreamKey, sink: Sink, options: PlayOptions, now: float) -> Subscription:
        """Subscribe ``sink`` to ``key``: what is cached is written to it now, in one piece.

        Without a publisher the subscription waits. Raises ``ResourceExhausted`` at a ceiling. ``sink.write`` is
        called before this returns: a sink whose flow control paused meanwhile calls ``pause_writing`` right after.
        """
        raise NotImplementedError

    def sample(self, now: float) -> None:
        """Derive rates and enforce the deadlines of slow players; call it about once a second."""
        raise NotImplementedError
