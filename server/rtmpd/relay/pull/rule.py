"""What is fetched, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PullRule:
    """How the streams of an app are fetched; from where, an ``OriginMap`` knows. Times in seconds."""

    on_demand: bool = True
    """Fetch when the first player comes; otherwise always."""
    names: frozenset[str] | None = None
    """Streams that may be pulled; None is any. A rule that is not on demand names each."""
    linger: float = 10.0
    """How long to go on after the last player has left."""
    timeout: float = 10.0
    """How long players wait for the first media before they are told that there is no such stream; each
    origin has an equal share of it to answer in. Also the longest silence of an origin."""
    moving: bool = False
    """Another process of this server takes over: an encoder that was lost here comes back there, and who
    waits may wait for it."""
    grace: float = 0.0
    """How much longer an origin may be silent that is an rtmpd: it keeps its players while its encoder is
    away."""

    def covers(self, name: str) -> bool:
        return self.names is None or name in self.names
